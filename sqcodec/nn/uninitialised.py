"""Networks whose weights come from a file, made without drawing any first: that would take longer than reading them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

_DRAWS = (Tensor.uniform_, Tensor.normal_, Tensor.erfinv_)


class NoInitialisation(TorchFunctionMode):
    """Within it, initialisers leave tensors as they were allocated, with arbitrary values.

    The meta device would do the same, but with it some operations import torch._dynamo, which takes a second.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call `func`, but for initialisers."""
        named = kwargs or {}
        if func in _DRAWS or getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else named["tensor"]
        return func(*args, **named)
