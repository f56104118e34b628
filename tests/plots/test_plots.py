"""Figures by their content: what is drawn, in which unit, within which limits."""

import dataclasses
import errno
import os

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex

from pct import plots
from pct.dynamics.core import Channel, Parameter, define_model
from pct.errors import DataError
from pct.pages.charts import forest_figure
from pct.plots.layout import make_figure

SPEC = define_model(
    "sketch",
    states=(
        Channel("x", "x", "m", scale=0.1),
        Channel("y", "y", "m", scale=0.1),
        Channel("psi", r"\psi", "rad", angle=True, scale=0.05),
    ),
    controls=(Channel("accel", "a", "m/s^2"),),
    parameters=(
        Parameter("mu", r"\mu", "1", 0.2, 1.2, 0.9, "friction"),
        Parameter("C", "C", "N/rad", 1e2, 1e5, 1e3, "stiffness", log=True),
        Parameter("A", "A", "1/s", -5.0, 5.0, 0.0, "matrix", shape=(2, 3)),
        Parameter("b", "b", "1", -5.0, 5.0, 0.0, "vector", shape=(4,)),
    ),
    derivative=lambda x, u, p, xp: x,
)
TIMES = 0.1 * np.arange(11)


def lines(ax, color=None):
    return [line for line in ax.lines if color is None or to_hex(line.get_color()).upper() == color]


def panel(figure, label):
    (ax,) = (ax for ax in figure.axes if ax.get_ylabel() == label and not hasattr(ax, "_colorbar"))
    return ax


def texts(ax):
    return [text.get_text() for text in ax.texts]


def drive(heading=0.0, offset=0.0):
    """A straight drive at 10 m/s, shape (11, 3)."""
    states = np.zeros((11, 3))
    states[:, 0] = 10 * TIMES
    states[:, 1] = offset * TIMES
    states[:, 2] = heading
    return states


def scenario(**changes):
    arguments = {
        "spec": SPEC,
        "times": TIMES,
        "true_states": drive(),
        "predicted_states": drive(offset=0.5),
        "controls": np.arange(10.0)[:, None],
        "title": "a window",
    }
    return plots.draw_scenario(**arguments | changes)


# --- Files


def test_a_figure_is_written_whole_and_leaves_the_style_of_others_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    path = tmp_path / "pct_network_loss.png"
    plots.to_png(path, plots.draw_losses, train_steps=np.arange(1, 31), train_loss=np.ones(30))
    assert dict(matplotlib.rcParams) == before
    assert list(tmp_path.iterdir()) == [path]
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert content.endswith(b"IEND\xaeB`\x82")
    assert int.from_bytes(content[16:20], "big") == 1440  # width in pixels


def test_every_plot_writes_a_file(tmp_path):
    plots.to_png(
        tmp_path / "a.png",
        plots.draw_scenario,
        spec=SPEC,
        times=TIMES,
        true_states=drive(),
        predicted_states=drive(offset=1),
        controls=np.ones((10, 1)),
        title="a",
    )
    values = {"mu": np.full(11, 0.5), "A": np.ones((11, 2, 3))}
    plots.to_png(tmp_path / "b.png", plots.draw_parameters, spec=SPEC, times=TIMES, values=values, title="b")
    plots.to_png(
        tmp_path / "c.png",
        plots.draw_error_growth,
        spec=SPEC,
        dt=0.1,
        errors={"trained": np.ones((5, 3))},
        title="c",
    )
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "b.png", "c.png"}


def test_a_full_disk_is_a_data_error(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"loss\.png: cannot write \(No space left on device\)"):
        plots.to_png(
            tmp_path / "loss.png", plots.draw_losses, train_steps=np.arange(2), train_loss=np.ones(2)
        )
    assert list(tmp_path.iterdir()) == []


# --- Losses


