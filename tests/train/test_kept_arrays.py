"""Arrays that are kept: any name comes back."""

import os
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from sqcodec.train.kept_arrays import read_arrays, write_arrays


def test_recordings_may_have_any_name(tmp_path: Path) -> None:
    names = (
        "file",
        "allow_pickle",
        "kwds",
        "speaker/one.npy",
        "gruß",
        "x" * 200,
        "100%41/caf%E9",
        os.fsdecode(b"a/caf\xe9 %41"),
    )
    arrays = {name: np.arange(place + 1, dtype="f4") for place, name in enumerate(names)}
    write_arrays(tmp_path / "kept.npz", arrays)
    kept = read_arrays(tmp_path / "kept.npz")
    assert kept.keys() == arrays.keys()
    assert all(np.array_equal(kept[name], array) for name, array in arrays.items())


def test_what_numpy_wrote_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "kept.npz", codes=np.arange(5), errors=np.zeros((2, 3), np.float16))
    kept = read_arrays(tmp_path / "kept.npz", ("codes", "errors"))
    assert kept["codes"].tolist() == [0, 1, 2, 3, 4]
    assert kept["errors"].dtype == np.float16


def test_names_that_are_utf_8_are_those_of_the_entries(tmp_path: Path) -> None:
    write_arrays(tmp_path / "kept.npz", {"anna/100%41 gruß": np.arange(2)})
    assert ZipFile(tmp_path / "kept.npz").namelist() == ["anna/100%41 gruß.npy"]
