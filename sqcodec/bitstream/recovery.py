"""What is intact of a damaged `.sqc` file: the lengths are followed first; a lost boundary is searched for."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from sqcodec.bitstream.ans import longest
from sqcodec.bitstream.code_space import Coder, CodeSpace
from sqcodec.bitstream.sqc import (
    Block,
    Found,
    blocks,
    check_header,
    decode_block,
    is_intact,
    to_codes,
)
from sqcodec.bitstream.sqc_header import Header, read_header, read_varint
from sqcodec.codes import Codes
from sqcodec.errors import CodesError

# Symbols that are decoded in vain: half a second, and what a file whose every block is damaged needs. Without a limit
# a hostile file of some kilobytes would take minutes.
_BUDGET: dict[Coder, int] = {"plain": 1 << 18, "tables": 1 << 18, "context": 3 << 11}
_BUDGET_PER_BYTE = 2
_FRAME = 2  # symbols that take as long as the network's step from one frame to the next
_AHEAD = 32  # blocks of which a searched one may be
_SURE = 2  # of these, the first are believed by their checksum alone; at a later one 24 bits agree by chance too often


class Recovered(NamedTuple):
    """What could be read of a damaged file; lost: the blocks whose codes are stand-ins."""

    codes: Codes
    lost: tuple[Block, ...]


class BlockReader(NamedTuple):
    """How the blocks of one file are read, whatever its version.

    stop: where the block that begins at a byte ends by its length; None: no block that is not the last can begin there.
    decode: the bytes from an offset on as this block, None if they cannot be one. is_intact: whether the checksum says
    that it is this block.
    """

    stop: Callable[[int], int | None]
    decode: Callable[[int, Block], Found | None]
    is_intact: Callable[[Block, Found], bool]


def recover(content: bytes, space: CodeSpace, *, where: str) -> Recovered:
    """As `unpack`, with each block that cannot be read replaced by the last code before it.

    Raises CodesError: the header is damaged, or no block at all is intact.
    """
    header = read_header(content, where=where)
    check_header(header, space, where)
    length = header.length(space.features)
    if length // header.block > len(content):  # each block has a byte; a damaged header must not make us fill memory
        raise CodesError(f"{where}: too little is left of it, {len(content)} bytes; copy or encode it again")
    reader = _reader(content, header, space)
    search = Search(reader, list(blocks(length, header.block)), len(content), header)
    found = {block.number: part for block, part in search.intact(header.size)}
    if not found:
        raise CodesError(f"{where}: nothing is intact: the header or every block is damaged; copy or encode it again")
    indices, stages = np.zeros((header.books, length), np.uint16), np.full(length, header.books, np.uint8)
    lost, last = [], Found(np.zeros((header.books, 1), np.uint16), np.full(1, header.books, np.uint8), 0, 0)
    for block in search.blocks:
        part = found.get(block.number, last)
        indices[:, block.start : block.stop] = part.codes
        stages[block.start : block.stop] = part.stages
        last = part._replace(codes=part.codes[:, -1:], stages=part.stages[-1:])
        lost += [] if block.number in found else [block]
    return Recovered(to_codes(header, indices, stages, space), tuple(lost))


def _reader(content: bytes, header: Header, space: CodeSpace) -> BlockReader:
    most = longest((header.books, header.block), header.coder != "plain", space.codewords)

    def stop(offset: int) -> int | None:
        try:
            size, begin = read_varint(content, offset)
        except IndexError:
            return None
        return begin + size if 0 < size <= most and begin + size < len(content) else None

    return BlockReader(
        stop=stop,
        decode=lambda offset, block: decode_block(content, offset, header, block, space),
        is_intact=lambda block, found: is_intact(content, header, block, found),
    )


class Search:
    """The search for the intact blocks of one file of `size` bytes."""

    def __init__(self, reader: BlockReader, all_blocks: list[Block], size: int, header: Header) -> None:
        self.blocks = all_blocks
        self._reader, self._size = reader, size
        self._frame_cost = header.books + (_FRAME if header.coder == "context" else 0)
        self._budget = _BUDGET[header.coder] + _BUDGET_PER_BYTE * size
        self._reserve = 0  # how much of it a search leaves

    def intact(self, offset: int) -> Iterator[tuple[Block, Found]]:
        """The blocks from `offset` on that can be read, with their codes."""
        number = 0
        while number < len(self.blocks):
            block, found = self.blocks[number], self._read(offset, self.blocks[number])
            if found is None:
                block, found = self._along_lengths(offset, number) or self._anywhere(offset, number) or (block, None)
            if found is None:
                return
            yield block, found
            offset, number = found.stop, block.number + 1

    def _along_lengths(self, offset: int, number: int) -> tuple[Block, Found] | None:
        """The first intact block after damaged ones whose lengths are right: most damage is in what lies between."""
        for block in self.blocks[number + 1 :]:
            stop = self._reader.stop(offset)
            if stop is None:
                self._reserve = 0
                return None
            if (found := self._read(stop, block)) is not None:
                return block, found
            offset = stop
        self._reserve = self._budget // 4  # the lengths led to the last block: it is not likely that more is found
        return None

    def _anywhere(self, offset: int, number: int) -> tuple[Block, Found] | None:
        """The next block that is intact, at whatever byte it begins: bytes were lost, added, or a length is damaged."""
        ahead = self.blocks[number : number + _AHEAD]
        for same in ([block for block in ahead if not self._is_last(block)], self.blocks[-1:]):
            for start in range(offset + 1, self._size) if same and same[0] in ahead else ():
                if self._budget <= self._reserve:
                    return None
                if (self._is_last(same[0]) or self._begins_two(start)) and (hit := self._match(start, same)):
                    return hit
        return None

    def _begins_two(self, start: int) -> bool:
        """Whether the lengths allow a block at `start`, and another one behind it."""
        stop = self._reader.stop(start)
        return stop is not None and (self._reader.stop(stop) is not None or self._size - stop < 2 * (stop - start))

    def _match(self, start: int, same: list[Block]) -> tuple[Block, Found] | None:
        """Which of some blocks of one shape begins at `start`; decoded once."""
        found = self._decode(start, same[0])
        if found is None:
            return None
        for place, block in enumerate(same):
            if self._reader.is_intact(block, found):
                behind = self.blocks[block.number + 1 : block.number + 2]
                if place < _SURE or not behind or self._read(found.stop, behind[0]) is not None:
                    return block, found
        return None

    def _read(self, offset: int, block: Block) -> Found | None:
        found = self._decode(offset, block)
        if found is None or not self._reader.is_intact(block, found):
            return None
        self._budget += self._cost(block)  # not in vain
        return found

    def _decode(self, offset: int, block: Block) -> Found | None:
        if self._budget <= 0:
            return None
        found = self._reader.decode(offset, block)
        self._budget -= self._cost(block) if found is not None else 0
        return found

    def _cost(self, block: Block) -> int:
        return self._frame_cost * (block.stop - block.start)

    def _is_last(self, block: Block) -> bool:
        return block.number == len(self.blocks) - 1
