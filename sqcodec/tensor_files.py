"""Tensors with a JSON header, in safetensors, and what torch.save wrote. No other module opens safetensors."""

import json
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from sqcodec.errors import SqcodecError
from sqcodec.storage import write_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

_LONGEST = 600  # characters of the reason why a file is refused: a hostile header may hold much


@dataclass(frozen=True, kw_only=True)
class TensorFormat:
    """A kind of safetensors file: under which key its header lies, up to which format it is read, and its errors.

    missing, newer ({found}, {newest}), expected: ends of the error texts for no file, a later format, another file.
    """

    key: str
    newest: int
    error: type[SqcodecError]
    missing: str
    newer: str
    expected: str

    def refusal(self, path: Path, error: Exception) -> SqcodecError:
        """The error for a file that is not of this kind; `error`: what was wrong."""
        reason = "; ".join(line.strip() for line in str(error).splitlines())
        reason = reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]}..."
        return self.error(f"{path}: {self.expected.format(reason=f'{type(error).__name__}: {reason}')}")


def save_tensors(path: Path, tensors: "Mapping[str, Tensor]", header: Mapping[str, Any], kind: TensorFormat) -> None:
    """Write tensors, from whatever device, under a JSON header. Raises the kind's error: cannot be written."""
    from safetensors.torch import save  # imports torch

    stored = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_bytes(path, save(stored, metadata={kind.key: json.dumps(header)}), error=kind.error)


def save_arrays(
    path: Path, arrays: "Mapping[str, NDArray[Any]]", header: Mapping[str, Any], kind: TensorFormat
) -> None:
    """As `save_tensors`, without torch. Raises the kind's error: cannot be written."""
    from safetensors.numpy import save

    write_bytes(path, save(dict(arrays), metadata={kind.key: json.dumps(header)}), error=kind.error)


def read_header(path: Path, kind: TensorFormat) -> dict[str, Any]:
    """The header alone. Raises the kind's error: missing, another kind of file, or of a later format."""
    with _opened(path, kind, "numpy") as file:
        return _header(file, path, kind)


def read_file(path: Path, kind: TensorFormat) -> "tuple[dict[str, Any], dict[str, NDArray[Any]]]":
    """The header and every tensor, in NumPy, of one state of the file.

    Raises as `read_header`, or if a number is not finite.
    """
    import numpy as np

    with _opened(path, kind, "numpy") as file:
        header, arrays = _header(file, path, kind), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name, array in arrays.items():
        _check_finite(array.dtype.kind != "f" or bool(np.isfinite(array).all()), name, path, kind)
    return header, arrays


def read_arrays(path: Path, prefix: str, kind: TensorFormat) -> "dict[str, NDArray[Any]]":
    """The tensors whose names begin with `prefix`, without it, in NumPy. Raises as `read_header`."""
    with _opened(path, kind, "numpy") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 - it is no mapping
        return {name.removeprefix(prefix): file.get_tensor(name) for name in names}


def read_tensors(path: Path, kind: TensorFormat) -> "tuple[dict[str, Any], dict[str, Tensor]]":
    """The header and every tensor, on the CPU. Raises as `read_header`, or if a number is not finite."""
    with _opened(path, kind, "pt") as file:
        header, tensors = _header(file, path, kind), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name, tensor in tensors.items():
        _check_finite(not tensor.is_floating_point() or bool(tensor.isfinite().all()), name, path, kind)
    return header, tensors


def _check_finite(finite: bool, name: str, path: Path, kind: TensorFormat) -> None:
    if not finite:
        raise kind.refusal(path, ValueError(f"{name} holds numbers that are not finite"))


def load_plain(path: Path, device: Any = "cpu") -> Any:
    """What torch.save wrote, tensors and plain values alone; nothing else is unpickled.

    Raises ValueError, one line: it holds more than that, or is damaged. OSError: it cannot be read.
    """
    import torch

    try:
        return torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(
            "it is no file of torch.save, or holds more than tensors and plain values: reading that would run code that"
            " the file brings along"
        ) from None
    except OSError:
        raise
    except Exception as error:  # torch's readers fail in many ways on damaged files
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
        raise ValueError(f"{type(error).__name__}: {reason}") from None


@contextmanager
def _opened(path: Path, kind: TensorFormat, framework: str) -> Iterator[Any]:
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except FileNotFoundError:
        raise kind.error(f"{path}: {kind.missing}") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError, AttributeError) as error:
        raise kind.refusal(path, error) from None  # AttributeError: numbers of a type that NumPy has not


def _header(file: Any, path: Path, kind: TensorFormat) -> dict[str, Any]:
    header = json.loads((file.metadata() or {})[kind.key])
    if header["format"] > kind.newest:
        raise kind.error(f"{path}: {kind.newer.format(found=header['format'], newest=kind.newest)}")
    assert isinstance(header, dict)
    return header
