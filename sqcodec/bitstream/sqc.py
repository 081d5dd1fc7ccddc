"""Codes as a `.sqc` file: a header of some 15 bytes, then independent blocks of about 10 s, each one integer.

docs/bitstream.md has every byte. A reader of this version reads every version ever written.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.ans import longest, pack_codes, unpack_codes
from sqcodec.bitstream.code_space import Coder, CodeSpace
from sqcodec.bitstream.context_coder import Part, pack_parts, unpack_parts
from sqcodec.bitstream.sqc_header import BLOCK, SHORTEST_BLOCK, Header, pack_header, read_header, read_varint, varint
from sqcodec.codes import LOUDEST, Codes
from sqcodec.errors import CodesError

_CHECKSUM_MASK = 0xFFFFFF


class Block(NamedTuple):
    """The extent of one block: codes `start` to `stop` of each codebook."""

    number: int
    start: int
    stop: int


def pack(codes: Codes, space: CodeSpace, *, coder: Coder | None = None, block: int = BLOCK) -> bytes:
    """The whole file as bytes.

    coder: None: the context model where the model has one, else the tables where it has them and they make the file
    smaller than codes of fixed width. block: codes a book in a block, of which a damaged byte costs one. Raises
    CodesError: the codes, their number or their speaker do not fit the model, it has no such coder, or no such block.
    """
    _check(codes, space)
    if coder is None:
        coder = "context" if space.context else "tables" if space.tables else "plain"
    if coder not in space.by_coder:
        raise CodesError(f"`coder` {coder}: the model has none; it has {', '.join(space.by_coder)}")
    if codes.stages is not None and coder != "context":
        raise CodesError(f"`coder` {coder}: frames of fewer stages than {len(codes.indices)} need a context model")
    if not SHORTEST_BLOCK <= block <= BLOCK:
        raise CodesError(f"`block` of {block} codes: expected {SHORTEST_BLOCK} to {BLOCK}")
    smaller: tuple[Coder, ...] = ("plain", "tables") if coder == "tables" else (coder,)
    return min((_pack(codes, space, each, block) for each in smaller), key=lambda file: (len(file), file))


def _pack(codes: Codes, space: CodeSpace, coder: Coder, size: int) -> bytes:
    header = pack_header(codes, space, coder, size)
    length = codes.indices.shape[1]
    content = bytearray(header)
    for block, payload in zip(blocks(length, size), _payloads(codes, header, space, coder, size), strict=True):
        content += payload if block.stop == length else varint(len(payload)) + payload
    return bytes(content)


def _payloads(codes: Codes, header: bytes, space: CodeSpace, coder: Coder, size: int) -> Iterator[bytes]:
    every = list(blocks(codes.indices.shape[1], size))
    parts = [part_of(codes, block) for block in every]
    checksums = [
        checksum_of(header, block, part.codes, None if codes.stages is None else part.stages)
        for block, part in zip(every, parts, strict=True)
    ]
    if coder == "context":
        assert space.context is not None
        yield from pack_parts(parts, checksums, space.context, stops=codes.stages is not None)
        return
    tables = space.tables if coder == "tables" else None
    for part, checksum in zip(parts, checksums, strict=True):
        yield pack_codes(part.codes, checksum, tables, space.codewords)


def part_of(codes: Codes, block: Block) -> Part:
    """The codes of a block, and the stages of each."""
    indices = codes.indices[:, block.start : block.stop]
    if codes.stages is None:
        return Part(indices, np.full(indices.shape[1], len(indices), np.uint8))
    return Part(indices, codes.stages[block.start : block.stop])


def unpack(content: bytes, space: CodeSpace, *, where: str) -> Codes:
    """What `pack` wrote. Raises CodesError, naming `where`: another model's, damaged, cut, or something was added."""
    (found,) = unpack_each([content], space, names=[where])
    if isinstance(found, CodesError):
        raise found
    return found


def unpack_between(content: bytes, space: CodeSpace, first: int, stop: int, samples: int, *, where: str) -> Codes:
    """The codes `first` to `stop` of each codebook, which hold `samples` of the recording; no other block is decoded.

    Raises CodesError: as `unpack`, but for damage to other blocks where it does not hide where these begin.
    """
    file = _read(content, space, 0, where)
    some = [number for number, block in enumerate(file.blocks) if block.start < stop and first < block.stop]
    hidden = file.stopped if file.stopped and file.stopped.start < stop else None
    chosen, payloads = [file.blocks[number] for number in some], [file.payloads[number] for number in some]
    file = file._replace(blocks=chosen, payloads=payloads, stopped=hidden)
    found = _decoded(payloads, [block.stop - block.start for block in chosen], file.header, space)
    codes, begin = _whole(file, list(found), space), chosen[0].start
    return codes.between(first - begin, stop - begin, samples)


