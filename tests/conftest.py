"""Double precision, and every annotation of an array checked while the tests run."""

import jax
import jaxtyping

jax.config.update("jax_enable_x64", True)
jaxtyping.install_import_hook("pct", "beartype.beartype")
