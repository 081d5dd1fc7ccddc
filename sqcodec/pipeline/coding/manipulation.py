"""`sqcodec convert`, `morph` and `perturb`: change speech by its codes and latents."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqcodec.codes import Codes
from sqcodec.corpus.audio import AudioSource
from sqcodec.errors import AudioError, CodesError
from sqcodec.features.mel import extract
from sqcodec.model.blockwise import with_context
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.coding.notes import recording_notes
from sqcodec.pipeline.coding.sound_files import SOUND_FORMATS, clipping_note, sound_format, write_sound
from sqcodec.pipeline.finding.models import find_for_encoding
from sqcodec.pipeline.paths import check_target, shown, spooled, written
from sqcodec.recording import ArrayRecording

_PAUSE = 0.25  # seconds between the steps of a morph
_MAX_SECONDS = 60  # seconds per recording of a morph, which is not processed in blocks


@dataclass(frozen=True, kw_only=True)
class Manipulated:
    """The result: seconds of sound at sample_rate (Hz), speaker, model and why this one; notes: a line each."""

    seconds: float
    sample_rate: int
    speaker: str | None
    model: Path
    model_reason: str
    notes: tuple[str, ...]


def convert_file(source: Path, target: Path, *, speaker: str, model: str | None, device: str) -> Manipulated:
    """Change the speaker of a recording: decode its codes with `speaker`.

    Raises CodesError: the model has no such speaker; AudioError, ModelError and SqcodecError as `encode_file`.
    """
    return _change_codes(source, target, speaker, model, device, lambda _codec, codes: codes)


def perturb_file(
    source: Path, target: Path, *, neighbours: int, seed: int, speaker: str | None, model: str | None, device: str
) -> Manipulated:
    """Replace each code by one of its `neighbours` nearest other codewords, drawn uniformly.

    Raises CodesError: the codebook has too few codewords; otherwise as `convert_file`.
    """
    rng = np.random.default_rng(seed)

    def perturb(codec: Codec, codes: Codes) -> Codes:
        candidates = nearest_codewords(codec, neighbours)
        drawn = rng.integers(0, neighbours, codes.indices.shape)
        codebooks = np.arange(len(codes.indices))[:, None]
        changed = candidates[codebooks, codes.indices, drawn]
        return replace(codes, indices=np.where(codes.used >= 0, changed, 0).astype(np.uint16))

    return _change_codes(source, target, speaker, model, device, perturb)


def nearest_codewords(codec: Codec, neighbours: int) -> NDArray[np.uint16]:
    """The codewords nearest to each, [K, V, neighbours]: by Euclidean distance in each codebook, nearest first.

    Of equal distances the lower index comes first. Raises CodesError: the codebook has too few codewords.
    """
    size = codec.model.quantizer.codewords
    if not 1 <= neighbours < size:
        raise CodesError(f"`neighbours` {neighbours}: expected 1 to {size - 1}; the codebook has {size} codewords")
    nearest = []
    for codebook in range(codec.model.quantizer.codebooks):
        codes = torch.zeros(1, codec.model.quantizer.codebooks, size, dtype=torch.int64, device=codec.device)
        codes[0, codebook] = torch.arange(size)
        with torch.no_grad():
            words = codec.model.quantizer.decode(codes)[0].double()  # the other codebooks add a constant
        distance = torch.cdist(words, words)
        distance.fill_diagonal_(float("inf"))
        nearest.append(distance.argsort(dim=1, stable=True)[:, :neighbours].cpu().numpy().astype(np.uint16))
    return np.stack(nearest)


def morph_files(
    first: Path, second: Path, target: Path, *, steps: int, speaker: str | None, model: str | None, device: str
) -> Manipulated:
    """Interpolate between two recordings; `target` gets the `steps` steps in order, with pauses of 0.25 s.

    Step s has the weight w = s / (steps - 1). Both latent sequences are resampled linearly to the interpolated length,
    mixed with weights 1 - w and w, and quantised. Gains are interpolated in decibels. speaker: None: the first
    recording's. Raises as `convert_file`; AudioError: a recording is longer than a minute.
    """
    for source in (first, second):
        check_target(source, target, SOUND_FORMATS)
    found = find_for_encoding(model)
    codec = open_codec(found.path, device)
    with spooled(first) as one, spooled(second) as other:
        recordings = [
            _Latents.of(codec, path, speaker, shown(source)) for path, source in ((one, first), (other, second))
        ]
    name = speaker or recordings[0].codes.speaker

    def sound() -> Iterator[NDArray[np.float32]]:
        for step in range(steps):
            if step:
                yield np.zeros(round(_PAUSE * codec.sample_rate), np.float32)
            codes = _interpolate(codec, recordings[0], recordings[1], step / (steps - 1))
            yield from codec.decode_blocks(codes, speaker=name)

    notes = [text for recording in recordings for text in recording.notes]
    return _write(codec, target, sound(), name, notes, found.reason)


@dataclass(frozen=True, eq=False)
class _Latents:
    """The codes of a recording, the encoder's output before quantisation [1, T, channels], and notes."""

    codes: Codes
    encoded: Tensor
    notes: tuple[str, ...]

    @classmethod
    def of(cls, codec: Codec, path: Path, speaker: str | None, where: str) -> "_Latents":
        audio = AudioSource(path)
        if audio.seconds > _MAX_SECONDS:
            raise AudioError(
                f"{path}: got {audio.seconds:.0f} s, expected at most {_MAX_SECONDS} s to morph; cut it first"
            )
        samples = audio.read(codec.sample_rate)
        features = extract(torch.from_numpy(samples), codec.features)
        with torch.inference_mode():
            encoded = codec.model.encoder(with_context(codec.model, features)[None].to(codec.device))
        notes = tuple(note.text for note in recording_notes(audio, where))
        recording = ArrayRecording(samples, codec.sample_rate)
        return cls(codec.encode_recording(recording, speaker=speaker), encoded, notes)


