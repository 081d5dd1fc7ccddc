"""Decoder and vocoder trained together: the codes stay, the sound changes, less look-ahead, resume bit for bit."""

import shutil

import numpy as np
import pytest
import torch

import sqcodec
from sqcodec.corpus.store import open_store
from sqcodec.errors import ModelError, RecipeError, TrainingError
from sqcodec.model.assembly import build_codec
from sqcodec.model.decoder_lookahead import with_decoder_lookahead
from sqcodec.model.model_file import open_model, save_model
from sqcodec.model.model_header import NO_SPEAKER
from sqcodec.pipeline.training.give_contrast import contrast_lost_by, give_contrast
from sqcodec.pipeline.training.train_joint import train_joint
from sqcodec.pipeline.training.train_vocoder import FineTuning, fine_tuning, train_vocoder
from sqcodec.recipe import load_recipe
from sqcodec.train.log import read_log
from sqcodec.train.vocoder.code_crops import CodeCrops
from sqcodec.train.vocoder.joint_trainer import JointNetwork, JointTrainer
from sqcodec.vocoder.contrast import with_contrast
from sqcodec.vocoder.refinement import refine
from sqcodec.vocoder.vocoder_file import config_of, load_vocoder
from sqcodec.vocoder.vocoder_header import read_header
from tests.conftest import speech_like
from tests.model.test_convnext_network import small
from tests.train.vocoder.conftest import ISTFT, make_sound_store

SMALL = (
    "network={kind: convnext, dim: 16, hidden: 24, encoder_layers: 2, decoder_layers: 3, encoder_lookahead: 1,"
    " decoder_lookahead: 2}",
    "quantizer.codewords=16", "quantizer.dim=6", "quantizer.stages=3",
    *ISTFT, "vocoder.on_codec=null", "vocoder.lookahead=4", "vocoder.discriminators.margins=[0, 0]",
    "vocoder.discriminators.log_spectra=null", "vocoder.discriminators.warmup=0",
    "joint={decoder_lookahead: 1, mel: 30.0, vocoder: {lookahead: 0}}",
)  # fmt: skip


HEARD = (
    "joint.heard={balance: 0.5, disturbance: 1.0, envelopes: 3.0}", "vocoder.train.frames=64",
    "vocoder.refinement={iterations: 2, momentum: 0.99, stages: 2.0, fades: [2000.0, 8000.0]}",
)  # fmt: skip


