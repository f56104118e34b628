"""Fits of constant parameters under their documented name; the code is in `pct.optimization.constants`."""

from pct.optimization.constants.estimate import fit_errors as fit_errors
from pct.optimization.constants.estimate import fit_parameters as fit_parameters
