"""The complexity card: what a model costs, with memory and start as measured, for `sqcodec models`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sqcodec.pipeline.coding.codec import open_codec
from sqcodec.pipeline.finding.models import find_for_encoding
from sqcodec.pipeline.measuring.complexity import SIDES, Complexity, complexity_of
from sqcodec.pipeline.measuring.start import Start, measure_start
from sqcodec.report.table import number, plain


class Costs(NamedTuple):
    """MACs per second of sound on each side, with so many codebooks, which have a nominal bit_rate (bit/s)."""

    codebooks: int
    bit_rate: float
    sending: float
    receiving: float


@dataclass(frozen=True, kw_only=True)
class Card:
    """`Complexity` with the default number of codebooks, costs with 1, 2, ... codebooks, and what was measured."""

    complexity: Complexity
    by_codebooks: tuple[Costs, ...]
    start: Start


def complexity_card(model: str | Path | None) -> Card:
    """The card of a model as `find_for_encoding` finds it, on the CPU, with the vocoder that `decode` takes.

    Raises ModelError: there is no such model, or it has no codes; SqcodecError: a process of its own cannot run it.
    """
    codec = open_codec(find_for_encoding(model).path, "cpu")
    card = complexity_of(codec)
    every = [complexity_of(codec, codebooks=number) for number in range(1, codec.codebooks + 1)]
    costs = [Costs(each.codebooks, each.bit_rate, *map(each.macs, SIDES)) for each in every]
    return Card(complexity=card, by_codebooks=tuple(costs), start=measure_start(codec.path))


def as_tree(card: Card) -> dict[str, Any]:
    """For JSON."""
    complexity = card.complexity
    return {
        "model": complexity.model,
        "vocoder": complexity.vocoder,
        "codebooks": complexity.codebooks,
        "bit_rate": complexity.bit_rate,
        "layers": [group._asdict() for group in complexity.groups],
        "macs": {side: complexity.macs(side) for side in SIDES} | {"context": complexity.context},
        "parameters": complexity.parameters,
        "float32_bytes": 4 * complexity.parameters,
        "by_codebooks": [costs._asdict() for costs in card.by_codebooks],
        "lookahead_ms": complexity.lookahead | {"together": complexity.latency},
        "unlimited_lookahead": complexity.unlimited,
        "measured": card.start._asdict(),
        "notes": list(complexity.notes),
    }


def as_text(card: Card) -> str:
    """Tables for a terminal."""
    complexity = card.complexity
    books = f"{complexity.codebooks} codebook{'s' * (complexity.codebooks > 1)}"
    heading = (
        f"{complexity.model}, {books} (nominal {complexity.bit_rate:.0f} bit/s), with the vocoder {complexity.vocoder}"
    )
    parts = [heading, plain(_layer_rows(complexity))]
    if len(card.by_codebooks) > 1:
        parts.append(plain(_codebook_rows(card.by_codebooks)))
    parts.append("\n".join([*_lookahead_lines(complexity), *_measured_lines(card), *_note_lines(complexity)]))
    return "\n\n".join(parts)


def _layer_rows(complexity: Complexity) -> list[tuple[str, str, str]]:
    rows = [("", "parameters", "MMAC/s")]
    for side in SIDES:
        own = [group for group in complexity.groups if group.side == side]
        rows += [(f"{group.part}: {group.layers}", f"{group.parameters:,}", _mega(group.macs)) for group in own]
        rows.append((side, f"{sum(group.parameters for group in own):,}", _mega(complexity.macs(side))))
    both = sum(map(complexity.macs, SIDES))
    return [*rows, ("together", f"{complexity.parameters:,}", _mega(both))]


def _codebook_rows(every: tuple[Costs, ...]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("codebooks", "nominal bit/s", "GMAC/s sending", "GMAC/s receiving")]
    for codebooks, bit_rate, *macs in every:
        rows.append((str(codebooks), number(bit_rate, 0), *(number(each / 1e9, 3) for each in macs)))
    return rows


def _lookahead_lines(complexity: Complexity) -> list[str]:
    if complexity.latency is None:
        return [f"Look-ahead: no limit, {complexity.unlimited}."]
    parts = ", ".join(f"{part} {number(ms, 0)}" for part, ms in complexity.lookahead.items())
    return [f"Look-ahead: {number(complexity.latency, 0)} ms: {parts}."]


def _measured_lines(card: Card) -> list[str]:
    start, weights = card.start, 4 * card.complexity.parameters / 1e6
    peak = "" if start.peak_bytes is None else f", a process that codes 1 s has {start.peak_bytes / 1e6:.0f} MB at most"
    return [
        f"Memory: weights {weights:.1f} MB as float32{peak}.",
        f"Start: {start.ready_seconds:.2f} s until the model and its vocoder are ready, {start.coded_seconds:.2f} s"
        f" until the first second is coded and decoded; measured on this machine ({start.machine}).",
    ]


def _note_lines(complexity: Complexity) -> list[str]:
    if not complexity.context:
        return list(complexity.notes)
    macs = _mega(complexity.context)
    return [
        *complexity.notes,
        f"The context model of .sqc files takes {macs} MMAC/s more on each side; packets have none.",
    ]


def _mega(macs: float) -> str:
    return number(macs / 1e6, 1)
