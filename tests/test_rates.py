"""Models of 24 and 48 kHz, from recordings to sound: prep, codec, vocoders, encode, decode."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sqcodec.bitstream import npy
from sqcodec.corpus.store import open_store
from sqcodec.pipeline.coding.codec import open_codec
from sqcodec.pipeline.coding.copy_synthesis import vocode_file
from sqcodec.pipeline.coding.files import decode_file, encode_file
from sqcodec.pipeline.coding.inspection import inspect_file
from sqcodec.pipeline.training.prepare import prepare
from sqcodec.pipeline.training.run_folder import stage_folder
from sqcodec.pipeline.training.train_codec import train
from sqcodec.pipeline.training.train_vocoder import train_vocoder
from sqcodec.recipe import load_recipe
from tests.conftest import speech_like
from tests.train.vocoder.conftest import ISTFT, WORLD

pytestmark = pytest.mark.slow

FEATURES = {
    # a hop of 10.7 ms and a code of 32 ms
    24_000: "features={kind: log-mel, sample_rate: 24000, n_fft: 1024, win_length: 1024, hop_length: 256,"
    " f_max: 12000, frames_per_code: 3}",
    # a hop of 10 ms and a code of 20 ms; more bands
    48_000: "features={kind: log-mel, sample_rate: 48000, n_fft: 2048, win_length: 1920, hop_length: 480,"
    " f_max: 24000, n_mels: 96}",
}
CODEC = (
    "network={kind: convnext, dim: 32, hidden: 48, encoder_layers: 1, decoder_layers: 2, encoder_lookahead: 1,"
    " decoder_lookahead: 1}",
    "quantizer={kind: vq, codewords: 64, dim: 8, commitment: 0.25, weighting: means, initialisation: data}",
    "target={kind: mel, loudness: 0, variance: batch}", "train.level=null", "train.precision=32-true",
    "train.steps=200", "train.batch=8", "train.frames=48", "train.milestones=[]", "train.learning_rate=2e-3",
    "train.log_every=100", "train.save_every=200", "train.evaluate_every=200",
)  # fmt: skip
LONGER = ("vocoder.train.steps=120", "vocoder.train.batch=8", "vocoder.train.evaluate_every=120")
VOCODERS = {
    "istft": (*ISTFT, *LONGER, "vocoder.dim=48", "vocoder.hidden=64", "vocoder.train.learning_rate=2e-3",
              "vocoder.discriminators.start=100000"),
    "world": (*WORLD, *LONGER, "vocoder.dim=32", "vocoder.hidden=48", "vocoder.minutes=0.2",
              "vocoder.train.learning_rate=2e-3"),
}  # fmt: skip
BY_RATE = {24_000: ("istft", "world"), 48_000: ("istft",)}


@dataclass(frozen=True)
class Run:
    """What was trained: the store, the run folder, its vocoders by kind."""

    rate: int
    store: Path
    model: Path
    vocoders: dict[str, Path]


@pytest.fixture(scope="module", params=FEATURES, ids="{} Hz".format)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Everything that a user would do, on a few recordings of 48 and 16 kHz."""
    rate, folder = request.param, tmp_path_factory.mktemp("rates")
    for number in range(8):
        path = folder / "speech" / f"s{number // 4}" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        own = (48_000, 16_000)[number % 2]  # a codec that never heard a band empty makes little of it
        soundfile.write(path, speech_like(2 * own + 1441 * number, rate=own, seed=number), own)
    features = FEATURES[rate]
    prepare("folder", data=folder / "speech", out=folder / "store", overrides=(features, *CODEC))
    vocoders = {}
    for kind in BY_RATE[rate]:
        recipe = load_recipe(kind, (features, *VOCODERS[kind]))
        target = stage_folder(folder / kind, "vocoder")
        done = train_vocoder(recipe, folder / "store", target, device="cpu", resume=False, report=lambda entry: None)
        vocoders[kind] = done.folder / "vocoder.safetensors"
    recipe = load_recipe("folder", (features, *CODEC)).codec
    train(recipe, folder / "store", folder / "run", device="cpu", resume=False, report=lambda entry: None)
    return Run(rate, folder / "store", folder / "run" / "model.safetensors", vocoders)


def test_the_rates_travel_with_store_and_model(run: Run) -> None:
    store, codec = open_store(run.store), open_codec(run.model, "cpu")
    assert store.features == codec.model.features
    assert (codec.sample_rate, codec.space.features.sample_rate) == (run.rate, run.rate)
    assert codec.bit_rate == codec.model.features.code_rate * 6  # 64 codewords
    row = store.splits["train"].rows[0]
    assert row.frames == store.features.frame_count(row.samples)


@pytest.mark.parametrize("vocoder", ["istft", "world", "griffin-lim"])
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_recordings_of_any_rate_come_back(run: Run, tmp_path: Path, rate: int, vocoder: str) -> None:
    if vocoder == "world" and run.rate != 24_000:
        vocoder = "istft"  # WORLD analyses slowly, so it is trained at one of the rates
    samples = 2 * rate + 17
    source, codes = tmp_path / "in.wav", tmp_path / "codes.npy"
    soundfile.write(source, speech_like(samples, rate=rate, seed=50), rate)
    encode_file(source, codes, model=str(run.model), device="cpu")
    config, written = open_codec(run.model, "cpu").model.features, npy.read_codes(codes)
    assert (written.samples, written.sample_rate) == (samples, rate)
    assert written.indices.shape == (1, config.code_count(samples, rate))
    name = str(run.vocoders.get(vocoder, vocoder))
    done = decode_file(codes, tmp_path / "out.wav", model=str(run.model), vocoder=name, device="cpu")
    sound, own = soundfile.read(tmp_path / "out.wav")
    assert (own, len(sound), done.sample_rate) == (run.rate, -(-samples * run.rate // rate), run.rate)
    decode_file(codes, tmp_path / "same.wav", model=str(run.model), vocoder=name, device="cpu", rate=rate)
    assert (soundfile.info(tmp_path / "same.wav").frames, soundfile.info(tmp_path / "same.wav").samplerate) == (
        samples,
        rate,
    )
    original = soundfile.read(source)[0]
    assert np.isfinite(sound).all()
    # A level that has nothing to do with the original's correlates by 0.2 or less over so many steps of 50 ms.
    assert correlation(levels(original, rate), levels(sound, run.rate)) > 0.6


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_small_files_and_copy_synthesis(run: Run, tmp_path: Path, rate: int) -> None:
    source = tmp_path / "in.wav"
    soundfile.write(source, speech_like(rate + 3, rate=rate, seed=51), rate)
    encode_file(source, tmp_path / "out.sqc", model=str(run.model), device="cpu")
    found = inspect_file(tmp_path / "out.sqc", model=str(run.model))
    config = open_codec(run.model, "cpu").model.features
    assert (found.samples, found.codes) == (rate + 3, config.code_count(rate + 3, rate))
    done = vocode_file(source, tmp_path / "copy.wav", vocoder=str(run.vocoders["istft"]), device="cpu")
    assert (done.sample_rate, done.samples) == (run.rate, -(-(rate + 3) * run.rate // rate))


def levels(sound: np.ndarray, rate: int) -> np.ndarray:
    """dB of each 50 ms, not below -50."""
    steps = sound[: len(sound) // (rate // 20) * (rate // 20)].reshape(-1, rate // 20)
    return np.maximum(10 * np.log10(np.square(steps).mean(1) + 1e-12), -50.0)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    length = min(len(one), len(other))
    return float(np.corrcoef(one[:length], other[:length])[0, 1])
