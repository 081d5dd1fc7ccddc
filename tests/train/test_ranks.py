"""Two processes with gloo on this machine are one process with a batch twice as large."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sqcodec.corpus.store import open_store
from sqcodec.errors import TrainingError
from sqcodec.pipeline.training.launch import make_fabric, refuse_processes, started_processes
from sqcodec.recipe import load_recipe
from sqcodec.train.codec_trainer import CodecTrainer
from tests.train.conftest import SMALL, make_store
from tests.train.ranks_at_work import CASES, work

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent.parent
# The gradient is clipped to norm 1. Both ways add the same float32 numbers in another order: sums of up to
# 4 x 8 x 80 terms err by 2**-24 sqrt(2560) = 3e-6 of their size, through some ten layers.
TOLERANCE = 3e-5


def run_two(*arguments: object) -> subprocess.CompletedProcess[str]:
    """torchrun on this machine, two processes, a free port."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.run(
        [*command, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=300, cwd=ROOT
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One step and four by two ranks, the same by one, and one step of one rank with three more by two."""
    folder = tmp_path_factory.mktemp("ranks")
    store = make_store(folder / "corpus")
    module = ("-m", "tests.train.ranks_at_work")
    for steps in (1, 4):
        work(store, folder / f"one-{steps}", steps, resume=False)
        done = run_two(*module, store, folder / f"two-{steps}", steps)
        assert done.returncode == 0, done.stderr
    work(store, folder / "resumed", 1, resume=False)
    done = run_two(*module, store, folder / "resumed", 3, "resume")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_give_the_gradient_of_one(trained, case) -> None:
    one, two = (load_file(trained / name / f"{case}-0.safetensors") for name in ("one-1", "two-1"))
    assert one.keys() == two.keys()
    names = [name for name in one if name.startswith("gradient.")]
    norm = sum(one[name].square().sum() for name in names).sqrt()
    assert norm == pytest.approx(1, abs=1e-3)
    names += [name for name in one if name.startswith("context.")]  # its norm is clipped by itself
    for name in names:
        assert (one[name] - two[name]).abs().max() < TOLERANCE, name
    assert torch.allclose(one["sums"], two["sums"], rtol=1e-5, equal_nan=True)
    assert torch.equal(one["counts"], two["counts"])
    for name in one:  # running moments of BatchNorm, the moving averages of VQ-EMA
        if "running_" in name or name in ("quantizer.count", "quantizer.total"):
            assert torch.allclose(one[name], two[name], rtol=1e-4, atol=1e-5), name


@pytest.mark.parametrize("case", CASES)
def test_both_ranks_stay_equal(trained, case) -> None:
    first, second = (load_file(trained / "two-4" / f"{case}-{rank}.safetensors") for rank in (0, 1))
    assert first.keys() == second.keys()
    assert all(torch.allclose(first[name], second[name], rtol=0, atol=0, equal_nan=True) for name in first)
    begun = load_file(trained / "two-1" / f"{case}-0.safetensors")
    assert not torch.equal(first["gradient." + min(_weights(first))], begun["gradient." + min(_weights(first))])


@pytest.mark.parametrize("case", CASES)
def test_a_training_goes_on_with_another_number_of_ranks(trained, case) -> None:
    whole, parts = (load_file(trained / name / f"{case}-0.safetensors") for name in ("one-4", "resumed"))
    assert whole["counts"].sum() == parts["counts"].sum()
    # sums of the losses of four steps: Adam's first steps are signs, so that rounding may turn a few of them
    assert torch.allclose(whole["sums"], parts["sums"], rtol=1e-2, equal_nan=True)
    states = [torch.load(trained / name / case / "checkpoint.pt", weights_only=True) for name in ("one-4", "resumed")]
    assert [state["step"] for state in states] == [4, 4]


def test_the_command_trains_with_two_ranks_and_reports_once(tmp_path) -> None:
    store, run = make_store(tmp_path / "corpus"), tmp_path / "run"
    overrides = [part for value in SMALL for part in ("--set", value)]
    command = ["-m", "sqcodec.cli.main", "train", "zerospeech2019", "--features", store, "--device", "cpu", "--out"]
    done = run_two(*command, run, *overrides)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("step 20, test MSE") == 1
    assert done.stderr.count("step 20/20: ") == 1
    names = {"model.safetensors", "checkpoint.pt", "log.jsonl", "recipe.yaml", "tensorboard", "curves.png"}
    assert names <= {path.name for path in run.iterdir()}
    uneven = run_two(*command, tmp_path / "other", *overrides, "--set", "train.batch=5")
    assert uneven.returncode == 1
    assert "train.batch 5 is the batch of all processes together, expected a multiple of their number" in uneven.stderr
    assert not (tmp_path / "other").exists()


def test_the_environment_of_torchrun_is_read(monkeypatch) -> None:
    assert started_processes() is None
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "6"}.items():
        monkeypatch.setenv(name, value)
    assert started_processes() == (2, 6)
    with pytest.raises(TrainingError) as caught:
        refuse_processes("vocoder")
    assert str(caught.value) == (
        "`stage` vocoder trains in one process, got 6 from torchrun; start it without torchrun"
    )


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # torch.compile's own
def test_compiled_networks_train_as_eager_ones(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("torch.nn.Module.compile", _compile_eagerly)
    store, states = make_store(tmp_path / "corpus"), []
    for compiled in (False, True):
        recipe = load_recipe("zerospeech2019", SMALL)
        trainer = CodecTrainer(
            recipe, open_store(store), tmp_path / str(compiled), make_fabric("cpu", "32-true"), compiled=compiled
        )
        trainer.advance()
        states.append(trainer.codec.state_dict())
    assert states[0].keys() == states[1].keys()
    assert all(torch.allclose(states[0][name], states[1][name], atol=1e-6) for name in states[0])


def _compile_eagerly(self, **_options) -> None:
    """Without a compiler of C++: the graph alone."""
    self._compiled_call_impl = torch.compile(self._call_impl, backend="eager")


def _weights(state) -> list[str]:
    return [name.removeprefix("gradient.") for name in state if name.startswith("gradient.decoder")]
