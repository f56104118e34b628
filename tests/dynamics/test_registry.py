"""Models from a user's own file and from installed packages."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from pct.dynamics import MODEL_SPECS, get_model, load_model_file, registry, resolve_model
from pct.errors import UsageError

CART = """
from pct.dynamics import Channel, Parameter, define_model

def derivative(x, u, p, xp):
    return x._replace(x=p.gain * u.speed + 0.0 * x.x, y=0.0 * x.y, psi=0.0 * x.psi)

CART = define_model(
    "{name}",
    states=(Channel("x", "x", "m"), Channel("y", "y", "m"), Channel("psi", "p", "rad", angle=True)),
    controls=(Channel("speed", "s", "m/s"),),
    parameters=(Parameter("gain", "g", "1", 0.0, 2.0, 1.0, "gain"),),
    derivative=derivative,
)
"""


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers does not stay."""
    before = dict(MODEL_SPECS)
    registry.load_installed_models.cache_clear()
    yield
    MODEL_SPECS.clear()
    MODEL_SPECS.update(before)
    registry.load_installed_models.cache_clear()


def file(folder: Path, text: str) -> Path:
    path = folder / "car.py"
    path.write_text(text)
    return path


def test_a_file_s_model_is_registered_once(tmp_path: Path) -> None:
    path = file(tmp_path, CART.format(name="cart"))
    spec = resolve_model(str(path))
    assert spec is get_model("cart") is load_model_file(path)


def test_a_file_may_register_its_model(tmp_path: Path) -> None:
    text = CART.format(name="cart-b") + "from pct.dynamics import register_model_spec as r\nr(CART)\n"
    assert load_model_file(file(tmp_path, text)) is get_model("cart-b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import pct.dynamics\n", "defines one model, found none"),
        (CART.format(name="a") + CART.format(name="b").replace("CART", "OTHER"), "found a, b"),
        ("1 / 0\n", "cannot be run: ZeroDivisionError"),
        (CART.format(name="unicycle"), "'unicycle' is already registered: rename it"),
    ],
)
def test_a_file_that_gives_no_model(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_model_file(file(tmp_path, text))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"`model=.*gone\.py`: .*no such file"):
        resolve_model(tmp_path / "gone.py")


def test_an_installed_package_offers_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cart_package.py").write_text(CART.format(name="installed-cart"))
    monkeypatch.syspath_prepend(tmp_path)
    offered = [EntryPoint("cart", "cart_package:CART", registry.ENTRY_POINTS)]
    monkeypatch.setattr(registry.importlib.metadata, "entry_points", lambda group: offered)
    registry.load_installed_models.cache_clear()  # whatever was asked for before
    assert get_model("installed-cart").control_names == ("speed",)
    broken = EntryPoint("gone", "no_such_package:CART", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry.importlib.metadata, "entry_points", lambda group: [broken])
    registry.load_installed_models.cache_clear()
    with pytest.raises(UsageError, match="installed model 'gone'"):
        get_model("installed-boat")
