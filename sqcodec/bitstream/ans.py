"""The codes of a block as one integer (asymmetric numeral systems without renormalisation).

The integer begins as the block's checksum. A code that holds `frequency` of `TOTAL` slots from `start` on takes it from
x to (x // frequency) TOTAL + start + x % frequency: -log2(frequency / TOTAL) bits and no more. Codes go in last first
and come out first to last; what is left must be the checksum again. Without tables every codeword is one slot of V.
"""

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.entropy_tables import BELOW, TOTAL, TOTAL_BITS, Tables


def pack_codes(codes: NDArray[np.uint16], checksum: int, tables: Tables | None, codewords: Sequence[int]) -> bytes:
    """codes [K, t] -> the shortest bytes that hold them and the checksum, least significant first."""
    rows = codes.tolist()
    x = _join(rows, checksum, tables) if tables else _join_plain(rows, checksum, codewords)
    return x.to_bytes((x.bit_length() + 7) // 8, "little")


def unpack_codes(
    payload: bytes, shape: tuple[int, int], tables: Tables | None, codewords: Sequence[int]
) -> tuple[NDArray[np.uint16], int]:
    """What `pack_codes` took: codes of `shape` [K, t] and the checksum. Any bytes give some codes."""
    x = int.from_bytes(payload, "little")
    rows, x = _split(x, shape, tables) if tables else _split_plain(x, shape, codewords)
    return np.array(rows, dtype=np.uint16).reshape(shape), x


def longest(shape: tuple[int, int], modelled: bool, codewords: Sequence[int]) -> int:
    """Bytes that no block of codes of `shape` [K, t] exceeds, its checksum of 24 bits included.

    modelled: whether its symbols have frequencies, from tables or a context model; a frame has one a book at most.
    """
    books, length = shape
    bits = books * TOTAL_BITS if modelled else sum((size - 1).bit_length() for size in codewords[:books])
    return (length * bits + 24) // 8 + 2


def _join(codes: list[list[int]], x: int, tables: Tables) -> int:
    books = range(len(codes))
    contexts = [codes[book - 1] if tables.books[book].context == BELOW else [None, *codes[book]] for book in books]
    for time in reversed(range(len(codes[0]))):
        for book in reversed(books):
            starts = tables.row(book, contexts[book][time]).starts
            code = codes[book][time]
            start = starts[code]
            whole, rest = divmod(x, starts[code + 1] - start)
            x = (whole << TOTAL_BITS) + start + rest
    return x


def _split(x: int, shape: tuple[int, int], tables: Tables) -> tuple[list[list[int]], int]:
    codes: list[list[int]] = [[] for _ in range(shape[0])]
    latest: list[int | None] = [None] * shape[0]
    contexts = [book - tables.books[book].context for book in range(shape[0])]  # the book that `latest` is asked for
    for _ in range(shape[1]):
        for book, row in enumerate(codes):
            starts = tables.row(book, latest[contexts[book]]).starts
            slot = x & (TOTAL - 1)
            code = bisect_right(starts, slot) - 1
            start = starts[code]
            x = (x >> TOTAL_BITS) * (starts[code + 1] - start) + slot - start
            row.append(code)
            latest[book] = code
    return codes, x


def _join_plain(codes: list[list[int]], x: int, codewords: Sequence[int]) -> int:
    for column in reversed(list(zip(*codes, strict=True))):
        for code, size in reversed(list(zip(column, codewords, strict=False))):
            x = x * size + code
    return x


def _split_plain(x: int, shape: tuple[int, int], codewords: Sequence[int]) -> tuple[list[list[int]], int]:
    codes: list[list[int]] = [[] for _ in range(shape[0])]
    for _ in range(shape[1]):
        for row, size in zip(codes, codewords, strict=False):
            x, code = divmod(x, size)
            row.append(code)
    return codes, x
