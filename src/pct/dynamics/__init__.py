"""Registered vehicle models: tables and equations, no data and no learning."""

from pct.dynamics import double_track as double_track
from pct.dynamics import kinematic_singletrack as kinematic_singletrack
from pct.dynamics import mlp_dynamics as mlp_dynamics
from pct.dynamics import singletrack as singletrack
from pct.dynamics import singletrack_augmented as singletrack_augmented
from pct.dynamics import singletrack_drift as singletrack_drift
from pct.dynamics import singletrack_pacejka as singletrack_pacejka
from pct.dynamics import tv_linear as tv_linear
from pct.dynamics import unicycle as unicycle
from pct.dynamics.core import MODEL_SPECS as MODEL_SPECS
from pct.dynamics.core import Channel as Channel
from pct.dynamics.core import ModelSpec as ModelSpec
from pct.dynamics.core import Option as Option
from pct.dynamics.core import Parameter as Parameter
from pct.dynamics.core import define_model as define_model
from pct.dynamics.core import flatten_bounds as flatten_bounds
from pct.dynamics.core import register_model_spec as register_model_spec
from pct.dynamics.core import unknown_name as unknown_name
from pct.dynamics.registry import get_model as get_model
from pct.dynamics.registry import load_model_file as load_model_file
from pct.dynamics.registry import resolve_model as resolve_model
from pct.dynamics.variants import with_fixed as with_fixed
from pct.dynamics.variants import with_scope as with_scope