def unpack_each(contents: Sequence[bytes], space: CodeSpace, *, names: Sequence[str]) -> list[Codes | CodesError]:
    """The codes of several files, or why one cannot be read. Their blocks go through the context model side by side, so
    16 short files are read three to six times as quickly as one after the other.
    """
    results: dict[int, Codes | CodesError] = {}
    alike = defaultdict[tuple[Coder, int, bool], list[_Read]](list)
    for number, (content, where) in enumerate(zip(contents, names, strict=True)):
        try:
            read = _read(content, space, number, where)
            alike[read.header.coder, read.header.books, read.header.stops].append(read)
        except CodesError as error:
            results[number] = error
    for files in alike.values():
        lengths = [block.stop - block.start for file in files for block in file.blocks]
        payloads = [payload for file in files for payload in file.payloads]
        found = _decoded(payloads, lengths, files[0].header, space)
        for file in files:
            parts = list(islice(found, len(file.blocks)))
            try:
                results[file.number] = _whole(file, parts, space)
            except CodesError as error:
                results[file.number] = error
    return [results[number] for number in range(len(contents))]


class _Read(NamedTuple):
    """A file before its codes are decoded. stopped: the first block that cannot be one; None: all may be."""

    number: int
    where: str
    content: bytes
    header: Header
    blocks: list[Block]
    payloads: list[bytes]
    stopped: Block | None


def _read(content: bytes, space: CodeSpace, number: int, where: str) -> _Read:
    """Raises CodesError: no such file, or another model's."""
    header = read_header(content, where=where)
    check_header(header, space, where)
    read, payloads, offset = list[Block](), list[bytes](), header.size
    for block in blocks(header.length(space.features), header.block):
        extent = _extent(content, offset, header, block, space)
        if extent is None:
            return _Read(number, where, content, header, read, payloads, block)
        read.append(block)
        payloads.append(content[slice(*extent)])
        offset = extent[1]
    return _Read(number, where, content, header, read, payloads, None)


def _whole(file: _Read, found: Sequence[tuple[Part, int]], space: CodeSpace) -> Codes:
    """Raises CodesError: a block is not intact."""
    header, damaged = file.header, file.stopped
    for block, (part, checksum) in zip(file.blocks, found, strict=True):
        if not is_intact(file.content, header, block, Found(part.codes, part.stages, checksum, 0)):
            damaged = block
            break
    if damaged is not None:
        length, begin = header.length(space.features), damaged.start / space.features.code_rate
        only = next(blocks(length, header.block)).stop == length
        whole = "" if only else f" (block {damaged.number}, from {begin:.0f} s on)"
        raise CodesError(
            f"{file.where}: the checksum does not match{whole}: the file was damaged, cut, or something was added;"
            f" copy or encode it again{'' if only else ', or decode what is intact with `recover`'}"
        )
    indices = np.concatenate([part.codes for part, _ in found], axis=1)
    return to_codes(header, indices, np.concatenate([part.stages for part, _ in found]), space)


def _decoded(payloads: list[bytes], lengths: list[int], header: Header, space: CodeSpace) -> Iterator[tuple[Part, int]]:
    """The codes and the checksum in each payload."""
    if header.coder == "context":
        assert space.context is not None
        yield from unpack_parts(payloads, lengths, header.books, space.context, stops=header.stops)
        return
    tables = space.tables if header.coder == "tables" else None
    for payload, length in zip(payloads, lengths, strict=True):
        codes, checksum = unpack_codes(payload, (header.books, length), tables, space.codewords)
        yield Part(codes, np.full(length, header.books, np.uint8)), checksum