def test_losses_show_schedule_and_best():
    steps = np.arange(1, 101)
    figure = plots.draw_losses(
        train_steps=steps,
        train_loss=np.exp(-steps / 50),
        val_steps=np.array([25, 50, 75, 100]),
        val_loss=np.array([0.7, 0.4, 0.3, 0.35]),
        learning_rate=np.where(steps < 60, 1e-3, 5e-4),
        horizon=np.where(steps < 30, 10, 50),
        best_step=75,
    )
    main, rate, horizon = figure.axes
    assert main.get_yscale() == rate.get_yscale() == "log"
    assert horizon.get_xlabel() == "training step"
    drawn = {line.get_label(): line for line in main.lines}
    assert list(drawn["validation"].get_xdata()) == [25, 50, 75, 100]
    assert (drawn["best: 0.3 at step 75"].get_xdata(), drawn["best: 0.3 at step 75"].get_ydata()) == (
        [75],
        [0.3],
    )
    assert drawn["learning rate drops"].get_xdata() == [60, 60]
    assert drawn["curriculum ends"].get_xdata() == [30, 30]
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == list(drawn)


def test_the_median_does_not_follow_one_bad_batch():
    loss = np.ones(300)
    loss[150] = 1e5
    main = plots.draw_losses(train_steps=np.arange(300), train_loss=loss).axes[0]
    raw, median = main.lines
    assert max(raw.get_ydata()) == 1e5
    assert set(median.get_ydata()) == {1.0}


@pytest.mark.parametrize(
    ("loss", "scale"),
    [
        ([0.5], "log"),
        ([0.0] * 20, "linear"),
        ([np.nan] * 20, "linear"),
        ([1.0, 0.0, np.nan, np.inf] * 5, "log"),
    ],
)
def test_a_loss_of_any_kind_is_drawn(tmp_path, loss, scale):
    arguments = {
        "train_steps": np.arange(len(loss)),
        "train_loss": np.array(loss),
        "val_steps": np.array([]),
        "val_loss": np.array([]),
        "learning_rate": np.full(len(loss), 1e-3),
        "horizon": np.full(len(loss), 50),
    }
    plots.to_png(tmp_path / "loss.png", plots.draw_losses, **arguments)
    figure = plots.draw_losses(**arguments)
    assert figure.axes[0].get_yscale() == scale
    assert "validation" not in [line.get_label() for line in figure.axes[0].lines]


def test_a_rate_that_always_falls_has_no_drop_lines():
    rate = np.linspace(1e-3, 1e-4, 100)
    figure = plots.draw_losses(train_steps=np.arange(100), train_loss=np.ones(100), learning_rate=rate)
    assert len(figure.axes[0].lines) == 2


# --- One window


def test_scenario_has_the_path_and_a_panel_for_each_channel():
    figure = scenario(baseline_states=drive(offset=2), baseline_label="default parameters")
    path, *panels = figure.axes
    assert [ax.get_ylabel() for ax in panels] == ["$x$ [m]", "$y$ [m]", r"$\psi$ [rad]", "$a$ [m/s$^{2}$]"]
    assert (path.get_xlabel(), path.get_ylabel()) == ("$x$ [m]", "$y$ [m]")
    assert path.get_aspect() == 1
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["driven", "trained network", "default parameters", "start"]
    assert [len(ax.lines) for ax in panels] == [3, 3, 3, 0]
    assert panels[-1].get_xlabel() == "time [s]"


def test_scenario_without_a_baseline():
    figure = scenario()
    assert [len(ax.lines) for ax in figure.axes[1:4]] == [2, 2, 2]


def test_path_and_end_error_stand_above_the_panel():
    """An error that grows linearly to 0.5 m: RMSE 0.5 sqrt(mean((k/10)^2), k = 0..10) = 0.296 m."""
    ax = panel_of_state(scenario(baseline_states=drive(offset=-2)), "$y$ [m]")
    assert texts(ax) == ["RMSE 0.3, at the end 0.5", "RMSE 1.2, at the end 2"]


def panel_of_state(figure, label):
    return next(ax for ax in figure.axes[1:] if ax.get_ylabel() == label)


def test_angles_are_drawn_without_jumps_and_their_error_is_wrapped():
    truth = drive(heading=np.pi - 0.05 + 0.1 * np.arange(11))
    truth[:, 2] = (truth[:, 2] + np.pi) % (2 * np.pi) - np.pi
    predicted = truth.copy()
    predicted[:, 2] += 0.1 - 4 * np.pi
    ax = panel_of_state(scenario(true_states=truth, predicted_states=predicted), r"$\psi$ [rad]")
    drawn, ours = (line.get_ydata() for line in ax.lines)
    np.testing.assert_allclose(np.diff(drawn), 0.1)
    np.testing.assert_allclose(ours - drawn, 0.1)
    assert texts(ax) == ["RMSE 0.1, at the end 0.1"]


