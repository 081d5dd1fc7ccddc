"""Fine-tuning against discriminators on normalised log magnitudes: warm-up, balance, margins, the start from a file."""

import pytest
import torch

from sqcodec.corpus.store import open_store
from sqcodec.errors import TrainingError
from sqcodec.pipeline.training.launch import make_fabric
from sqcodec.recipe import load_recipe
from sqcodec.train.log import read_log
from sqcodec.train.vocoder.istft_trainer import IstftTrainer, Part
from sqcodec.vocoder.vocoder_file import load_vocoder
from tests.train.vocoder.conftest import ISTFT
from tests.train.vocoder.test_vocoder_trainer import run

SLIM = (
    "vocoder.discriminators.periods.members=[]", "vocoder.discriminators.resolutions.members=[]",
    "vocoder.discriminators.log_spectra={members: [512, 256], channels: [2, 3], weight: 1.0}",
    "vocoder.discriminators.margins=[3, 1]", "vocoder.discriminators.start=2", "vocoder.discriminators.warmup=2",
    "vocoder.discriminators.balance=0.5", "vocoder.train.log_every=1",
)  # fmt: skip


def trainer(store, folder, *overrides, precision="32-true"):
    recipe = load_recipe("istft", (*ISTFT, *SLIM, *overrides))
    fabric = make_fabric("cpu", precision)
    return IstftTrainer(recipe, recipe.vocoder, open_store(store), folder, fabric, None)


def test_discriminators_learn_before_the_generator_hears_them(sound_store, tmp_path):
    run("istft", sound_store, tmp_path / "run", *SLIM)
    log = {entry["step"]: entry for entry in read_log(tmp_path / "run" / "log.jsonl")}
    assert [step for step, entry in log.items() if "log_spectra" in entry] == [3, 4, 5, 6, 7, 8]
    assert [step for step, entry in log.items() if "adversarial" in entry] == [5, 6, 7, 8]
    assert not any({"periods", "resolutions"} & entry.keys() for entry in log.values())
    last = log[8]
    weighted = 45 * last["mel"] + 10 * last["stft"] + last["adversarial"] + 2 * last["matching"]
    assert last["loss"] == pytest.approx(weighted, rel=1e-5)


def test_the_adversarial_gradient_has_the_stated_norm(sound_store, tmp_path):
    training = trainer(sound_store, tmp_path / "run")
    sound = torch.randn(2, 100, requires_grad=True)
    spectral, judged = (3 * sound).sum(), (sound**2).sum()
    gradient = training._balanced(sound, spectral, [Part(judged, 0.5)])
    one, other = torch.full_like(sound, 3.0), 2 * sound.detach()
    expected = one + 0.5 * one.norm() / other.norm() * other
    torch.testing.assert_close(gradient, expected)
    assert (gradient - one).norm() / one.norm() == pytest.approx(0.5, rel=1e-5)
    parts = [Part((sound**2).sum(), None), Part((sound**2).sum(), 0.5)]  # one by its weight alone
    torch.testing.assert_close(training._balanced(sound, (3 * sound).sum(), parts), expected + other)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_balance_of_nearly_nothing_is_the_spectral_training(sound_store, tmp_path, precision):
    """The gradient passes through the sound, and is the one of a training that no discriminator joins."""
    gradients = []
    for *overrides, name in (("start=null", "balance=null", "alone"), ("start=0", "warmup=0", "balance=1e-9", "both")):
        changes = [f"vocoder.discriminators.{override}" for override in overrides]
        training = trainer(sound_store, tmp_path / name, *changes, precision=precision)
        training.advance()
        generator = training.networks["generator"]
        gradients.append({name: weight.grad for name, weight in generator.named_parameters()})
    alone, both = gradients
    largest = max(gradient.abs().max() for gradient in alone.values())
    for name, gradient in alone.items():
        # sums of a few thousand float32 terms in two orders; bfloat16 rounds what the networks make of them
        within = 1e-5 if precision == "32-true" else 1e-2
        assert (both[name] - gradient).abs().max() < within * largest, name


