"""Neural speech codecs at a few hundred bit/s: train, use and measure Gaussian SQ-VAEs."""

from typing import TYPE_CHECKING, Any

from sqcodec import former_names
from sqcodec.errors import SqcodecError

if TYPE_CHECKING:
    from sqcodec.codes import Codes
    from sqcodec.pipeline.coding.codec import Codec, load

__version__ = "0.1.0"
former_names.install()
__all__ = ["Codec", "Codes", "SqcodecError", "__version__", "load"]


def __getattr__(name: str) -> Any:
    # Deferred: `import sqcodec` and `sqcodec --help` import neither torch nor numpy.
    if name in ("Codec", "load"):
        from sqcodec.pipeline.coding import codec

        return getattr(codec, name)
    if name == "Codes":
        from sqcodec.codes import Codes

        return Codes
    raise AttributeError(f"module 'sqcodec' has no attribute {name!r}")