def test_controls_are_held_over_their_step():
    (step,) = scenario().axes[-1].patches
    values, edges, _ = step.get_data()
    np.testing.assert_array_equal(values, np.arange(10.0))
    np.testing.assert_array_equal(edges, TIMES)


@pytest.mark.parametrize("value", [1e9, 1e300, np.nan, np.inf])
def test_a_baseline_that_blows_up_does_not_hide_the_rest(tmp_path, value):
    wild = drive()
    wild[5:] = value
    figure = scenario(baseline_states=wild)
    assert len(figure.axes) >= 4
    for ax in figure.axes[:4]:
        assert np.ptp(ax.get_ylim()) < 100
    figure.savefig(tmp_path / "a.png")


def test_standstill_is_drawn_at_a_sensible_scale(tmp_path):
    still = np.full((11, 3), 1e-12) * np.arange(11)[:, None]
    figure = scenario(true_states=still, predicted_states=still)
    assert np.ptp(figure.axes[0].get_xlim()) >= 1.0
    assert np.ptp(figure.axes[2].get_ylim()) == pytest.approx(0.1)


def test_an_arrow_points_along_the_drive():
    backwards = drive()[::-1]
    (arrow,) = scenario(true_states=backwards, predicted_states=backwards).axes[0].texts
    assert arrow.xy[0] < arrow.xyann[0]


# --- Parameters


def test_parameters_stand_between_their_bounds():
    values = {"mu": np.linspace(0.4, 0.6, 11), "C": np.full(11, 5e3)}
    truth = {"mu": np.full(11, 0.5)}
    patched = dataclasses.replace(
        SPEC,
        param_bounds={**SPEC.param_bounds, "mu": (0.0, 2.0)},
        default_params={**SPEC.default_params, "mu": 0.8},
    )
    figure = plots.draw_parameters(spec=patched, times=TIMES, values=values, truth=truth, title="t")
    mu, stiffness = figure.axes
    assert (mu.get_ylabel(), stiffness.get_ylabel()) == (r"$\mu$ [–]", "$C$ [N/rad]")
    assert (mu.get_yscale(), stiffness.get_yscale()) == ("linear", "log")
    assert {line.get_ydata()[0] for line in lines(mu, plots.MUTED)} == {0.0, 2.0}
    assert {line.get_ydata()[0] for line in lines(stiffness, plots.MUTED)} == {1e2, 1e5}
    assert lines(mu, plots.BASELINE)[0].get_ydata()[0] == 0.8
    np.testing.assert_array_equal(lines(mu, plots.TRUTH)[0].get_ydata(), truth["mu"])
    assert lines(stiffness, plots.TRUTH) == []
    low, high = mu.get_ylim()
    assert -0.3 < low < 0.0
    assert 2.0 < high < 2.3
    assert mu.get_title("left") == "mu"
    assert mu.get_title("right") == "0.5 ± 0.063"


def test_recordings_stand_side_by_side_with_a_gap():
    times = np.array([5.0, 5.1, 5.2, 1.0, 1.1, 9.0, 1.2])
    recording = np.array([0, 0, 0, 1, 1, 2, 1])
    values = {"mu": np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.6])}
    figure = plots.draw_parameters(spec=SPEC, times=times, values=values, recording=recording, title="t")
    (line,) = lines(figure.axes[0], plots.PREDICTED)
    np.testing.assert_array_equal(line.get_ydata(), [0.1, 0.2, 0.3, np.nan, 0.4, 0.5, 0.6, np.nan, 0.7])
    x = line.get_xdata()
    np.testing.assert_allclose(x, [0, 0.1, 0.2, np.nan, 0.4, 0.5, 0.6, np.nan, 0.8])
    assert "side by side" in figure.axes[0].get_xlabel()


def test_a_pause_breaks_the_line():
    times = np.concatenate([TIMES, TIMES + 100])
    figure = plots.draw_parameters(spec=SPEC, times=times, values={"mu": np.full(22, 0.5)}, title="t")
    (line,) = lines(figure.axes[0], plots.PREDICTED)
    assert list(np.flatnonzero(np.isnan(line.get_ydata()))) == [11]


