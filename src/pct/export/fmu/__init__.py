"""`fmu`: a model as a functional mock-up unit of FMI 2.0, for model exchange and co-simulation."""

from pct.export.fmu.unit import export as export
