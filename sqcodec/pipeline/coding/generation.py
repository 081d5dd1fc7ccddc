"""`sqcodec generate`: speech-like recordings drawn from a model's prior."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sqcodec.codes import Codes
from sqcodec.corpus.audio import AudioSource
from sqcodec.errors import SqcodecError
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.coding.notes import recording_notes
from sqcodec.pipeline.coding.sound_files import SOUND_FORMATS, write_sound
from sqcodec.pipeline.finding.models import find_for_encoding
from sqcodec.pipeline.paths import shown, spooled, written
from sqcodec.prior.prior_file import PRIOR, load_prior
from sqcodec.prior.transformer import CodePrior

_GAIN = 0.5  # -6 dB: codes without a prompt have no level


class Generated(NamedTuple):
    """One generated recording, and its speaker. notes: of the first one, on the prompt."""

    path: Path
    seconds: float
    speaker: str | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """seconds: of new speech per recording; number: of recordings; top_p: probability (0 to 1) of the kept codes."""

    seconds: float
    number: int
    temperature: float
    top_p: float
    seed: int


def generate(
    folder: Path,
    sampling: Sampling,
    *,
    speaker: str | None,
    prompt: Path | None,
    model: str | None,
    device: str,
) -> Iterator[Generated]:
    """Draw recordings from the prior beside a model and write them to `folder` as 0001.wav and so on.

    speaker: None: the prompt's, else a random one per recording. prompt: a recording to continue; the output begins
    with it. Raises ModelError: no model, no prior, or a prior of other codes; CodesError: no such speaker;
    SqcodecError: `folder` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise SqcodecError(f"{folder}: a file; expected the folder to write to")
    codec = open_codec(find_for_encoding(model).path, device)
    if speaker is not None:
        codec.speaker_index(speaker)
    prior_path = codec.path.with_name(PRIOR)
    prior = load_prior(prior_path, fingerprint=codec.fingerprint, speakers=codec.speakers, device=codec.device)
    start, notes = _start(codec, prompt, speaker, len(prior.codewords)) if prompt else (None, ())
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(sampling.number):
        rng = np.random.default_rng([sampling.seed, number])
        given = speaker or (start.speaker if start else None)
        name = given or (codec.speakers[rng.integers(len(codec.speakers))] if codec.speakers else None)
        codes = _sample_codes(codec, prior, start, name, sampling, int(rng.integers(2**62)))
        path = folder / f"{number + 1:04}.wav"
        with written(path) as draft:
            sound = write_sound(draft, codec.decode_blocks(codes), codec.sample_rate, SOUND_FORMATS[".wav"])
        yield Generated(path, sound.samples / codec.sample_rate, name, notes if number == 0 else ())


def _start(codec: Codec, prompt: Path, speaker: str | None, codebooks: int) -> tuple[Codes, tuple[str, ...]]:
    """The codes of the prompt, and the notes on it."""
    with spooled(prompt) as path:
        audio = AudioSource(path)
        samples = audio.read(codec.sample_rate)
        codes = codec.encode(samples, sample_rate=codec.sample_rate, speaker=speaker, codebooks=codebooks)
        return codes, tuple(note.text for note in recording_notes(audio, shown(prompt)))


def _sample_codes(
    codec: Codec, prior: CodePrior, start: Codes | None, speaker: str | None, sampling: Sampling, seed: int
) -> Codes:
    """The prompt's codes, then `sampling.seconds` of new ones."""
    samples = round(sampling.seconds * codec.sample_rate) + (start.samples if start else 0)
    known: NDArray[np.uint16] = start.indices if start else np.zeros((len(prior.codewords), 0), np.uint16)
    drawn = prior.sample(
        torch.from_numpy(known.astype(np.int64)).to(codec.device),
        codec.features.code_count(samples, codec.sample_rate),
        codec.speaker_index(speaker),
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        generator=torch.Generator(codec.device).manual_seed(seed),
    )
    return Codes(
        indices=drawn.cpu().numpy().astype(np.uint16),
        samples=samples,
        sample_rate=codec.sample_rate,
        gain=(start.gain if start else 0.0) or _GAIN,  # a silent prompt has no level either
        speaker=speaker,
        fingerprint=codec.fingerprint,
    )