def test_array_parameters_are_summed_up_entry_by_entry():
    entries = np.array([[1.0, 2.0, 3.0], [-4.0, 0.0, 0.5]])
    values = {
        "mu": np.full(3, 0.5),
        "A": entries + np.array([-1.0, 0.0, 2.0])[:, None, None],
        "b": np.zeros((3, 4)),
    }
    figure = plots.draw_parameters(spec=SPEC, times=TIMES[:3], values=values, title="t")
    maps = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title("left").split(" along")[0] for ax in maps] == [
        "A: median",
        "A: range",
        "b: median",
        "b: range",
    ]
    np.testing.assert_array_equal(maps[0].images[0].get_array(), entries)
    np.testing.assert_array_equal(maps[1].images[0].get_array(), np.full((2, 3), 3.0))
    assert maps[0].images[0].get_clim() == (-4.0, 4.0)
    assert texts(maps[0]) == ["1", "2", "3", "-4", "0", "0.5"]
    assert maps[2].images[0].get_array().shape == (1, 4)
    assert maps[0].images[0].colorbar.ax.get_ylabel() == "$A$ [1/s]"


def test_a_single_prediction_is_drawn(tmp_path):
    plots.to_png(
        tmp_path / "a.png",
        plots.draw_parameters,
        spec=SPEC,
        times=np.array([0.0]),
        values={"mu": np.array([0.5])},
        recording=np.array([0]),
        title="t",
    )


# --- Error growth


def test_error_growth_starts_at_zero_and_keeps_its_styles():
    trained = np.linspace(0.1, 1.0, 10)[:, None] * np.ones(3)
    errors = {"trained": trained, "default parameters": 2 * trained}
    figure = plots.draw_error_growth(spec=SPEC, dt=0.1, errors=errors, title="t")
    assert [ax.get_ylabel() for ax in figure.axes] == [
        "RMSE of $x$ [m]",
        "RMSE of $y$ [m]",
        r"RMSE of $\psi$ [rad]",
    ]
    ours, default = figure.axes[0].lines
    np.testing.assert_allclose(ours.get_xdata(), 0.1 * np.arange(11))
    np.testing.assert_allclose(ours.get_ydata(), [0, *trained[:, 0]])
    assert default.get_linestyle() == "--"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(errors)
    assert figure.axes[0].get_ylim() == pytest.approx((0, 2.16))


@pytest.mark.parametrize("value", [1e9, np.nan])
def test_a_model_that_blows_up_does_not_press_the_others_down(value):
    errors = {"trained": np.ones((10, 3)), "default parameters": np.full((10, 3), value)}
    figure = plots.draw_error_growth(spec=SPEC, dt=0.1, errors=errors, title="t")
    assert figure.axes[0].get_ylim()[1] <= 10.8
    assert figure.axes[0].get_ylim()[1] >= 1.0


# --- A run beside its baselines

RUNGS = {"this run": 1.0, "hold": 10.0, "kinematic": 3.0}


def bands():
    """Value, low and high after each of five steps; the kinematic row has no heading."""
    rows = {
        label: {c.name: size * np.linspace(0.1, 1, 5)[:, None] * [1, 0.9, 1.2] for c in SPEC.states}
        for label, size in RUNGS.items()
    }
    del rows["kinematic"]["psi"]
    return rows


def test_growth_has_a_line_and_a_band_for_each_row():
    figure = plots.draw_growth_bands(dt=0.1, channels=SPEC.states, errors=bands(), title="t")
    x, _, psi = figure.axes
    assert [ax.get_ylabel() for ax in (x, psi)] == ["RMSE of $x$ [m]", r"RMSE of $\psi$ [rad]"]
    assert [len(ax.lines) for ax in figure.axes] == [3, 3, 2]
    assert [len(ax.collections) for ax in figure.axes] == [3, 3, 2]
    (run,) = lines(x, plots.PREDICTED)
    np.testing.assert_allclose(run.get_xydata()[:, 0], [0.1, 0.2, 0.3, 0.4, 0.5])
    np.testing.assert_allclose(run.get_xydata()[:, 1], np.linspace(0.1, 1, 5))
    edges = x.collections[0].get_paths()[0].vertices[:, 1]
    assert (edges.min(), edges.max()) == pytest.approx((0.09, 1.2))
    assert x.get_yscale() == "log"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(RUNGS)