def _interpolate(codec: Codec, first: _Latents, second: _Latents, weight: float) -> Codes:
    """The codes at `weight` (0 to 1) between the first recording and the second."""
    one, other = first.codes, second.codes
    samples = round((1 - weight) * one.samples + weight * other.samples)
    length = codec.features.code_count(samples, codec.sample_rate)
    parts = [
        torch.nn.functional.interpolate(end.encoded.transpose(1, 2), size=length, mode="linear", align_corners=True)
        for end in (first, second)
    ]
    mixed = ((1 - weight) * parts[0] + weight * parts[1]).transpose(1, 2)
    indices = codec.model.quantizer.encode(mixed, len(one.indices))[0].cpu().numpy().astype(np.uint16)
    gain = _gain(one.gain, other.gain, weight, in_codes=codec.features.dynamic_range is None)
    return replace(one, indices=indices, samples=samples, sample_rate=codec.sample_rate, gain=gain)


def _gain(first: float, second: float, weight: float, *, in_codes: bool) -> float:
    """The gain between two, in decibels; in a line where one is silent. in_codes: these hold the level, and a gain of 0
    says no more than that all is silence."""
    if in_codes:
        return max(first, second)
    if not first or not second:
        return (1 - weight) * first + weight * second
    gain: float = first ** (1 - weight) * second**weight
    return gain


def _change_codes(
    source: Path,
    target: Path,
    speaker: str | None,
    model: str | None,
    device: str,
    change: Callable[[Codec, Codes], Codes],
) -> Manipulated:
    """Encode, apply `change` to the codes, decode."""
    check_target(source, target, SOUND_FORMATS)
    with spooled(source) as path:
        audio = AudioSource(path)
        found = find_for_encoding(model)
        codec = open_codec(found.path, device)
        codes = codec.encode_recording(audio, speaker=speaker)
    notes = [note.text for note in recording_notes(audio, shown(source))]
    sound = codec.decode_blocks(change(codec, codes))
    return _write(codec, target, sound, codec.speaker_of(codes, None), notes, found.reason)


def _write(
    codec: Codec,
    target: Path,
    sound: Iterable[NDArray[np.float32]],
    speaker: str | None,
    notes: Sequence[str],
    model_reason: str,
) -> Manipulated:
    """Write blocks [n] at the codec's rate to `target`."""
    rate = codec.sample_rate
    with written(target) as draft:
        result = write_sound(draft, sound, rate, sound_format(target, None))
    return Manipulated(
        seconds=result.samples / rate,
        sample_rate=rate,
        speaker=speaker,
        model=codec.path,
        model_reason=model_reason,
        notes=tuple(filter(None, (*notes, clipping_note(result, str(target))))),
    )
