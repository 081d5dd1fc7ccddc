"""Tensors with a JSON header come back as they were; every other file is one error."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sqcodec import tensor_files
from sqcodec.errors import ModelError
from sqcodec.tensor_files import TensorFormat, read_file, save_tensors

KIND = TensorFormat(
    key="test",
    newest=2,
    error=ModelError,
    missing="no such file",
    newer="format {found}, read up to {newest}",
    expected="not one of ours ({reason})",
)


def test_tensors_and_header_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "a"
    tensors = {"w": torch.arange(6.0).reshape(2, 3).T, "tables.n": torch.tensor([1, 2])}
    tensor_files.save_tensors(path, tensors, {"format": 2, "name": "é"}, KIND)
    assert tensor_files.read_header(path, KIND) == {"format": 2, "name": "é"}
    header, back = tensor_files.read_tensors(path, KIND)
    assert header == {"format": 2, "name": "é"}
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)
    arrays = tensor_files.read_arrays(path, "tables.", KIND)
    assert arrays.keys() == {"n"}
    assert np.array_equal(arrays["n"], [1, 2])


def test_every_unfit_tensor_file_is_one_error(tmp_path: Path) -> None:
    path, other = tmp_path / "a", TensorFormat(**{**vars(KIND), "key": "other"})
    with pytest.raises(ModelError, match=rf"^{path}: no such file$"):
        tensor_files.read_header(path, KIND)
    for header, text in [
        ({"format": 3}, "format 3, read up to 2"),
        ({"form": 1}, "not one of ours (KeyError: 'format')"),
        ([1], "not one of ours (TypeError: list indices must be integers or slices, not str)"),
    ]:
        tensor_files.save_tensors(path, {"w": torch.zeros(1)}, header, KIND)
        for read in (tensor_files.read_header, tensor_files.read_tensors):
            with pytest.raises(ModelError) as caught:
                read(path, KIND)
            assert str(caught.value) == f"{path}: {text}"
    with pytest.raises(ModelError, match=r"not one of ours \(KeyError: 'other'\)$"):
        tensor_files.read_header(path, other)
    for content in (b"", b"RIFF", path.read_bytes()[:-2]):
        path.write_bytes(content)
        for read in (
            tensor_files.read_header,
            tensor_files.read_tensors,
            lambda path, kind: tensor_files.read_arrays(path, "", kind),
        ):
            with pytest.raises(ModelError, match=r"not one of ours \(SafetensorError: "):
                read(path, KIND)


def test_numbers_of_a_type_that_numpy_has_not_are_one_error(tmp_path: Path) -> None:
    save_tensors(tmp_path / "a", {"x": torch.ones(4, dtype=torch.float8_e4m3fn)}, {"format": 1}, KIND)
    with pytest.raises(ModelError, match="float8_e4m3fn"):
        read_file(tmp_path / "a", KIND)
