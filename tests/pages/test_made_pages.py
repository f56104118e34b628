"""Pages of tracks, designs and datasets: what their figures show."""

from __future__ import annotations

import numpy as np
import pytest

from pages.made_pages import drive, samples, track_page
from pages.read import figures_of_page
from pages.test_pages import NAME
from pct.pages.courses import MOST, course_figure, course_map, thin
from pct.pages.driven import driven_figures
from pct.pages.plans import Limited, limited_figure, plan_figure

# Tracks.


def test_a_control_leads_from_drive_to_drive() -> None:
    drives = [drive("a"), drive("b", rows=80)]
    figure = course_figure(drives, "drive")
    assert [len(step.data[1]["x"]) for step in figure.by["drive"]] == [50, 80]
    assert figure.data[1]["x"] == figure.by["drive"][0].data[1]["x"]
    # A band and a line, as it drives and with the whole drive, for each quantity.
    assert [trace["yaxis"] for trace in figure.data] == ["y"] * 4 + ["y2"] * 4
    assert [trace["showlegend"] for trace in figure.data].count(True) == 2


def test_what_is_not_told_and_what_changed_are_marked_in_their_panel() -> None:
    layout = course_figure([drive("a")], "drive").by["drive"][0].layout
    spans = [(shape["yref"], round(shape["x0"], 6), round(shape["x1"], 6)) for shape in layout["shapes"]]
    assert spans == [("y domain", 1.0, 2.0), ("y domain", 2.9, 3.2), ("y domain", 3.0, 3.0)]
    low, high = layout["yaxis"]["range"]
    assert low < 0.6 < 0.9 < high
    assert layout["yaxis2"]["range"][0] > 2.0


def test_the_map_is_coloured_by_what_is_known_with_the_whole_drive() -> None:
    figure = course_map([drive("a")], 0, "drive")
    _, dots, rings = figure.by["drive"][0].data
    assert dots["marker"]["color"][0] == pytest.approx(0.7)
    assert dots["marker"]["color"][-1] == pytest.approx(0.8)
    assert dots["marker"]["size"].count(2) == 10
    # Dots of several sizes would be transparent, with an outline, and show another colour than the scale.
    assert (figure.data[1]["marker"]["opacity"], figure.data[1]["marker"]["line"]["width"]) == (1, 0)
    assert rings["x"] == pytest.approx([5 * np.cos(3.0)], abs=1e-3)


def test_long_drives_are_thinned_out() -> None:
    drives = thin([drive("a", rows=20_000), drive("b")])
    assert len(drives[0].t) == len(drives[0].known[0].untold) == drives[0].known[1].smoothed.shape[1]
    assert sum(len(one.t) * len(one.known) for one in drives) <= MOST
    assert len(drives[1].t) == 50


def test_the_page_of_a_track() -> None:
    page = track_page([NAME, "b"])
    figures = figures_of_page(page)
    assert set(figures) == {"time", "map-mu", "map-i"}
    assert "1 change in 2 drives; the largest: mu from 0.8 to 0.5 at 2.00 s of" in page
    assert "Nothing changed in 1 drive, as far as they tell." in track_page(["a"], changes=0)
    # As many drives as the page bears; the rest is in the table.
    many = track_page([f"drive {n}" for n in range(14)])
    assert len(figures_of_page(many)["time"]["by"]["drive"]) == 12
    assert "Figures of the other 2 drives" in many
    assert "drive 13" in many


# Designs.


def test_a_plan_has_arrows_along_the_way() -> None:
    t = 0.1 * np.arange(100)
    place = np.stack([t, 0 * t], axis=-1)
    square = np.array([[0.0, -1.0], [10.0, -1.0], [10.0, 1.0], [0.0, 1.0]])
    figure = plan_figure(edges=[square], times=t, place=place, speed=1 + t, cones=np.array([[3.0, 0.5]]))
    arrows = [one for one in figure.layout["annotations"] if one["showarrow"]]
    labels = [one for one in figure.layout["annotations"] if not one["showarrow"]]
    assert [one["text"] for one in labels] == ["2 s", "4 s", "6 s", "8 s"]
    # Beside the way, not on it.
    assert all(abs(one["yshift"]) > 10 and abs(one["xshift"]) < 1 for one in labels)
    assert [round(arrow["x"] - arrow["ax"], 6) for arrow in arrows] == [0.4] * 4
    edge, way, cone, start = figure.data
    assert (edge["x"][0], edge["y"][0]) == (edge["x"][-1], edge["y"][-1])
    assert way["marker"]["color"][-1] == pytest.approx(10.9)
    assert (cone["x"], start["x"]) == ([3.0], [0.0])


def test_limits_are_drawn_where_there_are_some() -> None:
    t = np.arange(3.0)
    curves = [Limited("speed", "m/s", t, 5.0, False), Limited("slip", "rad", t, 0.5, True)]
    figure = limited_figure(t, [*curves, Limited("steering", "rad", t, np.inf, True)])
    levels = [(one["yaxis"], one["y"][0]) for one in figure.data if one["name"] == "limit"]
    assert levels == [("y", 5.0), ("y2", 0.5), ("y2", -0.5)]


# Datasets.


def test_a_card_shows_what_is_known() -> None:
    known = samples()
    assert list(driven_figures(known)) == ["path", "speed", "accelerations", "slip", "steering"]
    assert list(driven_figures({name: known[name] for name in ("v", "delta", "recording", "seconds")})) == [
        "speed",
        "steering",
    ]


def test_bars_and_cells_add_up_to_the_time_driven() -> None:
    known = samples()
    bars = driven_figures(known)["speed"][1]
    assert sum(bars.data[0]["y"]) == pytest.approx(200.0, rel=1e-3)
    assert bars.layout["yaxis"]["title"]["text"] == "time [s]"
    cells = driven_figures(known)["accelerations"][1].data[0]
    spent = [10**value for row in cells["z"] for value in row if value is not None]
    assert sum(spent) == pytest.approx(200.0, rel=2e-3)
    # Rows of z go along y: the higher values of the drive lie across.
    across = [y for y, row in zip(cells["y"], cells["z"], strict=True) if any(z is not None for z in row)]
    assert max(across) == pytest.approx(4.0, abs=0.2)
    bars = driven_figures({**known, "seconds": 360 * known["seconds"]})["speed"][1]
    assert bars.layout["yaxis"]["title"]["text"] == "time [h]"


def test_circles_of_accelerations_are_of_constant_size() -> None:
    layout = driven_figures(samples())["accelerations"][1].layout
    assert [ring["x1"] / 9.81 for ring in layout["shapes"]] == pytest.approx([0.25, 0.5, 0.75])
    assert [label["text"] for label in layout["annotations"]] == ["0.25 g", "0.5 g"]


def test_a_spin_does_not_press_the_slip_angles_together() -> None:
    known = samples()
    assert "outside" not in driven_figures(known)["slip"][1].says
    known["beta"][10] = 3.0
    figure = driven_figures(known)["slip"][1]
    assert max(figure.data[0]["y"]) < 0.3
    assert "0.25 % of the time outside" in figure.says


def test_a_vehicle_that_stands_and_long_paths_are_drawn() -> None:
    still = {name: 0 * column + (name == "seconds") for name, column in samples().items()}
    still["beta"][3:] = np.nan
    assert len(driven_figures(still)) == 5
    path = driven_figures(samples(20_000))["path"][1]
    assert 1500 < len(path.data[0]["x"]) <= 3000
    # The fastest is on top.
    assert path.data[0]["marker"]["color"] == sorted(path.data[0]["marker"]["color"])
