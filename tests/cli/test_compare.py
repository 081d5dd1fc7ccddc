"""`sqcodec compare` on the command line."""

import errno
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from sqcodec import storage
from sqcodec.cli.main import main
from sqcodec.errors import SqcodecError
from sqcodec.locking import alone
from sqcodec.pipeline.training import comparison
from tests.train.conftest import SMALL, make_store


def run(*arguments):
    return CliRunner().invoke(main, ["compare", "zerospeech2019", *map(str, arguments)])


@pytest.mark.slow
def test_compare_prints_the_table_and_the_paths(tmp_path):
    store = make_store(tmp_path / "corpus")
    sets = [part for text in SMALL if not text.startswith("vocoder") for part in ("--set", text)]
    out = tmp_path / "out"
    done = run("--systems", "sq-I,sq-IV", "--seeds", "0", "--features", store, "--out", out, *sets)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith((out / "table.md").read_text())
    assert f"Tables: {out}/table.md, {out}/table.json\n" in done.stdout
    assert "sq-IV/seed0: 20 steps\n" in done.stderr


@pytest.mark.slow
def test_backend_loky_warns_and_works(tmp_path):
    store = make_store(tmp_path / "corpus")
    sets = [part for text in SMALL if not text.startswith("vocoder") for part in ("--set", text)]
    given = ("--systems", "sq-I", "--seeds", "0", "--features", store, "--out", tmp_path / "out", *sets)
    done = run(*given, "--backend", "loky")
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith("Warning: --backend loky will be removed in the next release; use local\n")
    assert "loky" not in CliRunner().invoke(main, ["compare", "--help"]).stdout


@pytest.mark.slow
def test_a_full_disk_is_one_error_and_the_comparison_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full after so many files: before the first, in the first training, in the second, at the tables."""
    sets = [part for text in (*SMALL, "train.steps=4") if not text.startswith("vocoder") for part in ("--set", text)]
    store, settle, written = make_store(tmp_path / "corpus"), storage._settle, []

    def compared(out: Path, room: float):
        def full(path: Path) -> None:
            written.append(path)
            if len(written) > room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            settle(path)

        written.clear()
        monkeypatch.setattr(storage, "_settle", full)
        return run("--systems", "sq-I,sq-IV", "--seeds", "0", "--features", store, "--out", out, *sets)

    assert compared(tmp_path / "whole", float("inf")).exit_code == 0
    files = len(written)
    table = (tmp_path / "whole" / "table.json").read_bytes()
    for room in (0, 3, files // 2, files - 6):  # table.md, table.json and four pictures are the last
        out = tmp_path / str(room)
        done = compared(out, room)
        assert (done.exit_code, done.stdout) == (1, "")
        errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1
        assert errors[0].endswith(": cannot be written: No space left on device")
        assert len(written) == room + 1, "it stopped there"
        assert not list(tmp_path.rglob(".*.draft")) + list(tmp_path.rglob(".*.lock"))
        assert compared(out, float("inf")).exit_code == 0
        assert (out / "table.json").read_bytes() == table


def test_one_process_compares_in_a_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with alone(out):
        done = run("--systems", "sq-I", "--features", make_store(tmp_path / "corpus"), "--out", out)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (f"Error: {out}: another process is making it; wait for its end, or choose another place\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--scheduler", "tcp://127.0.0.1:9"), "--scheduler is for --backend dask."),
        (("--seeds", "one"), "--seeds one: expected numbers separated by commas, such as 0,1,2"),
        (
            ("--sweep", "quantizer.dim"),
            "--sweep quantizer.dim: expected KEY=V1,V2,..., such as quantizer.codewords=64,",
        ),
        (("--sweep", "quantizer.dim=4,"), "--sweep quantizer.dim=4,: expected KEY=V1,V2,..."),
    ],
)
def test_wrong_options_are_usage_errors(arguments, text):
    done = run(*arguments)
    assert done.exit_code == 2
    assert text in done.stderr


def test_the_command_of_the_table_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, command: str, **__: object) -> None:
        raise SqcodecError(command)

    arguments = ["--systems", "sq-I", "--set", "train.milestones=[1, 2]", "--out", str(tmp_path / "a b")]
    monkeypatch.setattr(comparison, "compare", stop)
    monkeypatch.setattr(sys, "argv", ["bin/sqcodec", "compare", "zerospeech2019", *arguments])
    command = run(*arguments).stderr.removeprefix("Error: ")
    assert shlex.split(command) == ["sqcodec", "compare", "zerospeech2019", *arguments]


def test_an_unknown_system_is_named(tmp_path):
    done = run("--systems", "sq-5", "--features", tmp_path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "Error: --systems: got sq-5, expected some of: vae, vq, vq-ema, vq-ema-reset, vq-ema-classic, fsq, fixed,"
        " sq-I, sq-II, sq-III, sq-IV, vmf, nc\n"
    )


def test_an_override_of_a_system_needs_no_key_of_the_recipe(tmp_path: Path) -> None:
    """The recipe is of sq-IV, which has no commitment: what is missing is the store."""
    options = ("--systems", "vq-ema", "--features", tmp_path / "none")
    result = run(*options, "--set", "quantizer.commitment=0.5")
    assert "expected a feature store" in result.stderr
    result = run(*options, "--set", "quantizer.kind=vq")
    assert "each system has its own quantizer; choose among systems instead" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_parallel_trainings_save_when_they_are_stopped(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C reaches every process, SIGTERM the first alone."""
    out, store = tmp_path / "out", make_store(tmp_path / "corpus")
    long = (*SMALL, "train.steps=1000000", "train.evaluate_every=1000000", "train.save_every=1000000")
    sets = [part for text in long if not text.startswith("vocoder") for part in ("--set", text)]
    options = ["--systems", "vae,vq,sq-I,sq-IV", "--seeds", "0", "--jobs", "2", *sets]
    options += ["--features", str(store), "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "sqcodec.cli.main", "compare", "zerospeech2019", *options],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    while len(list(out.rglob("log.jsonl"))) < 2 and process.poll() is None:
        time.sleep(0.05)
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    try:
        _, said = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert said.splitlines()[-1] == "Error: stopped, all saved; the same command goes on from here"
    assert process.returncode == {signal.SIGINT: -signal.SIGINT, signal.SIGTERM: 1}[number]
    assert sorted(path.name for path in out.iterdir()) == ["vae", "vq"], "the others have not begun"
    assert all((out / system / "seed0" / "checkpoint.pt").is_file() for system in ("vae", "vq"))
