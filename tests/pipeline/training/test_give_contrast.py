"""A run's vocoder that gives back what the run's decoder smooths away; the model itself stays."""

import shutil

import numpy as np
import pytest
import torch

from sqcodec.corpus.store import open_store
from sqcodec.errors import CorpusError, ModelError, TrainingError, VocoderError
from sqcodec.model.assembly import build_codec
from sqcodec.model.model_file import save_model
from sqcodec.model.model_header import read_whole
from sqcodec.pipeline.training import give_contrast as stage
from sqcodec.pipeline.training.give_contrast import give_contrast
from sqcodec.pipeline.training.shipping import ship_receiver
from sqcodec.recipe import load_recipe
from sqcodec.train.crops import band_statistics
from sqcodec.vocoder.istft import IstftNetwork
from sqcodec.vocoder.vocoder_file import load_vocoder, save_vocoder
from sqcodec.vocoder.vocoder_header import read_header
from tests.train.vocoder.conftest import make_sound_store
from tests.train.vocoder.test_joint_trainer import SMALL

RECIPE = load_recipe("speech16k", SMALL).codec
FEATURES = RECIPE.features.configuration


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store, and a run with an untrained model and an untrained vocoder on its scale."""
    folder = tmp_path_factory.mktemp("made")
    store, run = make_sound_store(folder / "corpus"), folder / "run"
    torch.manual_seed(0)
    codec, vocoder = build_codec(RECIPE), IstftNetwork(RECIPE.vocoder, FEATURES)
    for scale in (codec.encoder.scale, codec.decoder.scale, vocoder.trunk.scale):
        scale.set_(*band_statistics(open_store(store).splits["train"]))
    with torch.no_grad():
        codec.decoder.output.weight.mul_(0.3)  # too flat, as trained ones are
    run.mkdir()
    save_model(run / "model.safetensors", codec, 0)
    save(run / "vocoder" / "vocoder.safetensors", vocoder, codec.fingerprint)
    return store, run


def save(path, network, codec):
    path.parent.mkdir()
    save_vocoder(path, network, config=RECIPE.vocoder, features=FEATURES, step=5, codec=codec)


def test_the_vocoder_gets_the_part_and_the_model_stays(made, tmp_path, monkeypatch):
    store, source = made
    measured, kept = [], stage.lost_contrast
    monkeypatch.setattr(stage, "lost_contrast", lambda *both: measured.append(kept(*both)) or measured[-1])
    run = shutil.copytree(source, tmp_path / "run")
    folder = give_contrast(RECIPE, store, run, device="cpu")
    assert folder == run / "contrast"
    assert (folder / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()
    (lost,) = measured
    assert 1.5 < lost.median() < 10  # the output was made a third as strong
    paths = [at / "vocoder" / "vocoder.safetensors" for at in (run, folder)]
    one, other = map(read_header, paths)
    assert (one.step, one.codec) == (other.step, other.codec)
    changed = load_recipe("speech16k", (*SMALL, "vocoder.refinement.iterations=3")).codec
    give_contrast(changed, store, run, device="cpu")
    config = read_header(folder / "vocoder" / "vocoder.safetensors").config
    assert config == {**one.config, "refinement": {**one.config["refinement"], "iterations": 3}}  # the recipe's
    give_contrast(RECIPE, store, run, device="cpu")
    measured[:] = measured[-1:]
    plain, sharp = (load_vocoder(path, FEATURES).network for path in paths)
    expected = stage.with_contrast(plain, lost, RECIPE.contrast).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in sharp.state_dict().items())
    changed = {name for name, value in plain.state_dict().items() if not torch.equal(value, expected[name])}
    assert changed == {"trunk.embed.weight", "trunk.embed.bias"}
    assert set(expected) - set(plain.state_dict()) == {"contrast"}
    written = paths[1].read_bytes()
    give_contrast(RECIPE, store, run, device="cpu")  # of the run's vocoder again, not of its own
    assert paths[1].read_bytes() == written


def test_the_vocoder_that_was_tuned_on_the_codec_comes_first(made, tmp_path):
    store, source = made
    run = shutil.copytree(source, tmp_path / "run")
    torch.manual_seed(1)
    tuned = IstftNetwork(RECIPE.vocoder, FEATURES)
    save(run / "vocoder-on-codec" / "vocoder.safetensors", tuned, "0123456789abcdef")
    folder = give_contrast(RECIPE, store, run, device="cpu")
    head = load_vocoder(folder / "vocoder" / "vocoder.safetensors", FEATURES).network.state_dict()
    assert all(torch.equal(head[name], value) for name, value in tuned.state_dict().items() if "embed" not in name)


def test_a_model_that_shares_arrays_is_whole_in_its_copy(made, tmp_path):
    store, source = made
    neighbour = shutil.copytree(source, tmp_path / "neighbour") / "model.safetensors"
    run = shutil.copytree(source, tmp_path / "run")
    ship_receiver(source / "model.safetensors", neighbour, run / "model.safetensors")
    copied = give_contrast(RECIPE, store, run, device="cpu") / "model.safetensors"
    shutil.rmtree(neighbour.parent)
    arrays, expected = read_whole(copied)[1], read_whole(source / "model.safetensors")[1]
    assert arrays.keys() == expected.keys()
    assert all(np.array_equal(array, expected[name]) for name, array in arrays.items())


def test_what_has_no_contrast_to_give_is_refused(made, tmp_path, monkeypatch):
    store, source = made
    with pytest.raises(TrainingError, match="has no key 'contrast'; recipe speech16k shows one"):
        give_contrast(load_recipe("speech16k", (*SMALL, "contrast=null")).codec, store, source, device="cpu")
    with pytest.raises(CorpusError):
        give_contrast(RECIPE, tmp_path, source, device="cpu")
    with pytest.raises(ModelError, match="no such model"):
        give_contrast(RECIPE, store, tmp_path, device="cpu")
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(source / "model.safetensors", run)
    with pytest.raises(VocoderError):
        give_contrast(RECIPE, store, run, device="cpu")
    network = "network={kind: paper, channels: 8, speaker_dim: 4, gru: 8, jitter: 0.0}"
    stranger = tmp_path / "stranger"
    shutil.copytree(source / "vocoder", stranger / "vocoder")
    other = build_codec(load_recipe("speech16k", (network, *SMALL[1:4])).codec, ("a",))
    save_model(stranger / "model.safetensors", other, 0)
    with pytest.raises(TrainingError, match="knows no speaker of the store's training split"):
        give_contrast(RECIPE, store, stranger, device="cpu")
    plain = build_codec(load_recipe("speech16k", (*SMALL, "quantizer={kind: none, dim: 6}")).codec)
    save_model(stranger / "model.safetensors", plain, 0)
    with pytest.raises(ModelError, match="a plain VAE"):
        give_contrast(RECIPE, store, stranger, device="cpu")
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match="`stage` contrast trains in one process"):
        give_contrast(RECIPE, store, source, device="cpu")
    monkeypatch.undo()
    twice = shutil.copytree(source, tmp_path / "twice")
    with pytest.raises(VocoderError, match=r"has its contrast; give the run that it was made of, .*twice$"):
        give_contrast(RECIPE, store, give_contrast(RECIPE, store, twice, device="cpu"), device="cpu")
    assert not (source / "contrast").exists()
    assert not (run / "contrast").exists()