def test_the_ladder_shows_value_interval_and_dash():
    errors = {label: {name: tuple(rows[-1]) for name, rows in by.items()} for label, by in bands().items()}
    errors["diverging"] = {"x": (np.inf, np.nan, np.nan)}
    figure = plots.draw_ladder(channels=SPEC.states, errors=errors, title="t")
    x, _, psi = figure.axes
    assert [text.get_text() for text in x.get_yticklabels()] == list(errors)
    assert texts(x) == ["1", "10", "3", "diverged"]
    assert texts(psi) == ["1", "10", "–", "–"]
    whisker, point = lines(x, plots.PREDICTED)
    np.testing.assert_allclose(whisker.get_xdata(), [0.9, 1.2])
    np.testing.assert_allclose(point.get_xydata(), [[1.0, 0.0]])
    assert psi.get_xlabel() == r"$\psi$ [rad]"


def test_bins_have_their_values_in_the_middle():
    values = {label: size * np.array([[1, 0.9, 1.1], [2, 1.8, 2.2]]) for label, size in RUNGS.items()}
    figure = plots.draw_bins(
        channel=SPEC.states[0],
        conditions=[("speed", "m/s", np.array([1.0, 3.0, 7.0]))],
        errors=[values],
        title="t",
    )
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("speed [m/s]", "RMSE of $x$ [m]")
    (middle,) = (line for line in ax.lines if list(line.get_ydata()) == [10.0, 20.0])
    np.testing.assert_allclose(middle.get_xdata(), [2.0, 5.0])
    assert [line.get_xdata()[0] for line in lines(ax, plots.MUTED)][-3:] == [1.0, 3.0, 7.0]


@pytest.mark.parametrize("value", [0.0, np.inf, 1e25])
def test_errors_of_any_size_are_drawn_as_svg(value):
    point = (value, value, value)
    errors = {"this run": {"x": point, "y": (1.0, 0.5, 2.0)}, "hold": {"x": point}}
    grown = {"this run": {c.name: np.array([point] * 3) for c in SPEC.states}}
    binned = {"this run": np.array([point, point])}
    for svg in (
        plots.to_svg(plots.draw_ladder, channels=SPEC.states, errors=errors, title="t"),
        plots.to_svg(plots.draw_growth_bands, dt=0.1, channels=SPEC.states, errors=grown, title="t"),
        plots.to_svg(
            plots.draw_bins,
            channel=SPEC.states[0],
            conditions=[("speed", "m/s", np.array([0.0, 1.0, 2.0]))],
            errors=[binned],
            title="t",
        ),
    ):
        assert svg.startswith(b"<?xml")
        assert svg.rstrip().endswith(b"</svg>")


def test_the_same_figure_has_the_same_bytes():
    svg = [
        plots.to_svg(plots.draw_growth_bands, dt=0.1, channels=SPEC.states, errors=bands(), title="t")
        for _ in range(2)
    ]
    assert svg[0] == svg[1]


# --- A fit


def band(x, value, room, reached):
    return plots.Band(x, value, value - room, value + room, reached)


def test_curves_have_units_and_shade_what_was_not_reached():
    x = np.linspace(-0.3, 0.3, 61)
    # Beyond what was driven the band opens without end, and is cut off.
    room = np.where(np.abs(x) > 0.2, 1e3, 0.5)
    force = plots.Panel(
        "front axle", ("slip angle", "rad"), ("side force", "N"), {"f": band(x, 20 * x, room, (-0.1, 0.2))}
    )
    drive = {name: band(x, slope * x, 0.1, (-0.3, 0.3)) for name, slope in (("full", 2), ("coast", 1))}
    along = plots.Panel("along", ("speed", "m/s"), ("drive force", "N s^2"), drive)
    figure = plots.draw_curves(panels=[force, along], title="a fit")
    left, right = figure.axes
    assert left.get_xlabel() == "slip angle [rad]"
    assert left.get_ylabel() == "side force [N]"
    assert right.get_ylabel() == "drive force [N s$^{2}$]"
    assert left.get_ylim()[1] < 10
    shaded = [patch.get_bbox() for patch in left.patches]
    assert [(box.x0, box.x1) for box in shaded] == [(-0.3, -0.1), (0.2, 0.3)]
    assert all(box.width == 0 for box in (patch.get_bbox() for patch in right.patches))
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["full", "coast"]
    assert left.get_legend() is None


