"""`stablehlo`: a rollout, with the whole network where there is one, as StableHLO of ``jax.export``.

The batch axis is free. Read it with ``jax.export.deserialize(bytes).call(...)``; gradients of first order go
through it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pct.errors import PctError
from pct.export.parameters import write_files
from pct.export.rollouts import EQUAL, about, expected_outputs, largest_difference, make_rollout, output_sizes
from pct.export.source import Source
from pct.export.targets import Exported
from pct.export.texts import json_text

# Where it may run, whatever this machine has.
PLATFORMS = ("cpu", "cuda")


def export(
    source: Source, path: str | Path | None = None, *, refit: bool = False, horizon: int | None = None
) -> Exported:
    """Write the rollout and a JSON that names its inputs and outputs into a folder.

    Args:
        source: the model, its values, and its network where it has one.
        path: the folder; ``<model>_stablehlo`` here when left out.
        refit: unused: the format can say every model.
        horizon: steps; the run's own, or 20, when left out.

    Raises:
        DataError: the files cannot be written.
        PctError: what was read back differs from JAX; nothing is written.
    """
    import jax
    from jax import export as jax_export

    with jax.enable_x64(False):
        rollout = make_rollout(source, horizon)
        (batch,) = jax_export.symbolic_shape("batch")
        given = [jax.ShapeDtypeStruct((batch, *shape), np.float32) for shape in rollout.shapes.values()]
        content = bytes(
            jax_export.export(jax.jit(rollout.function), platforms=PLATFORMS)(*given).serialize(vjp_order=1)
        )
        samples = rollout.samples(source)
        expected = expected_outputs(source, rollout, samples)
        read = jax_export.deserialize(bytearray(content))
        # Called twice, so with little effort.
        call = jax.jit(read.call, compiler_options={"xla_backend_optimization_level": 0})
        # Another batch than that of the samples, so that the axis is seen to be free.
        largest = max(
            largest_difference(
                tuple(part[:count] for part in expected),
                call(*(part[:count] for part in samples)),
                output_sizes(rollout),
            )
            for count in (len(samples[0]), 3)
        )
    if not largest <= EQUAL:
        raise PctError(
            f"export to stablehlo: expected what the model computes, found {largest:.1e} apart after "
            f"reading it "
            "back: nothing was written; this is an error of PCT, please report it"
        )
    checked = (
        "read back and equal to the model in double precision, at most "
        f"{largest:.1e} of a channel's largest apart"
    )
    name = source.spec.name
    files = write_files(
        path,
        f"{name}_stablehlo",
        {
            f"{name}.stablehlo": content,
            f"{name}.json": json_text(about(source, rollout, "stablehlo", checked)),
        },
    )
    return Exported(files[0].parent, tuple(files), checked)