def test_windows_keep_to_the_margins_and_have_one_level(sound_store, tmp_path):
    training = trainer(sound_store, tmp_path / "run")
    place = torch.arange(2560.0).expand(2, -1) + 1  # 16 frames; the value of a sample is its number
    starts = set()
    for step in range(200):
        pair = training._window(place * torch.tensor([[1.0], [0.01]]), place, step)
        assert pair.recorded.shape == pair.synthesised.shape == (2, 1600)
        assert pair.recorded.square().mean(1).sqrt().tolist() == pytest.approx([0.05, 0.05], rel=1e-4)
        ratio = pair.synthesised[0, 1] / pair.synthesised[0, 0]  # (n + 1) / n
        starts.add(round(1 / (ratio.item() - 1)) - 1)
    assert min(starts) >= 3 * 160 - 2  # of three frames; float32 ratios are good to a sample or two there
    assert max(starts) <= 2560 - 1600 - 160 + 2
    assert len(starts) > 50


def test_the_generators_learning_rate_changes_when_it_hears_them(sound_store, tmp_path):
    training = trainer(sound_store, tmp_path / "run", "vocoder.discriminators.generator_learning_rate=1e-6")
    rates = []
    for _ in range(4):
        training.advance()
        rates.append(training.optimizers["generator"].param_groups[0]["lr"])
    ordinary = training.config.train.learning_rate
    assert rates == [ordinary, ordinary, 1e-6, 1e-6]


def test_learning_rates_fall_in_a_line_at_the_end(sound_store, tmp_path):
    changes = ("vocoder.train.steps=6", "vocoder.train.cooldown=0.5")
    training = trainer(sound_store, tmp_path / "run", *changes, "vocoder.discriminators.generator_learning_rate=1e-6")
    rates = []
    for _ in range(6):
        training.advance()
        rates.append([training.optimizers[name].param_groups[0]["lr"] for name in ("generator", "discriminators")])
    ordinary, judging = training.config.train.learning_rate, training.config.discriminators.learning_rate
    assert [rate for rate, _ in rates] == pytest.approx([ordinary, ordinary, 1e-6, 1e-6, 1e-6 * 2 / 3, 1e-6 / 3])
    assert [rate for _, rate in rates[2:]] == pytest.approx([judging, judging, judging * 2 / 3, judging / 3])


def test_discriminators_that_never_learned_are_not_taken(sound_store, tmp_path):
    """They do not know the statistics of the sounds; those of the training that they join do."""
    run("istft", sound_store, tmp_path / "run", *SLIM, "vocoder.discriminators.start=null", "vocoder.train.steps=1")
    joining = trainer(sound_store, tmp_path / "next")
    own = {name: value.clone() for name, value in joining.networks["discriminators"].state_dict().items()}
    joining.begin_from(tmp_path / "run")
    assert all(torch.equal(value, own[name]) for name, value in joining.networks["discriminators"].state_dict().items())
    assert all(own[name].std() > 0 for name in own if name.endswith("deviation"))
    run("istft", sound_store, tmp_path / "run", *SLIM, resume=True)
    joining.begin_from(tmp_path / "run")
    learned = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["networks"]["discriminators"]
    now = joining.networks["discriminators"].state_dict()
    assert all(torch.equal(value, now[name]) for name, value in learned.items())
    assert not all(torch.equal(value, own[name]) for name, value in learned.items())


def test_a_vocoder_without_checkpoint_is_a_start(sound_store, tmp_path):
    run("istft", sound_store, tmp_path / "run")
    (tmp_path / "run" / "checkpoint.pt").unlink()
    training = trainer(sound_store, tmp_path / "next")
    training.begin_from(tmp_path / "run")
    file = load_vocoder(tmp_path / "run" / "vocoder.safetensors", training.features).network.state_dict()
    for network in (training.networks["generator"], training.average):
        assert all(torch.equal(value, file[name]) for name, value in network.state_dict().items())
    other = trainer(sound_store, tmp_path / "other", "vocoder.dim=20")
    with pytest.raises(TrainingError, match="holds another network than the recipe's"):
        other.begin_from(tmp_path / "run")
    (tmp_path / "run" / "vocoder.safetensors").unlink()
    with pytest.raises(TrainingError, match=r"run: no vocoder to go on with; train one first \(`stage` vocoder\)"):
        training.begin_from(tmp_path / "run")
