"""The compute device: the names that `device` takes."""

import torch

from sqcodec.errors import SqcodecError


def find_device(name: str) -> torch.device:
    """The device of `auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:N`.

    Raises SqcodecError: the name is another one, or this machine has no such device.
    """
    kind, _, index = name.partition(":")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind not in ("cpu", "cuda") or (index and not index.isdigit()):
        raise SqcodecError(f"device {name!r}: expected auto, cpu, cuda or cuda:N")
    if kind == "cuda" and not int(index or 0) < torch.cuda.device_count():
        raise SqcodecError(
            f"device {name!r}: this machine has {torch.cuda.device_count()} CUDA device(s); use `device` cpu"
        )
    return torch.device(f"{kind}:{index}" if index else kind)
