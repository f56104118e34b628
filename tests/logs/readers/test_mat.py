"""MATLAB files of versions 5 and 7.3: variables, fields and components; objects are refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from pct.errors import DataError
from pct.logs.readers import is_log, mat, read_log

T, V = 0.1 * np.arange(40), np.linspace(1.0, 3.0, 40)
STATES = np.stack([V, 2 * V, 3 * V], axis=1)


def version_5(path: Path, **more: Any) -> None:
    signals = np.array([(V, "a"), (2 * V, "b")], dtype=[("values", object), ("label", object)])
    content = {"t": T, "states": STATES, "log": {"speed": {"data": V}}, "signals": signals, "name": "lap"}
    scipy.io.savemat(path, {**content, **more}, do_compression=True)


def version_7(path: Path) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        file["t"] = T[None]
        file["states"] = STATES.T
        file["log/speed/data"] = V[None]
        file["name"] = np.array([[108], [97], [112]], np.uint16)
        file["name"].attrs["MATLAB_class"] = np.bytes_("char")
        file["#refs#/a"] = V
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")


@pytest.mark.parametrize("write", [version_5, version_7])
def test_variables_fields_and_components(tmp_path: Path, write: Any) -> None:
    path = tmp_path / "log.mat"
    write(path)
    assert is_log(path)
    raw = read_log(path, None, {})
    expected = {"t", "states[0]", "states[1]", "states[2]", "log.speed.data"}
    assert expected == {name for name in raw.columns if not name.startswith("signals")}
    np.testing.assert_array_equal(raw.columns["states[2]"], 3 * V)
    np.testing.assert_array_equal(raw.columns["log.speed.data"], V)
    if write is version_5:
        np.testing.assert_array_equal(raw.columns["signals[1].values"], 2 * V)
    else:
        assert raw.notes == ["left out, cells, texts or sparse matrices: name"]
    some = read_log(path, ["t", "states[1]"], {})
    assert list(some.columns) == ["t", "states[1]"]
    with pytest.raises(DataError, match=r"expected column 'w', found"):
        read_log(path, ["w"], {})


def test_objects_and_functions_are_refused(tmp_path: Path) -> None:
    made = np.array([(V,)], dtype=[("data", object)])
    path = tmp_path / "log.mat"
    version_5(path, inner={"car": scipy.io.matlab.MatlabObject(made, "timeseries")})
    with pytest.raises(DataError, match=r"'inner.car', found an object of MATLAB.*save its values as arrays"):
        read_log(path, None, {})
    # What a map does not name is not in its way.
    np.testing.assert_array_equal(read_log(path, ["t"], {}).columns["t"], T)
    version_7(tmp_path / "new.mat")
    with h5py.File(tmp_path / "new.mat", "r+") as file:
        file["t"].attrs["MATLAB_object_decode"] = 3
        file["f"] = V
        file["f"].attrs["MATLAB_class"] = np.bytes_("function_handle")
    for name, what in (("t", "an object"), ("f", "a function")):
        with pytest.raises(DataError, match=f"'{name}', found {what} of MATLAB"):
            read_log(tmp_path / "new.mat", [name], {})


def test_nothing_is_read_from_other_files(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["v"] = V
    (tmp_path / "raw").write_bytes(V.tobytes())
    with h5py.File(tmp_path / "log.mat", "w") as file:
        file["linked"] = h5py.ExternalLink("other.h5", "v")
        file["soft"] = h5py.SoftLink("/linked")
        file.create_dataset("outside", (40,), "f8", external=[(str(tmp_path / "raw"), 0, 320)])
        layout = h5py.VirtualLayout((40,), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "v", (40,))
        file.create_virtual_dataset("virtual", layout)
        loop = file.create_group("loop")
        loop["loop"] = loop
        file.create_dataset("huge", (1 << 24, 8), "f8", chunks=True)
    messages = {
        **dict.fromkeys(("linked", "soft"), "a link to another place"),
        **dict.fromkeys(("outside", "virtual"), "that another file has them"),
        "loop": "one inside itself",
        "huge": "unpack to 1.07e\\+03 MB",
    }
    for name, message in messages.items():
        with pytest.raises(DataError, match=message):
            mat.read_here(tmp_path / "log.mat", [name], {})


@pytest.mark.parametrize("write", [version_5, version_7])
def test_a_file_that_breaks_off_is_said(tmp_path: Path, write: Any) -> None:
    path = tmp_path / "log.mat"
    write(path)
    whole = path.read_bytes()
    for share in (0.2, 0.6, 0.95):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataError, match="expected"):
            mat.read_here(path, ["t", "states[0]", "log.speed.data", "signals[0].values"], {})
    path.write_bytes(b"no MATLAB" * 20)
    with pytest.raises(DataError, match="expected a MATLAB file"):
        mat.read_here(path, None, {})


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version_7(tmp_path / "log.mat")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "h5py" else found(name))
    with pytest.raises(DataError, match=r'version 7.3: cannot read it .*: pip install "pct-vehicle\[mat\]"'):
        read_log(tmp_path / "log.mat", None, {})
