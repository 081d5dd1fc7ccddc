"""The stage `prior` of `train`, and the verb `generate`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sqcodec.corpus.audio import AudioSource
from sqcodec.corpus.store import StoreSplit
from sqcodec.errors import SqcodecError, TrainingError
from sqcodec.model.codec import SpectrogramCodec
from sqcodec.model.file import load_model
from sqcodec.pipeline.coding import Codec, open_codec
from sqcodec.pipeline.device import find_device
from sqcodec.pipeline.files import SOUND_FORMATS, write_sound
from sqcodec.pipeline.lookup import find_for_encoding
from sqcodec.pipeline.paths import written
from sqcodec.pipeline.tables import codes_of
from sqcodec.pipeline.training import open_store_of, refuse_processes
from sqcodec.prior.file import load_prior, save_prior
from sqcodec.prior.ngram import bits_a_code
from sqcodec.prior.transformer import CodePrior
from sqcodec.recipe import Recipe
from sqcodec.train.prior import CodedUtterance, Report, train_prior
from sqcodec.values import SAMPLE_RATE, Codes, code_count

PRIOR = "prior.safetensors"  # beside the model
_GAIN = 0.5  # -6 dB: what is generated has no loudness of its own


@dataclass(frozen=True, kw_only=True)
class TrainedPrior:
    """The prior's file, its bits a code on the test split, and those of tables of order 0, 1 and 2."""

    path: Path
    bits: float
    orders: tuple[float, ...]


def train_prior_of(recipe: Recipe, features: Path, folder: Path, *, device: str, report: Report) -> TrainedPrior:
    """Train the recipe's prior on the codes that the model in `folder` makes of a store; `folder` receives it.

    Raises TrainingError: the recipe has no prior, or the loss is not finite; ModelError: no model in `folder`;
    CorpusError: no store.
    """
    config = recipe.prior
    if config is None:
        raise TrainingError(f"recipe {recipe.name} has no section 'prior'; recipes/vctk shows one")
    refuse_processes("prior")
    place = find_device(device)
    codec = load_model(folder / "model.safetensors", place)
    store = open_store_of(recipe, features, recipe.train.evaluate_split)
    train, test = (list(_coded(codec, store.splits[split], place)) for split in ("train", recipe.train.evaluate_split))
    if not train or not test:
        raise TrainingError(f"{features}: no utterance of the splits has a speaker of {folder}'s model")
    torch.manual_seed(config.seed)
    codewords = (codec.quantizer.codewords,) * codec.quantizer.codebooks
    prior = CodePrior(config, codewords=codewords, speakers=len(codec.speakers)).to(place)
    bits = train_prior(prior, train, test, config, device=place, report=report)
    path = folder / PRIOR
    save_prior(path, prior, fingerprint=codec.fingerprint, speakers=codec.speakers, step=config.steps)
    counted, scored = [item.codes for item in train], [item.codes for item in test]
    orders = tuple(bits_a_code(counted, scored, codewords, order) for order in (0, 1, 2))
    return TrainedPrior(path=path, bits=bits, orders=orders)


def _coded(codec: SpectrogramCodec, split: StoreSplit, device: torch.device) -> Iterator[CodedUtterance]:
    """Codes and speaker of the utterances whose speaker the model knows."""
    rows = tuple(row for row in split.rows if codec.knows(row.speaker))
    known = StoreSplit(features=split.features, audio=split.audio, rows=rows)
    for row, codes in codes_of(codec, known, device):
        yield CodedUtterance(codes, codec.place_of(row.speaker))


class Generated(NamedTuple):
    """One recording that was made, in a voice of the model."""

    path: Path
    seconds: float
    speaker: str | None


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to draw: seconds of new speech, how many recordings, temperature and top_p (0 to 1), and the seed."""

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

    speaker: None takes the prompt's, or draws one for each. prompt: a recording to go on from, which comes first.
    Raises ModelError: no model, no prior, or one for other codes; CodesError: no such speaker; SqcodecError: `folder`
    is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise SqcodecError(f"{folder}: a file; expected the folder to write to")
    codec = open_codec(find_for_encoding(model).path, device)
    if speaker is not None:
        codec.voice(speaker)
    where = codec.path.with_name(PRIOR)
    prior = load_prior(where, fingerprint=codec.fingerprint, speakers=codec.speakers, device=codec.device)
    start = codec.encode(AudioSource(prompt).read(), speaker=speaker) if prompt else None
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(sampling.number):
        rng = np.random.default_rng([sampling.seed, number])
        known = speaker or (start.speaker if start else None)
        voice = known or (codec.speakers[rng.integers(len(codec.speakers))] if codec.speakers else None)
        codes = _sampled(codec, prior, start, voice, sampling, int(rng.integers(2**62)))
        path = folder / f"{number + 1:04}.wav"
        with written(path) as draft:
            done = write_sound(draft, codec.decode_blocks(codes), SAMPLE_RATE, SOUND_FORMATS[".wav"])
        yield Generated(path, done.samples / SAMPLE_RATE, voice)


def _sampled(
    codec: Codec, prior: CodePrior, start: Codes | None, voice: str | None, sampling: Sampling, seed: int
) -> Codes:
    """The prompt's codes and `sampling.seconds` of new ones."""
    samples = round(sampling.seconds * SAMPLE_RATE) + (start.samples if start else 0)
    known: NDArray[np.uint16] = start.indices if start else np.zeros((len(prior.codewords), 0), np.uint16)
    drawn = prior.sample(
        torch.from_numpy(known.astype(np.int64)).to(codec.device),
        code_count(samples, SAMPLE_RATE),
        codec.voice(voice),
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        generator=torch.Generator(codec.device).manual_seed(seed),
    )
    return Codes(
        indices=drawn.cpu().numpy().astype(np.uint16),
        samples=samples,
        sample_rate=SAMPLE_RATE,
        gain=start.gain if start else _GAIN,
        speaker=voice,
        fingerprint=codec.fingerprint,
    )
