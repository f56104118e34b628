"""Double precision, every annotation of an array checked while the tests run, and compiled code kept."""

from pathlib import Path

import jax
import jaxtyping

jax.config.update("jax_enable_x64", True)
# Compiling takes longer here than what is compiled ever runs.
jax.config.update("jax_disable_most_optimizations", True)
# A second run of the tests spends its time on testing instead of compiling.
jax.config.update("jax_compilation_cache_dir", str(Path(__file__).parents[1] / ".cache" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jaxtyping.install_import_hook("pct", "beartype.beartype")
