"""PCT learns the physics of a vehicle from its driving logs.

Public names are imported when they are first used, so that ``import pct`` is fast and loads no JAX.

Examples:
    >>> import pct
    >>> pct.model("singletrack", vehicle="f1tenth").hold("C_Sf", "C_Sr", "m", "I").learned
    ('mu',)
"""

from pct.lazy import __dir__ as __dir__
from pct.lazy import __getattr__ as __getattr__

# Not of typing: a Ctrl-C that comes while the first modules load would show a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from pct import errors as errors
    from pct.api.cars import Car as Car
    from pct.api.cars import model as model
    from pct.api.cars import models as models
    from pct.api.cars import register as register
    from pct.api.cars import vehicles as vehicles
    from pct.api.comparisons import Comparison as Comparison
    from pct.api.comparisons import compare as compare
    from pct.api.designs import Design as Design
    from pct.api.designs import design as design
    from pct.api.drives import Drive as Drive
    from pct.api.drives import Drives as Drives
    from pct.api.drives import load as load
    from pct.api.drives import simulate as simulate
    from pct.api.fits import Fit as Fit
    from pct.api.fitting import fit as fit
    from pct.api.fleets import Fleet as Fleet
    from pct.api.fleets import fleet as fleet
    from pct.api.imports import import_logs as import_logs
    from pct.api.log_checks import check as check
    from pct.api.maps import propose_map as propose_map
    from pct.api.networks import Network as Network
    from pct.api.networks import train as train
    from pct.api.opening import open as open
    from pct.api.predictions import Prediction as Prediction
    from pct.api.racing import Race as Race
    from pct.api.racing import race as race
    from pct.api.rankings import Ranking as Ranking
    from pct.api.rankings import rank as rank
    from pct.api.running import Outcome as Outcome
    from pct.api.running import run as run
    from pct.api.scores import Score as Score
    from pct.api.scores import evaluate as evaluate
    from pct.api.sweeps import Sweep as Sweep
    from pct.api.sweeps import sweep as sweep
    from pct.api.tracking import Track as Track
    from pct.api.tracking import Tracker as Tracker
    from pct.api.tracking import track as track
    from pct.api.tracking import track_levels as track_levels
    from pct.dynamics.core import define_model as define_model
    from pct.dynamics.rows import Channel as Channel
    from pct.dynamics.rows import Parameter as Parameter
    from pct.rollout.compiled import keep_compiled_code as keep_compiled_code

    __version__: str