def test_correlations_write_the_strong_ones():
    correlation = np.array([[1.0, -0.9, 0.2], [-0.9, 1.0, 0.6], [0.2, 0.6, 1.0]])
    figure = plots.draw_correlations(names=["a", "b", "c"], correlation=correlation, title="a fit")
    ax = figure.axes[0]
    assert sorted(texts(ax)) == ["-0.9", "-0.9", "0.6", "0.6"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    assert ax.images[0].get_clim() == (-1, 1)


def test_residuals_mark_windows_that_were_left_out():
    errors = np.array([[0.1, 0.2], [50.0, np.inf], [-0.2, 0.1]])
    accepted = np.array([True, False, True])
    figure = plots.draw_residuals(
        channels=SPEC.states[1:],
        times=np.arange(3.0),
        errors=errors,
        accepted=accepted,
        breaks=[1.5],
        title="a fit",
    )
    y, psi = figure.axes
    assert lines(y, plots.PREDICTED)[0].get_ydata().tolist() == [0.1, -0.2]
    assert lines(y, plots.BASELINE)[0].get_ydata().tolist() == [50.0]
    assert y.get_ylim()[1] < 1
    assert [line.get_xdata()[0] for line in lines(psi, plots.MUTED)] == [0, 1.5]
    assert psi.get_ylabel() == r"$\psi$ [rad]"


def test_a_profile_shows_its_interval_and_ends():
    figure = plots.draw_profile(
        symbol="D_f",
        unit="N",
        values=np.array([1.0, 2.0, 3.0, 4.0]),
        excess=np.array([9.0, 0.0, 1.0, 2.0]),
        limit=3.84,
        interval=(1.4, None),
        best=2.1,
        default=9.0,
        title="a profile",
    )
    (ax,) = figure.axes
    assert ax.get_xlabel() == "$D_f$ [N]"
    assert [(patch.get_bbox().x0, patch.get_bbox().x1) for patch in ax.patches] == [(1.4, 4.0)]
    assert lines(ax, plots.MUTED)[0].get_ydata()[0] == 3.84
    # A default far outside would press the profile together.
    assert lines(ax, plots.BASELINE) == []


def test_logarithmic_axes_have_plain_numbers():
    errors = {"run": {"x": (0.2, 0.19, 0.22)}, "hold": {"x": (0.4, 0.38, 0.42)}}
    figure = plots.draw_ladder(channels=SPEC.states[:1], errors=errors, title="a ladder")
    figure.canvas.draw()
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels(which="both")]
    assert {"0.2", "0.3", "0.4"} <= set(labels)
    assert not any("e" in label for label in labels)


# --- The card of a dataset


