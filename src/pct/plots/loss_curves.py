"""Loss curves of a training run."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pct.plots.layout import NOTHING, add_legend, add_panels, legend_height, make_figure
from pct.plots.style import BASELINE, CONTROL, MUTED, PREDICTED, ROUND, TRUTH, set_log
from pct.types import Shaped


def draw_losses(
    *,
    train_steps: Shaped[np.ndarray, " K"],
    train_loss: Shaped[np.ndarray, " K"],
    val_steps: Shaped[np.ndarray, " E"] | None = None,
    val_loss: Shaped[np.ndarray, " E"] | None = None,
    learning_rate: Shaped[np.ndarray, " K"] | None = None,
    horizon: Shaped[np.ndarray, " K"] | None = None,
    best_step: int | None = None,
) -> Figure:
    """Training and validation loss over the steps, with the schedule that they saw.

    Args:
        train_steps, train_loss: loss of each step, shape (K,); smoothed by a running median.
        val_steps, val_loss: step after which an epoch was validated and its loss, shape (E,).
        learning_rate, horizon: rate and time steps of the rollout at each step, shape (K,).
        best_step: the step with the best parameters.

    A loss that is zero or not finite leaves a gap: the axis is logarithmic.
    """
    extra = [
        (label, values)
        for label, values in (("learning rate", learning_rate), ("horizon [steps]", horizon))
        if values is not None
    ]
    figure = make_figure("Loss of the network", 12.0, 5.0 + 1.2 * len(extra))
    axes = add_panels(
        figure,
        1 + len(extra),
        1,
        foot=legend_height(6, 6),
        above=0.1,
        inner=NOTHING,
        sharex=True,
        height_ratios=[4.5] + [1] * len(extra),
    )
    main = axes[0]
    many = len(train_loss) >= 10
    main.plot(
        train_steps,
        train_loss,
        ".-",
        color=PREDICTED,
        alpha=0.3 if many else 1.0,
        linewidth=0.7,
        markersize=3 if many else 8,
        label="training",
    )
    if many:
        centres, medians = _running_median(train_steps, train_loss)
        main.plot(centres, medians, color=PREDICTED, linewidth=2.2, label="training, running median")
    if val_steps is not None and val_loss is not None and len(val_steps):
        main.plot(val_steps, val_loss, "o-", color=BASELINE, markersize=4, label="validation")
        if best_step is not None and best_step in val_steps:
            best = val_loss[list(val_steps).index(best_step)]
            main.plot(
                best_step,
                best,
                "*",
                color=TRUTH,
                markersize=14,
                label=f"best: {best:.3g} at step {best_step}",
            )
    set_log(main, np.concatenate([train_loss, [] if val_loss is None else val_loss]))
    main.set_ylabel("loss [–]")
    for ax, (label, values) in zip(axes[1:], extra, strict=True):
        ax.plot(train_steps, values, ".-", color=CONTROL, markersize=2, drawstyle="steps-post")
        ax.set_ylabel(label)
    if learning_rate is not None:
        set_log(axes[1], learning_rate)
        drops = train_steps[1:][learning_rate[1:] < learning_rate[:-1]]
        # A rate that falls at every step (a decay) is shown in its own panel alone.
        for number, step in enumerate(drops if len(drops) <= 12 else []):
            label = "_" if number else "learning rate drops"
            main.axvline(step, color=MUTED, linestyle=":", linewidth=1.2, label=label)
    if horizon is not None:
        axes[-1].yaxis.set_major_locator(MaxNLocator(3, integer=True, steps=ROUND))
        axes[-1].set_ylim(0, 1.15 * max(horizon))
        if horizon[0] < max(horizon):
            full = train_steps[np.argmax(horizon == max(horizon))]
            main.axvline(full, color=CONTROL, linestyle="--", linewidth=1.2, label="curriculum ends")
    margin = max(1.0, 0.02 * float(train_steps[-1] - train_steps[0]))
    main.set_xlim(train_steps[0] - margin, train_steps[-1] + margin)
    axes[-1].set_xlabel("training step")
    axes[-1].xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=ROUND))
    add_legend(figure, *main.get_legend_handles_labels(), columns=6)
    return figure


def _running_median(
    steps: Shaped[np.ndarray, " K"], values: Shaped[np.ndarray, " K"]
) -> tuple[np.ndarray, np.ndarray]:
    """At most 200 medians over a fiftieth of the finite values each: single bad batches do not show."""
    finite = np.isfinite(values)
    steps, values = steps[finite], values[finite]
    half = max(2, len(values) // 100)
    centres = np.unique(np.linspace(0, max(len(values) - 1, 0), min(len(values), 200)).astype(int))
    medians = [np.median(values[max(0, i - half) : i + half + 1]) for i in centres]
    return steps[centres], np.array(medians)
