"""Neural speech codecs at a few hundred bit/s: train, use and measure Gaussian SQ-VAEs.

codec = sqcodec.load()                    the model that ships; sqcodec.load("runs/vctk") opens your own
codes = codec.encode("in.wav")            or samples with their rate: codec.encode(samples, 16000)
sound = codec.decode(codes)               float32 at codec.sample_rate
sqcodec.encode_file, decode_file          whole files
sqcodec.models()                          what ships
sqcodec.metrics.evaluate(a, b, rate)      PESQ, STOI, DNSMOS and more of a pair of signals
sqcodec.StreamEncoder, StreamDecoder      live: packets of 40 ms
sqcodec.plot("in.wav")                    spectrograms and codes over time
"""

import importlib
from typing import TYPE_CHECKING, Any

from sqcodec import former_names
from sqcodec.errors import SqcodecError

if TYPE_CHECKING:
    from sqcodec import layouts, metrics
    from sqcodec.codes import Codes
    from sqcodec.pipeline.coding.api import decode_file, encode_file, models, plot
    from sqcodec.pipeline.coding.codec import Codec, load
    from sqcodec.pipeline.coding.streams import StreamDecoder, StreamEncoder

__version__ = "0.1.0"
former_names.install()
__all__ = [
    "Codec", "Codes", "SqcodecError", "StreamDecoder", "StreamEncoder", "__version__", "decode_file", "encode_file",
    "layouts", "load", "metrics", "models", "plot",
]  # fmt: skip

# name -> the module that has it: `import sqcodec` and `sqcodec --help` import neither torch nor numpy
_FOUND_IN = {
    **dict.fromkeys(("Codec", "load"), "sqcodec.pipeline.coding.codec"),
    **dict.fromkeys(("decode_file", "encode_file", "models", "plot"), "sqcodec.pipeline.coding.api"),
    **dict.fromkeys(("StreamDecoder", "StreamEncoder"), "sqcodec.pipeline.coding.streams"),
    "Codes": "sqcodec.codes",
}


def __getattr__(name: str) -> Any:
    if name in ("layouts", "metrics"):
        return importlib.import_module(f"sqcodec.{name}")
    if name in _FOUND_IN:
        return getattr(importlib.import_module(_FOUND_IN[name]), name)
    raise AttributeError(f"module 'sqcodec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
