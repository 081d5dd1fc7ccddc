"""What is intact of a damaged `.sqc` file."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.code_space import CodeSpace
from sqcodec.bitstream.sqc import (
    BLOCK,
    Block,
    Found,
    blocks,
    check_header,
    checksum_of,
    decode_block,
    read_block,
    to_codes,
)
from sqcodec.bitstream.sqc_header import Header, read_header, read_varint
from sqcodec.codes import Codes
from sqcodec.errors import CodesError

_REACH, _AHEAD = 4096, 16  # bytes over which, and blocks among which, a lost boundary is searched for
_TRIES = 4096  # offsets that are tried per file, a second or two: a hostile file must not take hours


class Recovered(NamedTuple):
    """What could be read of a damaged file; lost: the blocks whose codes are stand-ins."""

    codes: Codes
    lost: tuple[Block, ...]


def recover(content: bytes, space: CodeSpace, *, where: str) -> Recovered:
    """As `unpack`, with each block that cannot be read replaced by the last code before it.

    A lost boundary is searched for. Raises CodesError: the header is damaged, or no block at all is intact.
    """
    header = read_header(content, where=where)
    check_header(header, space, where)
    length = header.length(space.features)
    if length // BLOCK > len(content):  # each block has a byte; a damaged header must not make us fill memory
        raise CodesError(f"{where}: too little is left of it, {len(content)} bytes; copy or encode it again")
    found = {block.number: part for block, part in _intact(content, header, space)}
    if not found:
        raise CodesError(f"{where}: nothing is intact: the header or every block is damaged; copy or encode it again")
    indices = np.zeros((header.books, length), np.uint16)
    lost, held = [], np.zeros((header.books, 1), np.uint16)
    for block in blocks(length):
        part = found.get(block.number)
        indices[:, block.start : block.stop] = held if part is None else part
        held = indices[:, block.stop - 1 : block.stop].copy()
        lost += [block] if part is None else []
    return Recovered(to_codes(header, indices, space), tuple(lost))


def _intact(content: bytes, header: Header, space: CodeSpace) -> Iterator[tuple[Block, NDArray[np.uint16]]]:
    """The blocks that can be read, with their codes; after a damaged one, the next is looked for byte by byte."""
    left, offset, tries = list(blocks(header.length(space.features))), header.size, iter(range(_TRIES))
    while left:
        block, found = left[0], read_block(content, offset, header, left[0], space)
        if found is None:
            block, found = _search(content, offset, header, left, space, tries)
        if found is None:
            return
        yield block, found.codes
        offset, left = found.stop, left[1 + block.number - left[0].number :]


def _search(
    content: bytes, offset: int, header: Header, left: list[Block], space: CodeSpace, tries: Iterator[int]
) -> tuple[Block, Found | None]:
    """The next intact block after a damaged one at `offset`: where its length says, or else at any offset within reach.

    So many offsets are tried that 24 bits agree by chance at some: there the next block must be intact too.
    """
    ahead, expected = left[1 : 1 + _AHEAD], _next_offset(content, offset)
    offsets = [expected, *range(offset + 1, min(len(content), offset + _REACH))]
    for start, _ in zip(offsets, tries, strict=False):
        for block, found in _matches(content, start, header, ahead, space):
            behind = left[block.number - left[0].number + 1 :][:1]
            if start == expected or not behind or read_block(content, found.stop, header, behind[0], space):
                return block, found
    return left[0], None


def _matches(
    content: bytes, start: int, header: Header, ahead: list[Block], space: CodeSpace
) -> Iterator[tuple[Block, Found]]:
    """Each block of `ahead` that byte `start` could begin. All but the last of a file have one shape: decoded once."""
    for same in (ahead[:-1], ahead[-1:]):
        found = decode_block(content, start, header, same[0], space) if same else None
        if found is not None:
            for block in same:
                if found.checksum == checksum_of(content[: header.size], block, found.codes):
                    yield block, found


def _next_offset(content: bytes, offset: int) -> int:
    try:
        size, begin = read_varint(content, offset)
    except IndexError:
        return len(content)
    return begin + size
