"""What a model costs: operations by layers and by side, parameters, look-ahead, memory, and time to start."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sqcodec.bitstream import packets
from sqcodec.errors import ModelError, SqcodecError
from sqcodec.model.model_header import ModelContents, read_model
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.coding.streams import StreamEncoder
from sqcodec.pipeline.finding.models import find_for_encoding, model_name
from sqcodec.pipeline.finding.vocoders import FoundVocoder, vocoder_name
from sqcodec.pipeline.measuring import operations
from sqcodec.pipeline.measuring.operations import Group, Side
from sqcodec.pipeline.measuring.start import Start, measure_start
from sqcodec.report.table import number, plain
from sqcodec.runtime.istft_vocoder import spread
from sqcodec.tensor_files import read_arrays
from sqcodec.vocoder import vocoder_header

_HOPS = 4  # that the window of an `istft` vocoder is long
SIDES: tuple[Side, ...] = ("sending", "receiving")


class _Refinement(NamedTuple):
    """Iterations, and the number of codebooks from which on codes are refined."""

    iterations: int
    stages: float


class Costs(NamedTuple):
    """MACs per second of sound on each side, with so many codebooks, which have a nominal bit_rate (bit/s)."""

    codebooks: int
    bit_rate: float
    sending: float
    receiving: float


@dataclass(frozen=True, kw_only=True)
class Complexity:
    """What a model costs with the first `codebooks` of its codebooks and a vocoder.

    groups: every layer that is counted. context: MACs per second of the context model of a `.sqc`, on each side, which
    the groups leave out. lookahead: ms by part, with the packet or code that must be complete; empty: the model needs
    the whole recording. notes: what is not counted.
    """

    model: str
    vocoder: str
    codebooks: int
    bit_rate: float
    groups: tuple[Group, ...]
    context: float
    lookahead: dict[str, float]
    notes: tuple[str, ...]

    def macs(self, side: Side) -> float:
        """MACs per second of sound on one side."""
        return sum(group.macs for group in self.groups if group.side == side)

    @property
    def parameters(self) -> int:
        """Of encoder, codebooks, decoder and vocoder."""
        return sum(group.parameters for group in self.groups)

    @property
    def latency(self) -> float | None:
        """Look-ahead in ms, all parts together; None: the whole recording."""
        return sum(self.lookahead.values()) if self.lookahead else None


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


def complexity_of(
    codec: Codec, *, codebooks: int | None = None, stages: float | None = None, vocoder: str | None = None
) -> Complexity:
    """What a codec costs. codebooks: that are searched; None: the model's default. stages: that a code has on average,
    which decides on the refinement; None: all of these. vocoder: as `Codec.decode` takes it. Raises ModelError: a plain
    VAE; CodesError: fewer codebooks; VocoderError: no such vocoder."""
    if not codec.codebooks:
        raise ModelError(f"{codec.path}: a plain VAE (quantizer.kind none) has no codes; use a model with a quantizer")
    count = codec.codebooks_for(codebooks=codebooks, bit_rate=None)
    contents, features, found = read_model(codec.path), codec.features, codec.vocoder(vocoder)
    weights, recipe = contents.weights, contents.header.recipe
    groups = [
        *operations.of_features(features),
        *operations.of_encoder(weights, features),
        *operations.of_search(weights, recipe, features, count),
        *operations.of_decoder(weights, features),
        *_of_vocoder(found, count if stages is None else stages),
    ]
    return Complexity(
        model=model_name(codec.path),
        vocoder=vocoder_name(found.path),
        codebooks=count,
        bit_rate=contents.header.bit_rate(count),
        groups=tuple(groups),
        context=operations.of_context(contents.context, features, count),
        lookahead=_lookahead(codec, contents, found),
        notes=tuple(_notes(codec, found)),
    )


def _of_vocoder(found: FoundVocoder, stages: float) -> list[Group]:
    features = found.vocoder.features
    if found.path is None:
        from sqcodec.vocoder.griffin_lim import GriffinLim  # imports torch

        assert isinstance(found.vocoder, GriffinLim)
        return [*operations.of_griffin_lim(features, found.vocoder.settings.iterations)]
    groups = [*operations.of_vocoder(read_arrays(found.path, "", vocoder_header.KIND), features)]
    if found.vocoder.kind == "istft":
        groups.append(operations.of_inverse_stft(features, n_fft=_HOPS * features.hop_length))
        refinement = _refinement(found.path)
        if refinement.iterations and stages >= refinement.stages:
            groups.append(operations.of_refinement(features, refinement.iterations))
    return groups


def _refinement(vocoder: Path) -> _Refinement:
    """Of an `istft` vocoder's file."""
    section = vocoder_header.read_header(vocoder).config["refinement"]
    return _Refinement(int(section["iterations"]), float(section.get("stages", 0.0)))


def _lookahead(codec: Codec, contents: ModelContents, found: FoundVocoder) -> dict[str, float]:
    """ms by part; empty where the whole recording is needed: features, decoder or vocoder that cannot be streamed."""
    features, network = codec.features, contents.header.recipe["network"]
    whole = contents.header.lookahead is None or features.dynamic_range is not None or found.vocoder.kind != "istft"
    if whole or found.path is None:
        return {}
    unit, codes = _unit(codec)
    hop = features.hop_length
    vocoder = vocoder_header.read_header(found.path).config["lookahead"]
    samples = {
        unit: codes * features.samples_per_code,
        "features": features.win_length // 2,
        "encoder": network["encoder_lookahead"] * features.samples_per_code,
        "decoder": network["decoder_lookahead"] * features.samples_per_code,
        "vocoder": vocoder * hop,
        "inverse STFT": (_HOPS - 1) * hop // 2 + hop // 2,  # half of what its window is longer, and half a hop
    }
    return {part: 1000 * count / features.sample_rate for part, count in samples.items()}


def _unit(codec: Codec) -> tuple[str, int]:
    """What must be complete before it can be sent, and its codes: a packet, where the model makes packets."""
    try:
        StreamEncoder(codec)
    except SqcodecError:
        return "code", 1
    return "packet", packets.CODES


def _notes(codec: Codec, found: FoundVocoder) -> list[str]:
    notes = [
        "A multiplication with an addition is one operation, an FFT of n points 2.5 n log2 n; biases, norms and"
        " activation functions are not counted."
    ]
    if codec.has_true_rates:
        notes.append("The search for a true bit rate takes more than that of whole codebooks, which is counted.")
    if codec.speakers:
        notes.append("The search for the nearest speaker is not counted: a speaker is named.")
    if found.path and found.vocoder.kind == "istft" and (refinement := _refinement(found.path)).iterations:
        reach = spread(codec.features.win_length, codec.features.hop_length) * refinement.iterations
        notes.append(
            f"Files of {max(1.0, refinement.stages):g} codebooks or more are refined, which takes"
            f" {1000 * reach / codec.features.frame_rate:.0f} ms of look-ahead more; packets are not."
        )
    if found.vocoder.kind == "world":
        notes.append("The vocoder's network is counted, the synthesis of pyworld is not.")
    if found.vocoder.kind != "istft":
        notes.append("The vocoder makes segments of 10 s or more.")
    return notes


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
        return ["Look-ahead: the whole recording."]
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
