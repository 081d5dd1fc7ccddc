"""Codecs that a process has opened: a worker codes many files with one."""

from functools import lru_cache
from pathlib import Path

from sqcodec.model.model_header import model_files
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.stamps import Stamp, stamp_of
from sqcodec.vocoder.interface import VocoderPrecision


def cached_codec(path: Path, device: str, precision: VocoderPrecision = "float32") -> Codec:
    """The codec of a model file, opened once per process, and again when the file, or its neighbour, is another one."""
    return _opened(path.resolve(), device, precision, tuple(map(stamp_of, model_files(path))))


@lru_cache(maxsize=4)
def _opened(path: Path, device: str, precision: VocoderPrecision, _stamps: tuple[Stamp | None, ...]) -> Codec:
    return open_codec(path, device, precision)
