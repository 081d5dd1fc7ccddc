"""What a release left on disk reads on; what ships codes and sounds as it did (see golden/make-release.py)."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import sqcodec
from sqcodec.bitstream import npy, sqc
from sqcodec.corpus.store import open_store
from sqcodec.model.model_file import load_model
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.finding.models import SHIPPED
from sqcodec.pipeline.training.train_codec import train
from sqcodec.pipeline.training.train_vocoder import FineTuning, train_vocoder
from sqcodec.prior.prior_file import load_prior
from sqcodec.recipe import load_recipe
from sqcodec.vocoder.vocoder_file import load_vocoder
from sqcodec.vocoder.vocoder_header import read_header
from tests.conftest import golden_maker

pytestmark = pytest.mark.ships

GOLDEN = Path(__file__).parent / "golden"
RELEASES = sorted(GOLDEN.glob("release-*"))
MAKER = golden_maker("make-release")


def each(pattern: str) -> list[Path]:
    return sorted(path for release in RELEASES for path in release.glob(pattern))


def name_of(path: Path) -> str:
    return path.relative_to(GOLDEN).as_posix()


@pytest.fixture(scope="module")
def shipped() -> Codec:
    """The model of the release, with the vocoder that ships now."""
    return open_codec(SHIPPED / "speech16k-1" / "model.safetensors", "cpu")


@pytest.mark.parametrize("path", each("recipes/*.yaml"), ids=name_of)
def test_its_recipes_load(path: Path) -> None:
    assert load_recipe(str(path)).name == path.stem


@pytest.mark.parametrize("path", [*each("runs/*/model.safetensors"), *each("formats/*.safetensors")], ids=name_of)
def test_its_models_load(path: Path) -> None:
    codec = load_model(path)  # compares the fingerprint in the file with that of the weights
    indices = codec.encode(torch.zeros(1, 80, 10))
    assert codec.decode(indices, torch.zeros(1, dtype=torch.int64)).shape == (1, 80, 8)


@pytest.mark.parametrize("path", each("runs/*/*/vocoder.safetensors"), ids=name_of)
def test_its_vocoders_load(path: Path) -> None:
    header = read_header(path)
    assert load_vocoder(path, header.features).synthesise(torch.zeros(1, 80, 12)).isfinite().all()


@pytest.mark.parametrize("path", each("runs/*/prior.safetensors"), ids=name_of)
def test_its_priors_load(path: Path) -> None:
    codec = load_model(path.with_name("model.safetensors"))
    prior = load_prior(path, fingerprint=codec.fingerprint, speakers=codec.speakers, device=torch.device("cpu"))
    assert prior.codewords == (codec.quantizer.codewords,)


@pytest.mark.parametrize("path", each("*-store/store"), ids=name_of)
def test_its_stores_open(path: Path) -> None:
    assert set(open_store(path).splits) == {"train", "test"}


@pytest.mark.parametrize("path", each("runs/*/checkpoint.pt"), ids=name_of)
def test_its_codec_trainings_go_on(path: Path, tmp_path: Path) -> None:
    run = shutil.copytree(path.parent, tmp_path / "run")
    recipe = load_recipe(str(run / "recipe.yaml"), ("train.steps=7",))
    store = path.parents[2] / ("sound-store" if recipe.features.kind == "log-mel" else "codec-store") / "store"
    done = train(recipe, store, run, device="cpu", resume=True, report=lambda entry: None)
    assert (done.step, np.isfinite(done.test_mse)) == (7, True)


@pytest.mark.parametrize("path", each("runs/*/*/checkpoint.pt"), ids=name_of)
def test_its_vocoder_trainings_go_on(path: Path, tmp_path: Path) -> None:
    store = shutil.copytree(path.parents[3] / "sound-store" / "store", tmp_path / "store")
    run = shutil.copytree(path.parent, tmp_path / path.parent.name)
    tuning = None
    if path.parent.name.endswith("on-codec"):
        tuning = FineTuning(model=path.parents[1] / "model.safetensors", start=path.parents[2] / "istft" / "vocoder")
    recipe = load_recipe(str(run / "recipe.yaml"), ("vocoder.train.steps=5",))
    done = train_vocoder(recipe, store, run, device="cpu", resume=True, report=lambda entry: None, tuning=tuning)
    assert done.step == 5


def test_fingerprints_of_shipped_models() -> None:
    """Literally: codes that people keep name their model by these."""
    first, second = (
        open_codec(SHIPPED / name / "model.safetensors", "cpu").space for name in ("speech16k-1", "speech16k")
    )
    assert (first.fingerprint, first.identities[:2]) == ("afd19f03b449d079", ("5819a8dd35fa", "568f807f4c88"))
    assert (second.fingerprint, second.identities) == (
        "2db07d69b2e91c5a",
        ("173f018f989a", "5a049e1aa334", "396d03c6a959"),
    )
    vocoders = [read_header(SHIPPED / name / "vocoder" / "vocoder.safetensors") for name in ("speech16k", "istft")]
    assert [vocoder.codec for vocoder in vocoders] == [second.fingerprint, None]


@pytest.mark.parametrize("path", each("speech16k/*.sqc"), ids=name_of)
def test_its_codes_decode_as_they_did(path: Path, shipped: Codec) -> None:
    codes = shipped.unpack(path.read_bytes())
    assert np.array_equal(codes.indices, npy.read_codes(path.with_suffix(".npy")).indices)
    written = json.loads(path.with_name("decoded.json").read_text("utf-8"))
    then, sound = written["sounds"][int(path.stem)], shipped.decode(codes)
    # the vocoder is that of speech16k-2, another network than the release's, whose sound was softer than recordings: of
    # tenths of a second, while they are above -60 dB, the level moved by 3.0 dB at most, .3 to 1.1 on average, upwards
    now, before = (np.maximum(levels, -60.0) for levels in (MAKER.levels(sound), then["levels"]))
    assert now == pytest.approx(before, abs=4.0)
    assert np.abs(now - before).mean() < 1.3


@pytest.mark.parametrize("number", range(10))
def test_the_shipped_model_writes_the_same_codes(number: int, shipped: Codec) -> None:
    samples, rate = soundfile.read(MAKER.recordings()[number], dtype="float32")
    books = MAKER.RATES[number % len(MAKER.RATES)] // 400
    codes = shipped.encode(samples, sample_rate=rate, codebooks=books)
    folder = GOLDEN / f"release-{sqcodec.__version__}" / "speech16k"
    written = shipped.unpack((folder / f"{number}.sqc").read_bytes())
    assert (codes.samples, codes.sample_rate, codes.gain) == (written.samples, written.sample_rate, written.gain)
    # where two codewords are equally near, another processor may take the other one
    assert (codes.indices != written.indices).mean() < 0.02
    if json.loads((folder / "decoded.json").read_text("utf-8"))["machine"] == MAKER.machine():
        assert sqc.pack(codes, shipped.space, coder="tables") == (folder / f"{number}.sqc").read_bytes()
