"""Codes as a NumPy file (DESIGN: `codes.npy`).

    1st array  uint16, or int32 as codec.cpp has it, [K, T], C order: what any `np.load` reads
    2nd array  uint8: JSON that ends in `"crc32": "xxxxxxxx"}`, eight hexadecimal digits over every byte before them

A file with the first array only decodes too. Nothing is unpickled.
"""

import ast
import io
import json
import math
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.foreign import kind_of
from sqcodec.codes import LOUDEST, Codes
from sqcodec.errors import CodesError
from sqcodec.spectrogram import FEATURES, FeatureConfig

VERSION = 2  # the highest; 1: every code uses all codebooks, 2: some use fewer, and "stages" says how many
Dtype = Literal["uint16", "int32"]  # of the codes in a file
_USUAL = FEATURES["log-mel"]  # whose rates a bare array is taken to have while its model is not known
MAGIC = b"\x93NUMPY"
_TAIL = re.compile(rb'"crc32": "([0-9a-f]{8})"}\Z')
_DIGITS = 10  # the CRC's eight digits and the two characters that close the JSON
_INTEGERS = re.compile(r"[<>|=]?[iu][1248]")


def pack(codes: Codes, dtype: Dtype = "uint16") -> bytes:
    """The whole file as bytes. dtype: of the codes in it."""
    fields: dict[str, Any] = {
        "sqcodec": 1 if codes.stages is None else 2,
        "fingerprint": codes.fingerprint,
        "samples": codes.samples,
        "sample_rate": codes.sample_rate,
        "gain": codes.gain,
        "speaker": codes.speaker,
        **({} if codes.stages is None else {"stages": codes.stages.tolist()}),
        "crc32": "00000000",
    }
    file = io.BytesIO()
    indices = codes.indices.astype(np.dtype(dtype).newbyteorder("<"), order="C")
    np.lib.format.write_array(file, indices, version=(1, 0), allow_pickle=False)
    np.lib.format.write_array(
        file, np.frombuffer(json.dumps(fields).encode(), np.uint8), version=(1, 0), allow_pickle=False
    )
    content = file.getvalue()[:-_DIGITS]
    return content + b'%08x"}' % zlib.crc32(content)


def unpack(content: bytes, *, where: str, features: FeatureConfig = _USUAL) -> Codes:
    """What `pack` wrote, or a bare integer array [T] or [K, T] (its `fingerprint` is None, gain 1, speaker None).

    features: of the model that a bare array is for; it does not know its length, so it gets that of whole codes.
    Raises CodesError, naming `where`: foreign, truncated, changed, more after the end, or values that cannot be codes.
    """
    first = _read_array(content, 0, where)
    if first.stop == len(content):
        indices = _bare_indices(first.values, where)
        samples, rate = features.samples_per_code * indices.shape[1], features.sample_rate
        return Codes(indices=indices, samples=samples, sample_rate=rate, gain=1.0, speaker=None, fingerprint=None)
    tail = _TAIL.search(content[-40:])
    if tail is None:
        raise CodesError(
            f"{where}: {len(content) - first.stop} bytes after the codes are not what 'sqcodec encode' writes; the"
            " file was cut, or something was added: copy or encode it again"
        )
    if zlib.crc32(content[:-_DIGITS]) != int(tail[1], 16):
        raise CodesError(f"{where}: the checksum does not match, the file was damaged: copy or encode it again")
    second = _read_array(content, first.stop, where)
    fields = _read_fields(second.values, where)
    if first.values.dtype not in (np.dtype("<u2"), np.dtype("<i4")):
        raise CodesError(f"{where}: got codes of type {first.values.dtype}, expected uint16 or int32")
    codes = Codes(indices=_bare_indices(first.values, where), **fields)
    if not codes.stages_fit:
        raise CodesError(f"{where}: invalid beside the codes: stages; encode it again")
    return codes


def check_length(codes: Codes, features: FeatureConfig, where: str) -> None:
    """Raise CodesError, naming `where`: codes for these features would be of another number of samples.

    The length of a bare array is that of whole codes, the last of which a recording of that length would not need.
    """
    length, expected = codes.indices.shape[1], features.code_count(codes.samples, codes.sample_rate)
    if length != expected and not (codes.fingerprint is None and length == expected - 1):
        raise CodesError(
            f"{where}: got {length} codes, expected {expected} for {codes.samples} samples at {codes.sample_rate} Hz"
        )


def read_codes(path: Path) -> Codes:
    """Read a codes file. Raises CodesError as `unpack`, or when the file cannot be read."""
    return unpack(read_bytes(path), where=str(path))