def blocks(length: int, size: int = BLOCK) -> Iterator[Block]:
    """The blocks of `length` codes a book, in order, of `size` each; the last one takes what is left, by half a block
    more or less."""
    number = max(1, (length + size // 2) // size)
    for block in range(number):
        yield Block(block, block * size, length if block == number - 1 else (block + 1) * size)


class Found(NamedTuple):
    """What the bytes at an offset hold if a block begins there, and the offset of the next one."""

    codes: NDArray[np.uint16]  # [K, t]
    stages: NDArray[np.uint8]  # [t]
    checksum: int
    stop: int


def is_intact(content: bytes, header: Header, block: Block, found: Found) -> bool:
    """Whether what was found is this block, by its checksum."""
    stages = found.stages if header.stops else None
    return found.checksum == checksum_of(content[: header.size], block, found.codes, stages)


def decode_block(content: bytes, offset: int, header: Header, block: Block, space: CodeSpace) -> Found | None:
    """The bytes from `offset` on, read as this block; None if they cannot be one."""
    extent = _extent(content, offset, header, block, space)
    if extent is None:
        return None
    ((part, checksum),) = _decoded([content[slice(*extent)]], [block.stop - block.start], header, space)
    return Found(part.codes, part.stages, checksum, extent[1])


def _extent(content: bytes, offset: int, header: Header, block: Block, space: CodeSpace) -> tuple[int, int] | None:
    """Where the payload of a block that begins at `offset` begins and ends; None if there can be none."""
    stop = len(content)
    if block.stop < header.length(space.features):
        try:
            size, offset = read_varint(content, offset)
        except IndexError:
            return None
        stop = offset + size
    most = longest((header.books, block.stop - block.start), header.coder != "plain", space.codewords)
    if not offset <= stop <= len(content) or stop - offset > most:
        return None
    return None if content[offset:stop][-1:] == b"\0" else (offset, stop)  # an integer's shortest form ends in no zero


def _check(codes: Codes, space: CodeSpace) -> None:
    books, length = codes.indices.shape
    if not 1 <= books <= len(space.codewords):
        raise CodesError(f"got {books} rows of codes, expected 1 to {len(space.codewords)}, the model's codebooks")
    if length != (expected := space.features.code_count(codes.samples, codes.sample_rate)):
        raise CodesError(
            f"got {length} codes, expected {expected} for {codes.samples} samples at {codes.sample_rate} Hz"
        )
    if not codes.gain_fits:
        raise CodesError(f"got the gain {codes.gain}, expected 0 to {LOUDEST:g}")
    if not codes.stages_fit:
        raise CodesError(
            f"got stages that are not 1 to {books} of each of {length} codes, with 0 for codes beyond them"
        )
    for row, size in zip(codes.indices, space.codewords, strict=False):
        if (highest := int(row.max())) >= size:
            raise CodesError(f"got code {highest}, expected 0 to {size - 1}; these are another model's codes")
    if codes.speaker is not None and codes.speaker not in space.speakers:
        raise CodesError(f"speaker {codes.speaker!r}: unknown to the model of the codes")


def check_header(header: Header, space: CodeSpace, where: str) -> None:
    """Raise CodesError when the header is not one of this model's."""
    if header.identity not in space.identities:
        names = " or ".join(space.identities)
        raise CodesError(f"{where}: written with the model {header.identity}, got {names}")
    fits = header.books <= len(space.codewords) and (header.speaker is None or header.speaker < len(space.speakers))
    if not fits or header.identity != space.by_coder.get(header.coder):
        raise CodesError(f"{where}: the header is damaged: copy or encode the file again")


def checksum_of(header: bytes, block: Block, codes: NDArray[np.uint16], stages: NDArray[np.uint8] | None = None) -> int:
    """24 bits of CRC-32 over the header, the block's number and its codes: right bytes at a wrong offset fail too.

    stages: [t], of a file whose frames may end early.
    """
    crc = zlib.crc32(block.number.to_bytes(4, "little"), zlib.crc32(header))
    crc = zlib.crc32(codes.astype("<u2").tobytes(), crc)
    return (crc if stages is None else zlib.crc32(stages.tobytes(), crc)) & _CHECKSUM_MASK


def to_codes(header: Header, indices: NDArray[np.uint16], stages: NDArray[np.uint8], space: CodeSpace) -> Codes:
    """Header, indices [K, T] and stages [T] together."""
    return Codes(
        indices=indices,
        samples=header.samples,
        sample_rate=header.sample_rate,
        gain=header.gain,
        speaker=None if header.speaker is None else space.speakers[header.speaker],
        fingerprint=space.fingerprint,
        stages=stages if header.stops else None,
    )
