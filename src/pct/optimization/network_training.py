"""Training helpers under their documented name; the code is in `pct.optimization.network`."""

from pct.optimization.network.mlp import ParameterMLP as ParameterMLP
from pct.optimization.network.step import make_eval_loss_fn as make_eval_loss_fn
from pct.optimization.network.step import make_network_step_fn as make_network_step_fn
from pct.optimization.network.step import make_optimizer as make_optimizer
from pct.optimization.network.step import make_predict_fn as make_predict_fn
from pct.optimization.network.step import predict_states as predict_states
from pct.optimization.network.step import summarize_predictions_chunked as summarize_predictions_chunked
from pct.rollout.integration import integrate_rk4 as integrate_rk4
from pct.windows.batch import FeatureDataset as FeatureDataset
from pct.windows.loading import load_feature_dataset_group as load_feature_dataset_group
