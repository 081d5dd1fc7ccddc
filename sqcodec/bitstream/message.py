"""A voice message: the codes of up to 10 s in one packet of a network, three bytes of header and one integer.

docs/bitstream.md has every byte. A message needs its model and nothing else: neither those before it nor a file around
it.
"""

import zlib

import numpy as np

from sqcodec.bitstream.ans import longest
from sqcodec.bitstream.code_space import CodeSpace
from sqcodec.bitstream.context_coder import Part, pack_parts, unpack_parts
from sqcodec.codes import Codes
from sqcodec.errors import CodesError
from sqcodec.spectrogram import FeatureConfig

SUFFIX = ".bin"
MAX_CODES = 500  # of a codebook
_MAX_BOOKS = 32
_HEADER = 3  # bytes
_LENGTH, _BOOKS = 511, 31  # fields of the last two of them, from the lowest bit on
_STOPS, _SILENCE = 1 << 14, 1 << 15
_CHECKSUM = 0xFFFF


def pack(codes: Codes, space: CodeSpace) -> bytes:
    """Codes of at most `MAX_CODES` -> a message. Raises CodesError: the codes, or the model, do not fit into one."""
    books, length = codes.indices.shape
    if space.context is None or space.speakers or space.features.dynamic_range is not None:
        raise CodesError("messages need a model with a context model, without speakers, whose features hold the level")
    if not 1 <= length <= MAX_CODES or not 1 <= books <= min(_MAX_BOOKS, len(space.codewords)) or not codes.stages_fit:
        raise CodesError(f"a message: got codes [{books}, {length}], expected at most {MAX_CODES} of the model's books")
    stages = codes.stages
    flags = _STOPS * (stages is not None) | _SILENCE * int(codes.gain == 0)
    fields = int(length - 1 | (books - 1) << 9 | flags)
    header: bytes = bytes.fromhex(space.by_coder["context"])[:1] + fields.to_bytes(2, "little")
    part = Part(codes.indices, np.full(length, books, np.uint8) if stages is None else stages)
    checksum = _checksum(header, part, space)
    (payload,) = pack_parts([part], [checksum], space.context, stops=stages is not None)
    return header + payload


def unpack(content: bytes, space: CodeSpace, *, where: str) -> Codes:
    """What `pack` wrote: its sound has the length of whole codes. Raises CodesError, naming `where`: another model's,
    damaged or cut."""
    if space.context is None:
        raise CodesError(f"{where}: messages need a model with a context model; name the one that wrote it")
    header, payload, first = content[:_HEADER], content[_HEADER:], bytes.fromhex(space.by_coder["context"])[:1]
    if len(header) == _HEADER and header[:1] != first:
        raise CodesError(f"{where}: no message, or one of another model: its first byte is {header[0]:02x}, expected"
                         f" {first.hex()}; name the model that wrote it with `model`")  # fmt: skip
    fields = int.from_bytes(header[1:], "little")
    length, books = (fields & _LENGTH) + 1, (fields >> 9 & _BOOKS) + 1
    most = longest((books, length), True, space.codewords)
    fits = len(header) == _HEADER and length <= MAX_CODES and books <= len(space.codewords)
    if fits and len(payload) <= most and payload[-1:] != b"\0":
        stops = bool(fields & _STOPS)
        ((part, checksum),) = unpack_parts([payload], [length], books, space.context, stops=stops)
        if checksum == _checksum(header, part, space):
            return Codes(
                indices=part.codes, samples=samples_of(length, space.features), sample_rate=space.features.sample_rate,
                gain=0.0 if fields & _SILENCE else 1.0, speaker=None, fingerprint=space.fingerprint,
                stages=part.stages if stops else None,
            )  # fmt: skip
    raise CodesError(f"{where}: the checksum does not match: the message was damaged or cut; send it again")


def samples_of(codes: int, features: FeatureConfig) -> int:
    """The most samples that have so many codes a codebook."""
    return features.samples_per_code * codes - features.hop_length // 2


def _checksum(header: bytes, part: Part, space: CodeSpace) -> int:
    """16 bits of CRC-32 over the model's six bytes, the header, the codes and their stages."""
    crc = zlib.crc32(bytes.fromhex(space.by_coder["context"]) + header)
    return zlib.crc32(part.stages.tobytes(), zlib.crc32(part.codes.astype("<u2").tobytes(), crc)) & _CHECKSUM