def read_bytes(path: Path) -> bytes:
    """The file's content. Raises CodesError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CodesError(
            f"{path}: cannot be read ({error.strerror}); expected a codes file of 'sqcodec encode'"
        ) from None


class _Array(NamedTuple):
    values: NDArray[Any]
    stop: int  # where the next array begins


def _read_array(content: bytes, start: int, where: str) -> _Array:
    """The npy array that begins at byte `start`. NumPy's own reader is more lenient, and may unpickle."""
    if not content.startswith(MAGIC, start):
        expected = "expected the codes of 'sqcodec encode' (.sqc or .npy)"
        raise CodesError(f"{where}: got {kind_of(content[start:])}, {expected}")
    width = {1: 2, 2: 4, 3: 4}.get(content[start + 6] if len(content) > start + 6 else 1)
    if width is None:
        raise CodesError(f"{where}: npy version {content[start + 6]}, expected 1, 2 or 3; the file is damaged or newer")
    begin = start + 8 + width
    data = begin + int.from_bytes(content[start + 8 : begin], "little")
    if len(content) < data:
        raise CodesError(f"{where}: the file ends inside a header, after {len(content)} bytes: copy it again")
    dtype, shape, order = _read_header(content[begin:data], where)
    if len(shape) not in (1, 2) or 0 in shape:
        raise CodesError(f"{where}: got an array of shape {shape}, expected codes [T] or [K, T], at least one")
    stop = data + math.prod(shape) * dtype.itemsize
    if len(content) < stop:
        raise CodesError(
            f"{where}: the file ends after {len(content)} bytes, expected at least {stop}: copy or encode it again"
        )
    return _Array(np.frombuffer(content[data:stop], dtype).reshape(shape, order="F" if order else "C"), stop)


def _read_header(header: bytes, where: str) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    try:
        tree = ast.literal_eval(header.decode("latin1").strip())
        descr, order, shape = tree["descr"], tree["fortran_order"], tree["shape"]
        if header[-1:] != b"\n" or len(tree) != 3 or not isinstance(order, bool):
            raise ValueError
        if not isinstance(shape, tuple) or not all(type(size) is int and 0 <= size < 1 << 63 for size in shape):
            raise ValueError
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
        raise CodesError(f"{where}: the npy header is damaged: copy or encode it again") from None
    if not isinstance(descr, str) or not _INTEGERS.fullmatch(descr):
        raise CodesError(f"{where}: got an array of type {descr!r}, expected integers (uint16 codes)")
    return np.dtype(descr), shape, order


def _bare_indices(values: NDArray[Any], where: str) -> NDArray[np.uint16]:
    if not values.size:
        raise CodesError(f"{where}: got an array of shape {values.shape}, expected codes [T] or [K, T], at least one")
    if values.min() < 0 or values.max() > 65535:
        raise CodesError(f"{where}: got values {values.min()} to {values.max()}, expected codes within 0 to 65535")
    return np.ascontiguousarray(np.atleast_2d(values), dtype=np.uint16)


def _read_fields(values: NDArray[Any], where: str) -> dict[str, Any]:
    """The second array's JSON, each value checked; its checksum held, so what fails here was written so."""
    try:
        fields = json.loads(values.tobytes())
        version = fields.pop("sqcodec")
        if type(version) is int and version > VERSION:
            raise CodesError(
                f"{where}: codes format {version}, this sqcodec reads up to {VERSION}: install a newer sqcodec"
            )
        fields.pop("crc32")
        checks = _CHECKS | ({"stages": _are_stages} if version == 2 else {})
        wrong = [name for name, holds in checks.items() if not holds(fields[name])]
        wrong += fields.keys() - checks.keys()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        wrong = ["missing or unreadable"]
    if wrong:
        raise CodesError(f"{where}: invalid beside the codes: {', '.join(wrong)}; encode it again")
    if "stages" in fields:
        fields["stages"] = np.array(fields["stages"], np.uint8)
    return {name: fields[name] for name in checks}


def _is_fingerprint(value: Any) -> bool:
    return value is None or (isinstance(value, str) and re.fullmatch("[0-9a-f]{16}", value) is not None)


def _are_stages(value: Any) -> bool:
    return isinstance(value, list) and all(type(stages) is int and 1 <= stages <= 255 for stages in value)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "fingerprint": _is_fingerprint,
    "samples": lambda value: type(value) is int and 1 <= value < 1 << 63,
    "sample_rate": lambda value: type(value) is int and 1 <= value <= 10_000_000,
    "gain": lambda value: type(value) in (int, float) and 0 <= value <= LOUDEST,
    "speaker": lambda value: value is None or isinstance(value, str),
}
