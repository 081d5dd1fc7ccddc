"""The verbs `convert`, `morph` and `perturb`: speech changed in the space of its codes."""

from collections.abc import Callable, Iterable, Iterator
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
from sqcodec.pipeline.coding.files import SOUND_FORMATS, sound_format, write_sound
from sqcodec.pipeline.finding.models import find_for_encoding
from sqcodec.pipeline.paths import check_target, spooled, written

_PAUSE = 0.25  # seconds between the steps of a morph
_LONGEST = 60  # seconds of each recording of a morph, which is not worked on in blocks


@dataclass(frozen=True, kw_only=True)
class Manipulated:
    """What was written: seconds of sound at sample_rate (Hz), its voice, the model; note: of the choice ("": none)."""

    seconds: float
    sample_rate: int
    speaker: str | None
    model: Path
    note: str


def convert_file(source: Path, target: Path, *, speaker: str, model: str | None, device: str) -> Manipulated:
    """Give a recording another voice: its codes decoded as `speaker`.

    Raises CodesError: the model has no such speaker; AudioError, ModelError and SqcodecError as `encode_file`.
    """
    return _through_codes(source, target, speaker, model, device, lambda _codec, codes: codes)


def perturb_file(
    source: Path, target: Path, *, neighbours: int, seed: int, speaker: str | None, model: str | None, device: str
) -> Manipulated:
    """Replace each code by one of its `neighbours` nearest codewords, drawn evenly, itself not among them.

    Raises CodesError: the book has no more codewords than that; otherwise as `convert_file`.
    """
    rng = np.random.default_rng(seed)

    def perturb(codec: Codec, codes: Codes) -> Codes:
        near = nearest_codewords(codec, neighbours)
        drawn = rng.integers(0, neighbours, codes.indices.shape)
        books = np.arange(len(codes.indices))[:, None]
        return replace(codes, indices=near[books, codes.indices, drawn])

    return _through_codes(source, target, speaker, model, device, perturb)


def nearest_codewords(codec: Codec, neighbours: int) -> NDArray[np.uint16]:
    """[K, V, neighbours]: in each book the codewords nearest to each (Euclidean distance), nearest first, ties to the
    lowest index. Raises CodesError: the book has not as many."""
    size = codec.model.quantizer.codewords
    if not 1 <= neighbours < size:
        raise CodesError(f"`neighbours` {neighbours}: expected 1 to {size - 1}; the codebook has {size} codewords")
    nearest = []
    for book in range(codec.model.quantizer.codebooks):
        codes = torch.zeros(1, codec.model.quantizer.codebooks, size, dtype=torch.int64, device=codec.device)
        codes[0, book] = torch.arange(size)
        with torch.no_grad():
            words = codec.model.quantizer.decode(codes)[0].double()  # the other books add the same to each
        distance = torch.cdist(words, words)
        distance.fill_diagonal_(float("inf"))
        nearest.append(distance.argsort(dim=1, stable=True)[:, :neighbours].cpu().numpy().astype(np.uint16))
    return np.stack(nearest)


def morph_files(
    first: Path, second: Path, target: Path, *, steps: int, speaker: str | None, model: str | None, device: str
) -> Manipulated:
    """Go from one recording to another in `steps` steps, which follow one another in `target`, a quarter second apart.

    Step s lies w = s / (steps - 1) of the way: both latent sequences are stretched linearly to the length in between,
    mixed with weights 1 - w and w, and quantised. The loudness is mixed in decibels. speaker: None takes the first's.
    Raises as `convert_file`; AudioError: a recording is longer than a minute.
    """
    check_target(first, target, SOUND_FORMATS)
    found = find_for_encoding(model)
    codec = open_codec(found.path, device)
    ends = [_Latents.of(codec, path, speaker) for path in (first, second)]
    voice = speaker or ends[0].codes.speaker

    def sound() -> Iterator[NDArray[np.float32]]:
        for step in range(steps):
            if step:
                yield np.zeros(round(_PAUSE * codec.sample_rate), np.float32)
            yield codec.decode(_between(codec, ends[0], ends[1], step / (steps - 1)), speaker=voice)

    return _written(codec, target, sound(), voice, found.note)


@dataclass(frozen=True, eq=False)
class _Latents:
    """A recording's codes and what the quantiser made them of: [1, T, channels]."""

    codes: Codes
    encoded: Tensor

    @classmethod
    def of(cls, codec: Codec, path: Path, speaker: str | None) -> "_Latents":
        audio = AudioSource(path)
        if audio.seconds > _LONGEST:
            raise AudioError(f"{path}: got {audio.seconds:.0f} s, expected at most {_LONGEST} s to morph; cut it first")
        samples = audio.read(codec.sample_rate)
        features = extract(torch.from_numpy(samples), codec.model.features)
        with torch.inference_mode():
            encoded = codec.model.encoder(with_context(codec.model, features)[None].to(codec.device))
        return cls(codec.encode(samples, speaker=speaker), encoded)


def _between(codec: Codec, first: _Latents, second: _Latents, weight: float) -> Codes:
    """The codes that lie `weight` of the way from the first recording to the second."""
    one, other = first.codes, second.codes
    samples = round((1 - weight) * one.samples + weight * other.samples)
    length = codec.model.features.code_count(samples, codec.sample_rate)
    parts = [
        torch.nn.functional.interpolate(end.encoded.transpose(1, 2), size=length, mode="linear", align_corners=True)
        for end in (first, second)
    ]
    mixed = ((1 - weight) * parts[0] + weight * parts[1]).transpose(1, 2)
    indices = codec.model.quantizer.encode(mixed)[0].cpu().numpy().astype(np.uint16)
    gain = one.gain ** (1 - weight) * other.gain**weight
    return replace(one, indices=indices, samples=samples, sample_rate=codec.sample_rate, gain=gain)


def _through_codes(
    source: Path,
    target: Path,
    speaker: str | None,
    model: str | None,
    device: str,
    change: Callable[[Codec, Codes], Codes],
) -> Manipulated:
    """Encode, change the codes, decode."""
    check_target(source, target, SOUND_FORMATS)
    with spooled(source) as path:
        audio = AudioSource(path)
        found = find_for_encoding(model)
        codec = open_codec(found.path, device)
        codes = codec.encode_recording(audio, speaker=speaker)
    sound = codec.decode_blocks(change(codec, codes))
    return _written(codec, target, sound, codec.speaker_of(codes, None), found.note)


def _written(
    codec: Codec, target: Path, sound: Iterable[NDArray[np.float32]], voice: str | None, note: str
) -> Manipulated:
    """Write blocks [n] at the codec's rate, and say so."""
    rate = codec.sample_rate
    with written(target) as draft:
        samples = write_sound(draft, sound, rate, sound_format(target, None)).samples
    return Manipulated(seconds=samples / rate, sample_rate=rate, speaker=voice, model=codec.path, note=note)
