"""Double precision, the axes of arrays checked while the tests run, and compiled code kept."""

import importlib
import os
from pathlib import Path

# Read when numpy is loaded. Matrices are small here: threads would only wait for cores that other tests use.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import jax
import jaxtyping

# Before docstring examples leave their values in builtins: tyro hashes all that it finds there when imported.
importlib.import_module("tyro")

ROOT = Path(__file__).parents[1]

# Compiling takes longer here than what is compiled ever runs: without threads that the tests beside this one
# need, and without the slower of XLA's two generators of code for fused operations where it still has two.
flags = ["--xla_cpu_parallel_codegen_split_count=1"]
if jax.__version_info__ < (0, 11):
    flags.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(flags))

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_disable_most_optimizations", True)
# Nobody reads in a compiled program where it came from.
jax.config.update("jax_traceback_in_locations_limit", 0)
# A second run of the tests spends its time on testing instead of compiling.
jax.config.update("jax_compilation_cache_dir", str(ROOT / ".cache" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
# Equations take arrays of any shape: there is nothing to check, a hundred thousand times.
EQUATIONS = ("dynamics", "rollout")
CHECKED = ("dynamics.losses", "rollout.integration", "rollout.lanes", "rollout.native")
rooms = (path.stem for path in (ROOT / "src" / "pct").iterdir())
checked = [room for room in rooms if not room.startswith("_") and room not in EQUATIONS]
jaxtyping.install_import_hook([f"pct.{name}" for name in (*checked, *CHECKED)], "beartype.beartype")
