"""Training a prior: it learns what is in the codes, what it reports is right, it resumes bit for bit."""

import math
import os
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sqcodec.errors import StoppedError, TrainingError
from sqcodec.pipeline.training.launch import make_fabric
from sqcodec.prior.transformer import CodePrior
from sqcodec.recipe import PriorConfig
from sqcodec.train.log import TrainingLog, read_log
from sqcodec.train.prior_trainer import CodedCorpus, CodedUtterance, PriorTrainer, bits_per_code

CPU = torch.device("cpu")


def make_config(**changes) -> PriorConfig:
    fields = {
        "layers": 1, "dim": 32, "heads": 2, "context": 16, "dropout": 0.0, "steps": 150, "batch": 16,
        "learning_rate": 1e-2, "warmup": 5, "weight_decay": 0.0, "evaluate_every": 50, "seed": 0,
    }  # fmt: skip
    return PriorConfig(**(fields | changes))


def chains(number: int, length: int, seed: int) -> list[CodedUtterance]:
    """Speaker 0 goes up by one or two at each step, speaker 1 down; one bit a code, once the speaker is known."""
    rng = np.random.default_rng(seed)
    made = []
    for index in range(number):
        speaker = index % 2
        steps = rng.integers(1, 3, (1, length)) * (1 - 2 * speaker)
        made.append(CodedUtterance((np.cumsum(steps, axis=1) + rng.integers(8)) % 8, speaker))
    return made


def make_corpus(train, test, *, fingerprint: str = "codes") -> CodedCorpus:
    return CodedCorpus(train, test, codewords=(8,), speakers=("up", "down"), fingerprint=fingerprint, digest="store")


def make_trainer(folder, config: PriorConfig, corpus: CodedCorpus | None = None) -> PriorTrainer:
    folder.mkdir(exist_ok=True)
    corpus = corpus or make_corpus(chains(4, 40, 0), chains(2, 10, 1))
    return PriorTrainer(config, corpus, folder, make_fabric("cpu", "32-true"), path=folder / "prior.safetensors")


def train(trainer: PriorTrainer, report=lambda entry: None) -> list[dict[str, float]]:
    log = TrainingLog(trainer.folder, keep_to=trainer.step)
    try:
        trainer.run(log, report)
    finally:
        log.close()
    return read_log(trainer.folder / "log.jsonl")


@pytest.mark.slow
def test_it_learns_a_chain_and_tells_the_speakers_apart(tmp_path) -> None:
    test = chains(6, 40, 1)
    trainer = make_trainer(tmp_path / "run", make_config(), make_corpus(chains(40, 40, 0), test))
    entries = train(trainer)
    assert [entry["step"] for entry in entries] == [50, 100, 150]
    assert all(entry.keys() == {"step", "bits", "test_bits"} for entry in entries)
    bits = entries[-1]["test_bits"]
    assert bits == bits_per_code(trainer.prior, test, CPU)
    ideal = (3 + 39) / 40  # the first code is any of eight
    assert ideal - 0.1 < bits < ideal + 0.15
    assert abs(entries[-1]["bits"] - bits) < 0.3  # of the last 50 steps, in the same unit
    wrong = [CodedUtterance(codes, 1 - speaker) for codes, speaker in test]
    assert bits_per_code(trainer.prior, wrong, CPU) > bits + 0.5


def test_the_same_seed_trains_the_same_prior(tmp_path) -> None:
    made = []
    for name in ("one", "other"):
        trainer = make_trainer(tmp_path / name, make_config(steps=5, dropout=0.1))
        train(trainer)
        made.append(trainer.prior.state_dict())
        torch.rand(7)  # whatever is drawn in between
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])


def test_stopped_and_resumed_it_is_the_whole_bit_for_bit(tmp_path) -> None:
    config = make_config(steps=12, dropout=0.1, evaluate_every=4)
    whole = train(make_trainer(tmp_path / "whole", config))

    def interrupt(entry) -> None:
        if entry["step"] == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError, match=r"^stopped at step 4 of 12, all saved in "):
        train(make_trainer(tmp_path / "parts", config), interrupt)
    resumed = make_trainer(tmp_path / "parts", config)
    resumed.resume()
    assert resumed.step == 4
    assert train(resumed) == whole
    weights = [load_file(tmp_path / name / "prior.safetensors") for name in ("whole", "parts")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    moments = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["optimizer"]["state"]
               for name in ("whole", "parts")]  # fmt: skip
    for number, state in moments[0].items():
        assert all(torch.equal(value, moments[1][number][name]) for name, value in state.items())


def test_a_prior_of_other_codes_or_of_another_size_is_not_resumed(tmp_path) -> None:
    config = make_config(steps=2)
    train(make_trainer(tmp_path / "run", config))
    other = make_corpus(chains(4, 40, 0), chains(2, 10, 1), fingerprint="others")
    with pytest.raises(TrainingError) as caught:
        make_trainer(tmp_path / "run", config, other).resume()
    assert str(caught.value) == (
        f"{tmp_path / 'run' / 'checkpoint.pt'}: cannot resume, the codes differ(s) from what the training began with;"
        " use the same recipe and features, or remove that folder to start another training"
    )
    with pytest.raises(TrainingError, match="cannot resume, prior differ"):
        make_trainer(tmp_path / "run", make_config(steps=2, dim=16)).resume()


def test_a_step_reads_nothing_from_the_device(tmp_path, monkeypatch) -> None:
    trainer = make_trainer(tmp_path / "run", make_config(steps=4))

    def refuse(*_arguments: object) -> None:
        raise AssertionError("a training step read a tensor")

    with monkeypatch.context() as patch:
        patch.setattr(trainer.optimizer, "step", lambda: None)  # AdamW reads its counters, which it keeps on the CPU
        for name in ("item", "tolist", "__bool__", "__float__", "__int__", "cpu", "numpy"):
            patch.setattr(torch.Tensor, name, refuse)
        trainer.advance()
        trainer.advance()


def test_bits_of_long_utterances_count_every_code_once() -> None:
    """Without layers a code's probability depends on the code before alone: windows must not change the sum."""
    config = make_config(context=8)
    torch.manual_seed(0)
    prior = CodePrior(config, codewords=(8,), speakers=2)
    with torch.no_grad():
        prior.places.zero_()
        prior.layers[0].out.weight.zero_(), prior.layers[0].out.bias.zero_()
    codes = chains(1, 61, 3)
    long = prior.eval()
    with torch.no_grad():
        every = torch.from_numpy(codes[0].codes)
        first = torch.cat([torch.tensor([prior.start]), every[0, :-1]])
        nats = sum(
            long.nats(every[None, :, at : at + 1], first[at : at + 1], torch.tensor([0])).item() for at in range(61)
        )
    assert bits_per_code(prior, codes, CPU) == pytest.approx(nats / 61 / math.log(2), rel=1e-5)


def test_a_loss_that_is_not_finite_is_an_error(tmp_path) -> None:
    config = make_config(learning_rate=1e30, steps=20)
    text = r"^the loss is not finite at step \d+: most often prior.learning_rate \(1e\+30\) is too high. Change it with"
    with pytest.raises(TrainingError, match=text):
        train(make_trainer(tmp_path / "run", config))
    assert not (tmp_path / "run" / "prior.safetensors").exists()
