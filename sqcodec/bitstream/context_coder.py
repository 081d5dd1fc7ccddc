"""Blocks of codes to bytes and back with the context model; blocks go through the network side by side."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.context_model import STATE_BITS, ContextModel, Integers, activation
from sqcodec.bitstream.entropy_tables import TOTAL, TOTAL_BITS

_AT_ONCE = 32  # blocks side by side: more are hardly quicker, and hostile bytes must not cost much


class Part(NamedTuple):
    """The codes of a block: [K, t] uint16, 0 beyond a frame's stages; stages [t] uint8, 1 to K."""

    codes: NDArray[np.uint16]
    stages: NDArray[np.uint8]


class Slots(NamedTuple):
    """What the symbols of a block hold of 0 to `TOTAL`, in the order in which they are decoded: [symbols] each."""

    starts: Integers
    frequencies: Integers


def pack_parts(parts: Sequence[Part], checksums: Sequence[int], model: ContextModel, *, stops: bool) -> list[bytes]:
    """The shortest bytes that hold each part and its checksum, least significant first.

    stops: whether frames may have fewer than K stages; the end of a frame is a symbol then.
    """
    packed = []
    for part, x in zip(_slots(parts, model, stops=stops), checksums, strict=True):
        for start, frequency in zip(part.starts[::-1].tolist(), part.frequencies[::-1].tolist(), strict=True):
            whole, rest = divmod(x, frequency)
            x = (whole << TOTAL_BITS) + start + rest
        packed.append(x.to_bytes((x.bit_length() + 7) // 8, "little"))
    return packed


def frame_bits(parts: Sequence[Part], model: ContextModel, *, stops: bool) -> list[NDArray[np.float64]]:
    """What each frame of the parts costs, in bits: [t] each."""
    return [bits.sum(axis=1) for bits in stage_bits(parts, model, stops=stops)]


def stage_bits(parts: Sequence[Part], model: ContextModel, *, stops: bool) -> list[NDArray[np.float64]]:
    """What each stage of each frame costs, in bits: [t, K] each. A frame's end is in the place of the next code."""
    costs = []
    for part, slots in zip(parts, _slots(parts, model, stops=stops), strict=True):
        bits = np.zeros(part.codes.shape[::-1])
        coded = np.arange(len(part.codes)) < _symbols(part, stops=stops)[:, None]
        bits[coded] = TOTAL_BITS - np.log2(slots.frequencies)
        costs.append(bits)
    return costs


def unpack_parts(
    payloads: Sequence[bytes], lengths: Sequence[int], books: int, model: ContextModel, *, stops: bool
) -> Iterator[tuple[Part, int]]:
    """What `pack_parts` took, of payloads that hold `lengths` codes a codebook: parts and checksums, a few at a time.

    Any bytes give some codes.
    """
    for first in range(0, len(payloads), _AT_ONCE):
        group = slice(first, first + _AT_ONCE)
        yield from _unpack(payloads[group], np.array(lengths[group]), books, model, stops=stops)


def _unpack(
    payloads: Sequence[bytes], lengths: NDArray[np.int64], books: int, model: ContextModel, *, stops: bool
) -> Iterator[tuple[Part, int]]:
    left = [int.from_bytes(payload, "little") for payload in payloads]
    codes = np.zeros((len(left), int(lengths.max()), books), np.uint16)
    stages = np.full(codes.shape[:2], books, np.uint8)
    state = model.begin(len(left))
    for time in range(codes.shape[1]):
        rows = np.flatnonzero(lengths > time)
        seen, sums = activation(state[rows], STATE_BITS), np.zeros((len(rows), model.dim), np.int32)
        going = np.arange(len(rows))  # of `rows`, those whose frame has not ended
        for stage in range(books):
            ends = stops and stage > 0
            frequencies = model.frequencies(stage, model.layer(seen[going], stage), sums[going], ends=ends)
            symbols = _take_(left, rows[going], frequencies)
            if ends and symbols.max() == model.size:
                stages[rows[going[symbols == model.size]], time] = stage
                going, symbols = going[symbols < model.size], symbols[symbols < model.size]
                if not len(going):
                    break
            codes[rows[going], time, stage] = symbols
            sums[going] = model.add(sums[going], stage, symbols)
        state[rows] = model.advance(state[rows], sums, stages[rows, time])
    for row, length in enumerate(lengths):
        yield Part(np.ascontiguousarray(codes[row, :length].T), stages[row, :length]), left[row]


def _take_(left: list[int], rows: Integers, frequencies: Integers) -> Integers:
    """Take one symbol [N] from each of the integers left[rows]; frequencies: [N, symbols]."""
    stops = frequencies.cumsum(axis=1)
    slots = np.array([left[row] & (TOTAL - 1) for row in rows.tolist()])
    symbols: Integers = (stops <= slots[:, None]).sum(axis=1)
    every = np.arange(len(rows))
    holds = frequencies[every, symbols]
    offsets = slots - (stops[every, symbols] - holds)
    for row, hold, offset in zip(rows.tolist(), holds.tolist(), offsets.tolist(), strict=True):
        left[row] = (left[row] >> TOTAL_BITS) * hold + offset
    return symbols


def states_of(parts: Sequence[Part], model: ContextModel) -> Iterator[NDArray[np.int32]]:
    """The states [t, hidden] before each frame of the parts, which go through the network side by side."""
    for first in range(0, len(parts), _AT_ONCE):
        yield from _states(parts[first : first + _AT_ONCE], model)


def _slots(parts: Sequence[Part], model: ContextModel, *, stops: bool) -> Iterator[Slots]:
    for part, states in zip(parts, states_of(parts, model), strict=True):
        yield _slots_of(part, states, model, stops=stops)


def _states(parts: Sequence[Part], model: ContextModel) -> Iterator[NDArray[np.int32]]:
    longest = max(len(part.stages) for part in parts)
    drive = np.zeros((longest, len(parts), 3 * model.hidden), np.int32)
    for row, part in enumerate(parts):
        sums = np.zeros((len(part.stages), model.dim), np.int32)
        for stage, codes in enumerate(part.codes):
            going = part.stages > stage
            sums[going] = model.add(sums[going], stage, codes[going])
        drive[: len(sums), row] = model.drive(sums, part.stages)
    states = np.zeros((longest, len(parts), model.hidden), np.int32)
    for time in range(1, longest):
        states[time] = model.step(states[time - 1], drive[time - 1])
    for row, part in enumerate(parts):
        yield states[: len(part.stages), row]


def _slots_of(part: Part, states: NDArray[np.int32], model: ContextModel, *, stops: bool) -> Slots:
    books, length = part.codes.shape
    layers, sums = model.layers(states, books), np.zeros((length, model.dim), np.int32)
    starts, holds = np.zeros((2, length, books), np.int64)
    for stage, codes in enumerate(part.codes):
        ends = stops and stage > 0
        rows = np.flatnonzero(part.stages >= stage) if ends else np.flatnonzero(part.stages > stage)
        symbols = np.where(part.stages[rows] > stage, codes[rows].astype(np.int64), model.size)
        frequencies = model.frequencies(stage, layers[rows, stage], sums[rows], ends=ends)
        every = np.arange(len(rows))
        holds[rows, stage] = frequencies[every, symbols]
        starts[rows, stage] = frequencies.cumsum(axis=1)[every, symbols] - holds[rows, stage]
        going = rows[symbols < model.size]
        sums[going] = model.add(sums[going], stage, codes[going])
    coded = holds > 0
    return Slots(starts[coded], holds[coded])


def _symbols(part: Part, *, stops: bool) -> Integers:
    """Symbols of each frame [t]: its codes, and its end where it may go on."""
    stages = part.stages.astype(np.int64)
    return stages + (stages < len(part.codes)) if stops else stages
