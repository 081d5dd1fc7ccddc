"""The compute device: the names that `device` takes."""

from typing import TYPE_CHECKING

from sqcodec.errors import SqcodecError

if TYPE_CHECKING:
    import torch


def is_gpu(name: str) -> bool:
    """Whether a GPU is asked for by name: `cuda` or `cuda:N`. Raises SqcodecError: no name of a device."""
    kind, _, index = name.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and not index.isdigit()):
        raise SqcodecError(f"device {name!r}: expected auto, cpu, cuda or cuda:N")
    return kind == "cuda"


def find_device(name: str) -> "torch.device":
    """The device of `auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:N`, in torch.

    Raises SqcodecError: the name is another one, or this machine has no such device.
    """
    asked = is_gpu(name)
    import torch

    kind, _, index = name.partition(":")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if asked and not int(index or 0) < torch.cuda.device_count():
        raise SqcodecError(
            f"device {name!r}: this machine has {torch.cuda.device_count()} CUDA device(s); use `device` cpu"
        )
    return torch.device(f"{kind}:{index}" if index else kind)