def recipe_of(*overrides):
    return load_recipe("speech16k", (*SMALL, *overrides), on_codec=True).codec


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run with an untrained codec and a vocoder of 8 steps, and its store."""
    folder = tmp_path_factory.mktemp("begun")
    store, run, recipe = make_sound_store(folder / "corpus"), folder / "run", recipe_of()
    torch.manual_seed(0)
    run.mkdir()
    save_model(run / "model.safetensors", build_codec(recipe).half().float(), 7, dtype=torch.float16)
    train_vocoder(recipe, store, run / "vocoder", device="cpu", resume=False, report=lambda entry: None)
    return store, run


def train(begun, folder, *overrides, resume=False):
    store, run = begun
    return train_joint(
        recipe_of(*overrides), store, folder, tuning=fine_tuning(run, None, "joint"), device="cpu",
        resume=resume, report=lambda entry: None,
    )  # fmt: skip


@pytest.mark.slow
def test_the_codes_stay_and_the_sound_changes(begun, tmp_path):
    _, run = begun
    done = train(begun, tmp_path / "joint")
    assert done.step == 8
    assert np.isfinite(done.figures["test_mel_distance"])
    before, after = open_model(run / "model.safetensors"), open_model(tmp_path / "joint" / "model.safetensors")
    assert after.codec.fingerprint == before.codec.fingerprint
    assert after.header.recipe["network"]["decoder_lookahead"] == after.codec.decoder.lookahead // 2 == 1
    changed = {
        name.split(".")[0]
        for name, value in after.codec.state_dict().items()
        if not torch.equal(value, before.codec.state_dict()[name])
    }
    assert changed == {"decoder"}
    vocoder = read_header(tmp_path / "joint" / "vocoder" / "vocoder.safetensors")
    assert (vocoder.codec, vocoder.step, config_of(vocoder).lookahead) == (before.codec.fingerprint, 8, 0)
    old, new = sqcodec.load(str(run / "model.safetensors"), device="cpu"), sqcodec.load(str(tmp_path / "joint"))
    sound = speech_like(16000)
    codes = old.encode(sound, sample_rate=16000)
    assert np.array_equal(codes.indices, new.encode(sound, sample_rate=16000).indices)
    assert np.abs(new.decode(codes) - old.decode(codes)).max() > 1e-4
    logged = read_log(tmp_path / "joint" / "log.jsonl")[0]
    assert {"mel", "stft", "decoded"} <= logged.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.safetensors", "vocoder/vocoder.safetensors"])
def test_a_finished_training_writes_what_was_removed(begun, tmp_path, name):
    train(begun, tmp_path / "joint", "vocoder.train.steps=1")
    before = (tmp_path / "joint" / name).read_bytes()
    (tmp_path / "joint" / name).unlink()
    train(begun, tmp_path / "joint", "vocoder.train.steps=1", resume=True)
    assert (tmp_path / "joint" / name).read_bytes() == before


@pytest.mark.parametrize(
    "quantizer",
    [
        "{kind: fsq, levels: [5, 5, 3]}",
        "{kind: gaussian, variance: I, codewords: 16, dim: 6, initial_variance: 1.0}",
        "{kind: vq, codewords: 16, dim: 6, commitment: 0.25, weighting: sums, initialisation: uniform}",
    ],
)
def test_where_an_utterance_has_no_codes_latents_are_zero(begun, tmp_path, monkeypatch, quantizer):
    store, run = begun
    changes = (f"quantizer={quantizer}", "vocoder.train.batch=8", "vocoder.train.steps=1", "context=null",
               "bit_rate=null", "train.rate=null")  # fmt: skip
    torch.manual_seed(0)
    save_model(tmp_path / "model.safetensors", build_codec(recipe_of(*changes)), 7)
    codes, latents = [], []
    draw, forward = CodeCrops.draw, JointNetwork.forward

    def drawn(crops, seed):
        batch = draw(crops, seed)
        codes.append(batch.codes)
        return batch

    def forwarded(network, z_q, *more):
        latents.append(z_q)
        return forward(network, z_q, *more)

    monkeypatch.setattr(CodeCrops, "draw", drawn)
    monkeypatch.setattr(JointNetwork, "forward", forwarded)
    tuning = FineTuning(model=tmp_path / "model.safetensors", start=run / "vocoder")
    train_joint(
        recipe_of(*changes), store, tmp_path / "joint", tuning=tuning, device="cpu", resume=False,
        report=lambda entry: None,
    )  # fmt: skip
    absent = codes[0][:, 0] < 0
    assert 0 < absent.sum() < absent.numel()
    assert (latents[0][absent] == 0).all()
    assert (latents[0][~absent] != 0).any()


@pytest.mark.slow
def test_the_loss_falls_and_the_decoder_stays_near_the_spectrogram(begun, tmp_path):
    longer = ("vocoder.train.steps=60", "vocoder.train.log_every=10", "vocoder.discriminators.start=null")
    train(begun, tmp_path / "joint", *longer)
    entries = [entry for entry in read_log(tmp_path / "joint" / "log.jsonl") if "loss" in entry]
    first, last = entries[0], entries[-1]
    assert last["mel"] < 0.95 * first["mel"]
    assert last["decoded"] < 0.9 * first["decoded"]
    assert last["loss"] == pytest.approx(45 * last["mel"] + 10 * last["stft"] + 30 * last["decoded"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("balance", "heard"), [("null", ()), ("1.0", ()), ("null", HEARD), ("1.0", HEARD)])
def test_parts_resumed_are_the_whole_bit_for_bit(begun, tmp_path, balance, heard):
    changes = (f"vocoder.discriminators.balance={balance}", *heard)
    train(begun, tmp_path / "whole", *changes)
    train(begun, tmp_path / "parts", *changes, "vocoder.train.steps=5")
    train(begun, tmp_path / "parts", *changes, resume=True)
    for name in ("model.safetensors", "vocoder/vocoder.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_losses_see_the_sound_after_its_refinement(begun, tmp_path, monkeypatch, precision):
    """Rows of many stages are refined towards a target with the contrast that the decoder loses, the others are not."""
    made = {}
    kept = JointTrainer._refined

    def refined(trainer, sound, features, stages):
        made.update(
            trainer=trainer, given=sound, features=features, stages=stages, heard=kept(trainer, sound, features, stages)
        )
        return made["heard"]

    monkeypatch.setattr(JointTrainer, "_refined", refined)
    store, run = begun
    folder = tmp_path / "joint"
    changes = ("vocoder.train.batch=6", "vocoder.train.steps=3", f"vocoder.train.precision={precision}")
    train(begun, folder, *HEARD, *changes)
    assert {"disturbance", "envelopes", "decoded", "mel"} <= read_log(folder / "log.jsonl")[0].keys()
    fine = np.array(made["stages"]) >= 2
    assert 0 < fine.sum() < 6
    network = made["trainer"].networks["generator"].vocoder
    with torch.no_grad():
        expected = refine(
            made["given"], made["features"], made["trainer"].features, iterations=2, momentum=0.99,
            fades=(2000.0, 8000.0), contrast=network.contrast,
        )  # fmt: skip
    torch.testing.assert_close(made["heard"][fine], expected[fine])
    assert torch.equal(made["heard"][~fine], made["given"][~fine])
    assert (made["heard"][fine] - made["given"][fine]).abs().max() > 1e-3
    codec = with_decoder_lookahead(open_model(run / "model.safetensors").codec, 1)
    split = open_store(store).splits["train"]
    lost = contrast_lost_by(codec, split, run / "model.safetensors")
    first = with_contrast(load_vocoder(run / "vocoder" / "vocoder.safetensors", codec.features).network, lost, 0.9)
    trained = load_vocoder(folder / "vocoder" / "vocoder.safetensors", codec.features).network
    torch.testing.assert_close(trained.contrast, first.contrast)  # as it was measured: it does not learn
    assert not torch.equal(trained.trunk.embed.weight, first.trunk.embed.weight)
    anew = give_contrast(recipe_of(*HEARD, "contrast=0.5"), store, folder, device="cpu")
    changed = load_vocoder(anew / "vocoder" / "vocoder.safetensors", codec.features).network.state_dict()
    different = {name for name, value in trained.state_dict().items() if not torch.equal(value, changed[name])}
    assert different == {"contrast"}  # the layers learned with theirs


@pytest.mark.slow
def test_a_vocoder_with_contrast_goes_on_with_it(begun, tmp_path):
    """The receiver of `joint.live` begins from the one before, and need not hear its refinement."""
    store, run = begun
    begin = tmp_path / "begin"
    train(begun, begin / "vocoder-on-codec", *HEARD, "vocoder.train.steps=2")
    shutil.copytree(begin / "vocoder-on-codec" / "vocoder", begin / "vocoder", dirs_exist_ok=True)
    shutil.copy(run / "model.safetensors", begin)
    shutil.rmtree(begin / "vocoder-on-codec")
    contrast = load_vocoder(begin / "vocoder" / "vocoder.safetensors", open_store(store).features).network.contrast
    shorter = ("vocoder.lookahead=0", "vocoder.train.steps=2")
    train((store, begin), tmp_path / "on", *HEARD, *shorter)
    after = load_vocoder(tmp_path / "on" / "vocoder" / "vocoder.safetensors", open_store(store).features)
    assert torch.equal(after.network.contrast, contrast)
    for number, changes in enumerate([(), (*HEARD, "contrast=null")]):  # its first layer is made for it
        folder = tmp_path / f"on-{number}"
        train((store, begin), folder, *changes, *shorter, "vocoder.train.steps=1")
        train((store, begin), folder, *changes, *shorter, resume=True)
        after = load_vocoder(folder / "vocoder" / "vocoder.safetensors", open_store(store).features)
        assert torch.equal(after.network.contrast, contrast)
    with pytest.raises(TrainingError, match=r"contrast \(of joint.heard\) differ"):
        train((store, begin), tmp_path / "on", *HEARD, *shorter, "contrast=0.5", resume=True)


@pytest.mark.slow
def test_a_vocoder_that_is_tuned_alone_keeps_its_contrast(begun, tmp_path):
    """Its first layer is made for it: without, it would be made twice as sharp at the end."""
    store, source = begun
    run = shutil.copytree(source, tmp_path / "run")
    start = give_contrast(recipe_of(), store, run, device="cpu") / "vocoder"
    contrast = load_vocoder(start / "vocoder.safetensors", open_store(store).features).network.contrast
    for steps, resume in ((1, False), (2, True)):
        train_vocoder(
            recipe_of(f"vocoder.train.steps={steps}"), store, tmp_path / "tuned", device="cpu", resume=resume,
            report=lambda entry: None, tuning=FineTuning(model=run / "model.safetensors", start=start),
        )  # fmt: skip
        after = load_vocoder(tmp_path / "tuned" / "vocoder.safetensors", open_store(store).features)
        assert torch.equal(after.network.contrast, contrast)


@pytest.mark.slow
def test_without_contrast_or_refinement_the_sound_is_heard_as_it_is(begun, tmp_path):
    none = ("contrast=null", "vocoder.refinement.iterations=0", "vocoder.train.steps=2")
    train(begun, tmp_path / "joint", *HEARD, *none)
    vocoder = load_vocoder(tmp_path / "joint" / "vocoder" / "vocoder.safetensors", open_store(begun[0]).features)
    assert vocoder.network.contrast is None
    assert "disturbance" in read_log(tmp_path / "joint" / "log.jsonl")[0]


@pytest.mark.slow
def test_a_training_of_before_goes_on(begun, tmp_path):
    """Its checkpoint does not say whether it heard: it did not."""
    folder = tmp_path / "joint"
    train(begun, folder, "vocoder.train.steps=2")
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    for title in ("joint.heard (set or not)", "contrast (of joint.heard)"):
        assert state["identity"].pop(title) is None
    torch.save(state, folder / "checkpoint.pt")
    assert train(begun, folder, "vocoder.train.steps=3", resume=True).step == 3
    with pytest.raises(TrainingError, match=r"joint.heard \(set or not\)"):
        train(begun, folder, "vocoder.train.steps=3", *HEARD[:1], "vocoder.train.frames=64", resume=True)


def test_crops_too_short_to_be_judged_are_refused(begun, tmp_path):
    with pytest.raises(
        RecipeError, match=r"joint.heard needs joint.vocoder.train.frames of 51 or more \(40 and .*margins.*\), got 50"
    ):
        train(begun, tmp_path / "joint", *HEARD, "vocoder.discriminators.margins=[5, 6]", "vocoder.train.frames=50")
    assert not (tmp_path / "joint").exists()


@pytest.mark.slow
def test_the_vocoder_and_its_discriminators_are_taken(begun, tmp_path, monkeypatch):
    """Before the first step the sound is that of the vocoder in the run, where the input stays as it is."""
    from sqcodec.train.vocoder import joint_trainer

    taken = {}
    monkeypatch.setattr(joint_trainer.JointTrainer, "run", lambda trainer, *_: taken.update(trainer=trainer))
    with pytest.raises(TrainingError, match="no evaluation"):
        train(begun, tmp_path / "joint")
    _, run = begun
    trainer = taken["trainer"]
    former = load_vocoder(run / "vocoder" / "vocoder.safetensors", trainer.features)
    still = torch.linspace(-6, -2, 80)[None, :, None].expand(1, -1, 60)
    with torch.inference_mode():
        one, other = (network.spectrum(still)[0, 30:50] for network in (former.network, trainer.average.vocoder))
    assert (one - other).abs().max() < 1e-4 * one.abs().max()  # float32 of seven products a layer
    checkpoint = torch.load(run / "vocoder" / "checkpoint.pt", weights_only=True)
    judging = trainer.networks["discriminators"].state_dict()
    assert all(torch.equal(value, judging[name]) for name, value in checkpoint["networks"]["discriminators"].items())


@pytest.mark.slow
@pytest.mark.parametrize(
    "override",
    [
        "vocoder.discriminators.periods.members=[]",  # fewer than before
        "vocoder.discriminators.periods.members=[2, 5]",  # as many weights, of another period
        "vocoder.discriminators.resolutions.members=[256]",
    ],
)
def test_discriminators_of_other_sounds_begin_anew(begun, tmp_path, override):
    train(begun, tmp_path / "joint", override, "vocoder.train.steps=1", "vocoder.train.evaluate_every=1")
    _, run = begun
    was, now = (
        torch.load(folder / "checkpoint.pt", weights_only=True)["networks"]["discriminators"]
        for folder in (run / "vocoder", tmp_path / "joint")
    )
    assert now
    assert not all(torch.equal(value, was[name]) for name, value in now.items() if "original0" not in name)


@pytest.mark.parametrize("override", ["joint.live.decoder_lookahead=3", "joint.live.vocoder.lookahead=5"])
def test_the_receiver_that_follows_cannot_add_lookahead(override):
    with pytest.raises(RecipeError, match="joint and cannot add look-ahead; expected decoder_lookahead up"):
        load_recipe("speech16k", (override,))


def test_a_decoder_that_looks_less_far_ahead_gives_the_same_for_codes_that_last():
    codec = small()
    fewer = with_decoder_lookahead(codec, 0)
    codes = torch.randint(0, 16, (1, 3, 40), generator=torch.Generator().manual_seed(0))
    codes[..., 20:] = codes[..., 20:21]
    speaker = torch.tensor([NO_SPEAKER])
    one, other = codec.decode(codes, speaker), fewer.decode(codes, speaker)
    assert fewer.decoder.lookahead == 0
    assert torch.equal(fewer.decode(codes[..., :20], speaker), other[..., :40])  # nothing ahead is seen
    steady = slice(2 * 32, 2 * 36)  # beyond the reach of the past, and of the end
    assert (one[..., steady] - other[..., steady]).abs().max() < 1e-4 * one.abs().max()


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (("joint=null",), "has no section 'joint'"),
        (("joint.decoder_lookahead=3",), "cannot add look-ahead; .* joint.decoder_lookahead up to 2, got 0 and 3"),
        (("joint.vocoder.lookahead=5",), "joint.vocoder.lookahead up to 4"),
        (("vocoder={kind: griffin-lim, iterations: 2, momentum: 0.9}",), "vocoder.kind istft; got convnext, mel and"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(begun, tmp_path, overrides, text):
    with pytest.raises(RecipeError, match=text):
        train(begun, tmp_path / "joint", *overrides)
    assert not (tmp_path / "joint").exists()


def test_what_cannot_be_started_from_is_refused(begun, tmp_path):
    with pytest.raises(ModelError, match="the decoder looks 2 codes ahead, expected 3 or more"):
        with_decoder_lookahead(small(), 3)
    with pytest.raises(TrainingError, match="holds another network than the recipe's"):
        train(begun, tmp_path / "wider", "vocoder.dim=24")
    with pytest.raises(TrainingError, match="got istft with 2 layers and 4 frames of .*expected istft with 3"):
        train(begun, tmp_path / "deeper", "vocoder.layers=3")
    with pytest.raises(RecipeError, match=r"as joint.vocoder changes it: 1 error.*\n.*vocoder.train.stpes"):
        recipe_of("joint.vocoder.train={stpes: 5}")