def card_samples(rows=400):
    t = np.linspace(0.0, 4 * np.pi, rows)
    return {
        "x": 30 * np.cos(t),
        "y": 10 * np.sin(t),
        "v": 5 + 2 * np.sin(t),
        "ax": 3 * np.cos(t),
        "ay": 4 * np.sin(t),
        "beta": 0.1 * np.sin(t),
        "delta": 0.2 * np.sin(2 * t),
        "recording": np.repeat([0.0, 1.0], rows // 2),
        "seconds": np.full(rows, 0.5),
    }


def drawn(name, samples):
    _, draw = plots.card_figures(samples)[name]
    return draw().axes


def test_the_path_does_not_join_recordings():
    samples = card_samples()
    ax, bar = drawn("path", samples)
    (lines,) = ax.collections
    points = np.stack([samples["x"], samples["y"]], axis=-1)
    speed = 0.5 * (samples["v"][1:] + samples["v"][:-1])
    shade = np.ptp(lines.norm.inverse([0.0, 1.0])) / 32
    shown = set()
    for line, colored in zip(lines.get_paths(), lines.get_array(), strict=True):
        for start, end, gap in line.vertices.reshape(-1, 3, 2):
            (row,) = np.flatnonzero((points == start).all(axis=1))
            assert (points[row + 1] == end).all()
            assert np.isnan(gap).all()
            assert abs(speed[row] - colored) < 0.51 * shade
            shown.add(row)
    assert shown == set(range(399)) - {199}
    assert ax.get_aspect() == 1.0
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x$ [m]", "$y$ [m]")
    assert bar.get_ylabel() == "speed $v$ [m/s]"


def test_bars_add_up_to_the_time_driven():
    samples = card_samples()
    (ax,) = drawn("speed", samples)
    assert sum(bar.get_height() for bar in ax.patches) == pytest.approx(200.0)
    assert ax.get_ylabel() == "time [s]"
    samples["seconds"] = 360 * samples["seconds"]
    (ax,) = drawn("speed", samples)
    assert sum(bar.get_height() for bar in ax.patches) == pytest.approx(20.0)
    assert ax.get_ylabel() == "time [h]"


def test_accelerations_have_circles_of_constant_size():
    ax, bar = drawn("accelerations", card_samples())
    assert [circle.radius / 9.81 for circle in ax.patches] == pytest.approx([0.25, 0.5, 0.75])
    assert texts(ax) == ["0.25 g", "0.5 g"]
    assert ax.get_ylabel().startswith("across $a_y$ [m/s$^{2}$]")
    cells = ax.collections[0]
    assert cells.get_array().sum() == pytest.approx(200.0)
    # The higher values of the drive lie across.
    reached = np.abs(cells.get_offsets()).max(axis=0)
    assert reached[1] == pytest.approx(4.0, abs=0.2)
    assert reached[0] == pytest.approx(3.0, abs=0.2)
    assert bar.get_ylabel() == "time [s]"


def test_a_spin_does_not_press_the_slip_angles_together():
    samples = card_samples()
    assert drawn("slip", samples)[0].get_title("right") == ""
    samples["beta"][10] = 3.0
    ax, _ = drawn("slip", samples)
    assert ax.get_ylim()[1] < 0.3
    assert ax.get_title("right") == "0.25 % of the time outside"
    assert ax.get_ylabel() == r"slip angle $\beta$ [rad]"


def test_the_figures_show_what_is_known():
    samples = card_samples()
    assert list(plots.card_figures(samples)) == ["path", "speed", "accelerations", "slip", "steering"]
    without = {name: samples[name] for name in ("v", "delta", "recording", "seconds")}
    assert list(plots.card_figures(without)) == ["speed", "steering"]


def test_a_vehicle_that_stands_is_drawn():
    samples = {name: 0 * column + (name == "seconds") for name, column in card_samples().items()}
    samples["beta"][3:] = np.nan
    for _, draw in plots.card_figures(samples).values():
        plots.as_png(draw)


@pytest.mark.parametrize("name", [r"$\frac$", "$5", "a\x1b[31m", "two\nlines", "[1] %s {} <b>"])
def test_a_name_in_a_title_is_text(tmp_path, name):
    assert scenario(title=name).get_suptitle().replace(r"\$", "$") == name.replace("\x1b", r"\x1b")
    plots.to_png(tmp_path / "name.png", scenario, title=name)


def test_a_figure_shows_itself_in_a_notebook_without_pyplot() -> None:
    figure = plots.in_style(make_figure, "drive", 3.0, 2.0)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_values_at_a_bound_do_not_spread_their_rounding_over_an_axis() -> None:
    values, errors = np.array([0.1, 0.1 + 1e-12]), np.array([1e-11, 0.0])
    at = plots.Forest(r"\mu", "1", "mu", values, errors, np.zeros(2, bool), None)
    assert at.flat == pytest.approx((0.099, 0.101))
    for used in (at.used, ~at.used):
        figure = plots.draw_agreement(names=["a", "b"], forests=[at._replace(used=used)], title="two cars")
        assert figure.axes[0].get_xlim() == pytest.approx((0.099, 0.101))
        step = forest_figure(["a", "b"], [at._replace(used=used)], "quantity").by["quantity"][0]
        assert step.layout["xaxis"]["range"] == pytest.approx([0.099, 0.101])
    apart = at._replace(values=np.array([0.1, 0.101]))
    assert apart.flat is None
    assert at._replace(next=(0.05, 0.15)).flat is None
