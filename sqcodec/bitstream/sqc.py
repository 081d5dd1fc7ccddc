"""Codes as a `.sqc` file: a header of some 15 bytes, then independent blocks of about 10 s, each one integer.

docs/bitstream.md has every byte. A reader of this version reads every version ever written.
"""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.ans import longest, pack_codes, unpack_codes
from sqcodec.bitstream.code_space import CodeSpace
from sqcodec.bitstream.entropy_tables import Tables
from sqcodec.bitstream.sqc_header import Header, pack_header, read_header, read_varint, varint
from sqcodec.codes import Codes
from sqcodec.errors import CodesError

BLOCK = 500  # codes a book, 10 s at 50 codes/s; the last block takes what is left, 250 to 749 where there are several
_CHECKSUM_MASK = 0xFFFFFF


class Block(NamedTuple):
    """The extent of one block: codes `start` to `stop` of each codebook."""

    number: int
    start: int
    stop: int


def pack(codes: Codes, space: CodeSpace) -> bytes:
    """The whole file as bytes, entropy-coded where the model has tables and they make it smaller.

    Raises CodesError: the codes, their number or their speaker do not fit the model.
    """
    _check(codes, space)
    plain = _pack(codes, space, None)
    if space.tables is None:
        return plain
    return min(plain, _pack(codes, space, space.tables), key=lambda file: (len(file), file))


def _pack(codes: Codes, space: CodeSpace, tables: Tables | None) -> bytes:
    header = pack_header(codes, space, tables=tables is not None)
    length = codes.indices.shape[1]
    content = bytearray(header)
    for block in blocks(length):
        part = codes.indices[:, block.start : block.stop]
        payload = pack_codes(part, checksum_of(header, block, part), tables, space.codewords)
        content += payload if block.stop == length else varint(len(payload)) + payload
    return bytes(content)


def unpack(content: bytes, space: CodeSpace, *, where: str) -> Codes:
    """What `pack` wrote. Raises CodesError, naming `where`: another model's, damaged, cut, or something was added."""
    header = read_header(content, where=where)
    check_header(header, space, where)
    parts, offset, length = [], header.size, header.length(space.features)
    for block in blocks(length):
        found = read_block(content, offset, header, block, space)
        if found is None:
            begin = block.start / space.features.code_rate
            whole = "" if length <= BLOCK else f" (block {block.number}, from {begin:.0f} s on)"
            raise CodesError(
                f"{where}: the checksum does not match{whole}: the file was damaged, cut, or something was added;"
                " copy or encode it again, or decode what is intact with `recover`"
            )
        parts.append(found.codes)
        offset = found.stop
    return to_codes(header, np.concatenate(parts, axis=1), space)


def blocks(length: int) -> Iterator[Block]:
    """The blocks of `length` codes a book, in order."""
    number = max(1, (length + BLOCK // 2) // BLOCK)
    for block in range(number):
        yield Block(block, block * BLOCK, length if block == number - 1 else (block + 1) * BLOCK)


class Found(NamedTuple):
    """What the bytes at an offset hold if a block begins there, and the offset of the next one."""

    codes: NDArray[np.uint16]  # [K, t]
    checksum: int
    stop: int


def read_block(content: bytes, offset: int, header: Header, block: Block, space: CodeSpace) -> Found | None:
    """The block that begins at byte `offset`; None if it is not intact."""
    found = decode_block(content, offset, header, block, space)
    intact = found is not None and found.checksum == checksum_of(content[: header.size], block, found.codes)
    return found if intact else None


def decode_block(content: bytes, offset: int, header: Header, block: Block, space: CodeSpace) -> Found | None:
    """The bytes from `offset` on, read as this block; None if they cannot be one."""
    stop = len(content)
    if block.stop < header.length(space.features):
        try:
            size, offset = read_varint(content, offset)
        except IndexError:
            return None
        stop = offset + size
    shape, tables = (header.books, block.stop - block.start), space.tables if header.tables else None
    fits = offset <= stop <= len(content) and stop - offset <= longest(shape, tables, space.codewords)
    if not fits or content[offset:stop][-1:] == b"\0":  # the shortest form of an integer has no zeros at its end
        return None
    return Found(*unpack_codes(content[offset:stop], shape, tables, space.codewords), stop)


def _check(codes: Codes, space: CodeSpace) -> None:
    books, length = codes.indices.shape
    if not 1 <= books <= len(space.codewords):
        raise CodesError(f"got {books} rows of codes, expected 1 to {len(space.codewords)}, the model's codebooks")
    if length != (expected := space.features.code_count(codes.samples, codes.sample_rate)):
        raise CodesError(
            f"got {length} codes, expected {expected} for {codes.samples} samples at {codes.sample_rate} Hz"
        )
    for row, size in zip(codes.indices, space.codewords, strict=False):
        if (highest := int(row.max())) >= size:
            raise CodesError(f"got code {highest}, expected 0 to {size - 1}; these are another model's codes")
    if codes.speaker is not None and codes.speaker not in space.speakers:
        raise CodesError(f"speaker {codes.speaker!r}: unknown to the model of the codes")


def check_header(header: Header, space: CodeSpace, where: str) -> None:
    """Raise CodesError when the header is not one of this model's."""
    if header.identity not in space.identities:
        raise CodesError(f"{where}: written with the model {header.identity}, got {' or '.join(space.identities)}")
    fits = header.books <= len(space.codewords) and (header.speaker is None or header.speaker < len(space.speakers))
    if not fits or (header.tables and header.identity != space.identities[-1]):
        raise CodesError(f"{where}: the header is damaged: copy or encode the file again")


def checksum_of(header: bytes, block: Block, codes: NDArray[np.uint16]) -> int:
    """24 bits of CRC-32 over the header, the block's number and its codes: right bytes at a wrong offset fail too."""
    crc = zlib.crc32(block.number.to_bytes(4, "little"), zlib.crc32(header))
    return zlib.crc32(codes.astype("<u2").tobytes(), crc) & _CHECKSUM_MASK


def to_codes(header: Header, indices: NDArray[np.uint16], space: CodeSpace) -> Codes:
    """Header and indices [K, T] together."""
    return Codes(
        indices=indices,
        samples=header.samples,
        sample_rate=header.sample_rate,
        gain=header.gain,
        speaker=None if header.speaker is None else space.speakers[header.speaker],
        fingerprint=space.fingerprint,
    )
