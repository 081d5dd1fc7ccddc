"""What a model costs: operations by layers and by side, parameters, look-ahead. It follows from the model's files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from sqcodec.bitstream import packets
from sqcodec.errors import SqcodecError
from sqcodec.model.model_header import no_codes, read_model
from sqcodec.pipeline.coding.codec import Codec
from sqcodec.pipeline.coding.streams import StreamEncoder
from sqcodec.pipeline.finding.models import model_name
from sqcodec.pipeline.finding.vocoders import FoundVocoder, vocoder_name
from sqcodec.pipeline.measuring import operations
from sqcodec.pipeline.measuring.operations import Group, Side
from sqcodec.runtime.istft_vocoder import spread
from sqcodec.tensor_files import read_arrays
from sqcodec.vocoder import vocoder_header
from sqcodec.vocoder.interface import Vocoder
from sqcodec.vocoder.vocoder_header import Refining, refining_of

SIDES: tuple[Side, ...] = ("sending", "receiving")


@dataclass(frozen=True, kw_only=True)
class Complexity:
    """What a model costs with the first `codebooks` of its codebooks and a vocoder.

    groups: every layer that is counted. context: MACs per second of the context model of a `.sqc`, on each side, which
    the groups leave out. lookahead: ms by part, with the packet or code that must be complete; empty: it has no limit,
    and `unlimited` says why. notes: what is counted, and what is not.
    """

    model: str
    vocoder: str
    codebooks: int
    bit_rate: float
    groups: tuple[Group, ...]
    context: float
    lookahead: dict[str, float]
    unlimited: str
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
        """Look-ahead in ms, all parts together; None: it has no limit."""
        return sum(self.lookahead.values()) if self.lookahead else None


class _Sound(NamedTuple):
    """A vocoder, with the weights and the section of the recipe in its file; empty for Griffin-Lim."""

    vocoder: Vocoder
    weights: Mapping[str, NDArray[Any]]
    config: Mapping[str, Any]

    @property
    def n_fft(self) -> int:
        """Of an `istft` network, whose head gives magnitude and phase of n_fft / 2 + 1 bins."""
        return len(self.weights["head.bias"]) - 2

    def refining(self, stages: float) -> Refining:
        """How codes of so many codebooks on average are refined."""
        if self.vocoder.kind != "istft":
            return Refining(0, 0.0, False)
        return refining_of(self.config["refinement"], stages)

    @property
    def refined_stages(self) -> Iterator[float]:
        """Codebooks from which on codes are refined, and are refined more."""
        refinement = self.config.get("refinement", {})
        for section in (refinement, refinement.get("more") or {}):
            if section.get("iterations"):
                yield float(section.get("stages", 0.0))


def complexity_of(
    codec: Codec, *, codebooks: int | None = None, stages: float | None = None, vocoder: str | None = None
) -> Complexity:
    """What a codec costs on the CPU.

    codebooks: that are searched; None: the model's default. stages: that a code has on average, which decides on the
    refinement; None: all of these. vocoder: as `Codec.decode` takes it. Raises ModelError: a plain VAE; CodesError:
    fewer codebooks; VocoderError: no such vocoder.
    """
    if not codec.codebooks:
        raise no_codes(codec.path)
    count = codec.codebooks_for(codebooks=codebooks, bit_rate=None)
    contents, features, found = read_model(codec.path), codec.features, codec.vocoder(vocoder)
    sound, unlimited = _sound(found), _unlimited(codec, found.vocoder)
    groups = [
        *operations.of_features(features),
        *operations.of_encoder(contents.weights, features),
        *operations.of_search(contents.weights, contents.header.recipe, features, count),
        *operations.of_decoder(contents.weights, features),
        *_of_vocoder(sound, count if stages is None else stages),
    ]
    return Complexity(
        model=model_name(codec.path),
        vocoder=vocoder_name(found.path),
        codebooks=count,
        bit_rate=contents.header.bit_rate(count),
        groups=tuple(groups),
        context=operations.of_context(contents.context, features, count),
        lookahead={} if unlimited else _lookahead(codec, sound),
        unlimited=unlimited,
        notes=tuple(_notes(codec, sound)),
    )


def _sound(found: FoundVocoder) -> _Sound:
    if found.path is None:
        return _Sound(found.vocoder, {}, {})
    weights = read_arrays(found.path, "", vocoder_header.KIND)
    return _Sound(found.vocoder, weights, vocoder_header.read_header(found.path).config)


def _of_vocoder(sound: _Sound, stages: float) -> list[Group]:
    features = sound.vocoder.features
    if not sound.weights:
        from sqcodec.vocoder.griffin_lim import GriffinLim  # imports torch

        assert isinstance(sound.vocoder, GriffinLim)
        return [*operations.of_griffin_lim(features, sound.vocoder.settings.iterations)]
    groups = [*operations.of_vocoder(sound.weights, features)]
    if sound.vocoder.kind == "istft":
        groups.append(operations.of_inverse_stft(features, n_fft=sound.n_fft))
    if (refining := sound.refining(stages)).iterations:
        contrast = bool("contrast" in sound.weights and refining.contrast)
        groups.append(operations.of_refinement(features, refining.iterations, contrast=contrast))
    return groups


def _unlimited(codec: Codec, vocoder: Vocoder) -> str:
    """Why the look-ahead has no limit; "": it has one."""
    if codec.features.dynamic_range is not None:
        return f"{codec.features.kind} features need the loudest sample of the whole recording"
    if codec.header.lookahead is None:
        return "the decoder needs the whole recording"
    return "" if vocoder.kind == "istft" else f"the vocoder {vocoder.kind} needs segments of 10 s or more"


def _lookahead(codec: Codec, sound: _Sound) -> dict[str, float]:
    """ms by part."""
    features, network = codec.features, codec.header.recipe["network"]
    hop, (unit, codes) = features.hop_length, _unit(codec)
    samples = {
        unit: codes * features.samples_per_code,
        "features": features.win_length // 2,
        "encoder": network["encoder_lookahead"] * features.samples_per_code,
        "decoder": network["decoder_lookahead"] * features.samples_per_code,
        "vocoder": sound.config["lookahead"] * hop,
        "inverse STFT": (sound.n_fft - hop) // 2 + hop // 2,  # windows reach beyond a hop, a frame is in its middle
    }
    return {part: 1000 * count / features.sample_rate for part, count in samples.items()}


def _unit(codec: Codec) -> tuple[str, int]:
    """What must be complete before it can be sent, and its codes: a packet, where the model makes packets."""
    try:
        StreamEncoder(codec)
    except SqcodecError:
        return "code", 1
    return "packet", packets.CODES


def _notes(codec: Codec, sound: _Sound) -> list[str]:
    notes = [
        "A multiplication with an addition is one operation, an FFT of n points 2.5 n log2 n; biases, norms and"
        " activation functions are not counted."
    ]
    if codec.has_true_rates:
        notes.append("The search for a true bit rate takes more than that of whole codebooks, which is counted.")
    if codec.speakers:
        notes.append("The search for the nearest speaker is not counted: a speaker is named.")
    for number, stages in enumerate(sound.refined_stages if sound.vocoder.kind == "istft" else ()):
        reach = spread(codec.features.win_length, codec.features.hop_length) * sound.refining(stages).iterations
        notes.append(
            f"Files of {max(1.0, stages):g} codebooks or more on average are refined, which takes"
            f" {1000 * reach / codec.features.frame_rate:.0f} ms of look-ahead more{' in all' if number else ''};"
            " packets are not."
        )
    if sound.vocoder.kind == "world":
        notes.append("The vocoder's network is counted, the synthesis of pyworld is not.")
    return notes
