"""The header of a `.sqc` file: some 15 bytes that can be read without the model.

 3 bytes  "SQC"
 1        version in the high half, flags in the low one
 6        the model: codebooks, speakers and the context model (version 2) or, where flag 1 is set, tables (version 1)
 1        gain, in half decibels
 1 to 9   samples
[1 to 10  sample rate: flag 2]
[1 to 9   speaker: flag 4]
[1 to 9   codebooks: flag 8]
[1 to 9   codes in a block: versions 3 and 4]
"""

import math
from typing import NamedTuple

from sqcodec.bitstream.code_space import Coder, CodeSpace
from sqcodec.bitstream.foreign import kind_of
from sqcodec.codes import Codes
from sqcodec.errors import CodesError
from sqcodec.spectrogram import FeatureConfig

MAGIC = b"SQC"
VERSION = 4  # the highest; 1: with tables or without, 2: with the context model; 3, 4: these with blocks of any length
BLOCK = 500  # codes a book in a block of versions 1 and 2: 10 s at 50 codes/s
SHORTEST_BLOCK = 8
_ANY_LENGTH = 2  # what is added to a version whose blocks are not of 500 codes
_TABLES = _STOPS = 1  # flags, the first of version 1 and of version 2
_RATE, _SPEAKER, _BOOKS = 2, 4, 8
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000)
_UNMARKED = 16000  # Hz, the sample rate of a file without flag 2
_UNITY = 201  # the gain's byte that stands for 1


class Header(NamedTuple):
    """A file's header; size: its bytes. identity: 12 hexadecimal digits; speaker: index in the model's list; stops:
    whether frames may use fewer codebooks; block: codes a book in each block but the last."""

    identity: str
    samples: int
    sample_rate: int
    gain: float
    speaker: int | None
    books: int
    coder: Coder
    stops: bool
    block: int
    size: int

    @property
    def version(self) -> int:
        """Of the format."""
        return (2 if self.coder == "context" else 1) + (0 if self.block == BLOCK else _ANY_LENGTH)

    def length(self, features: FeatureConfig) -> int:
        """Codes a book, of a model for these features."""
        return features.code_count(self.samples, self.sample_rate)


def read_header(content: bytes, *, where: str) -> Header:
    """The header alone, which needs no model. Raises CodesError: no `.sqc` file, of a later version, or cut."""
    if not content.startswith(MAGIC):
        raise CodesError(f"{where}: got {kind_of(content)}, expected a .sqc of 'sqcodec encode'")
    try:
        version, flags = divmod(content[3], 16)
        if not 1 <= version <= VERSION:
            raise CodesError(
                f"{where}: .sqc version {version}, this sqcodec reads up to {VERSION}: the file is damaged, or needs a"
                " newer sqcodec"
            )
        identity, offset = content[4:10].hex(), 11
        gain = content[10]
        samples, offset = read_varint(content, offset)
        sample_rate, offset = _read_rate(content, offset) if flags & _RATE else (_UNMARKED, offset)
        speaker, offset = read_varint(content, offset) if flags & _SPEAKER else (None, offset)
        books, offset = read_varint(content, offset) if flags & _BOOKS else (1, offset)
        block, offset = read_varint(content, offset) if version > _ANY_LENGTH else (BLOCK, offset)
    except IndexError:
        raise CodesError(
            f"{where}: the file ends inside its header, after {len(content)} bytes: copy it again"
        ) from None
    if not samples or not books or not sample_rate or not SHORTEST_BLOCK <= block <= BLOCK:
        raise CodesError(f"{where}: the header is damaged: copy or encode the file again")
    coder: Coder = "context" if version % 2 == 0 else "tables" if flags & _TABLES else "plain"
    stops = version % 2 == 0 and bool(flags & _STOPS)
    return Header(identity, samples, sample_rate, _gain(gain), speaker, books, coder, stops, block, offset)


def pack_header(codes: Codes, space: CodeSpace, coder: Coder, block: int = BLOCK) -> bytes:
    """The header of these codes, coded with what the model has for `coder`, in blocks of `block` codes a book."""
    books, version = len(codes.indices), (2 if coder == "context" else 1) + (0 if block == BLOCK else _ANY_LENGTH)
    first = _TABLES * (coder == "tables") | _STOPS * (codes.stages is not None)
    flags = (first | _RATE * (codes.sample_rate != _UNMARKED)
             | _SPEAKER * (codes.speaker is not None) | _BOOKS * (books != 1))  # fmt: skip
    header = MAGIC + bytes([version * 16 + flags]) + bytes.fromhex(space.by_coder[coder])
    header += bytes([_gain_byte(codes.gain)]) + varint(codes.samples)
    if flags & _RATE:
        known = codes.sample_rate in _RATES
        header += bytes([1 + _RATES.index(codes.sample_rate)]) if known else b"\0" + varint(codes.sample_rate)
    if codes.speaker is not None:
        header += varint(space.speakers.index(codes.speaker))
    header += varint(books) if flags & _BOOKS else b""
    return header + (b"" if block == BLOCK else varint(block))


def _read_rate(content: bytes, offset: int) -> tuple[int, int]:
    code = content[offset]
    return (_RATES[code - 1], offset + 1) if code else read_varint(content, offset + 1)


def _gain_byte(gain: float) -> int:
    """0 for silence, else steps of half a decibel from -100 to +27 dB."""
    return round(min(255.0, max(1.0, _UNITY + 40 * math.log10(gain)))) if gain else 0


def _gain(byte: int) -> float:
    return float(10 ** ((byte - _UNITY) / 40)) if byte else 0.0


def varint(value: int) -> bytes:
    """Seven bits a byte, the least significant first; all but the last byte have the high bit set."""
    content = bytearray()
    while value >= 128:
        content.append(value & 127 | 128)
        value >>= 7
    return bytes([*content, value])


def read_varint(content: bytes, offset: int) -> tuple[int, int]:
    """The number that begins at byte `offset` and where it ends; of at most nine bytes. Raises IndexError: cut."""
    value = shift = 0
    while True:
        byte = content[offset]
        value |= (byte & 127) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 128 or shift == 63:
            return value, offset
