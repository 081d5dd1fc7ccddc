"""Skip the random initialisation of networks whose weights are about to be loaded: it takes longer than loading."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

_DRAWS = (Tensor.uniform_, Tensor.normal_, Tensor.erfinv_)


class NoInitialisation(TorchFunctionMode):
    """A context in which initialisers do nothing: tensors keep the arbitrary values of their memory.

    The meta device would do the same, but with it some operations import torch._dynamo, which takes a second.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call `func`, unless it is an initialiser."""
        named = kwargs or {}
        if func in _DRAWS or getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else named["tensor"]
        return func(*args, **named)
