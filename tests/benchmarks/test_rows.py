"""Every row and report of `python -m benchmarks` once, on as little speech as there can be."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner, Result

from sqcodec.pipeline.training.count_tables import make_tables
from tests.conftest import make_model, speech_like

ROOT = Path(__file__).resolve().parents[2]
SHIPPED_VOCODER = ROOT / "sqcodec" / "models" / "speech16k" / "vocoder" / "vocoder.safetensors"
Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command in this process, whose threads and environment it leaves as they were."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    from benchmarks.__main__ import main

    def call(*arguments: str) -> Result:
        threads = torch.get_num_threads()
        try:
            return CliRunner().invoke(main, arguments, prog_name="benchmarks")
        finally:
            torch.set_num_threads(threads)

    return call


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Two recordings of 0.8 s."""
    (tmp_path / "speech" / "a").mkdir(parents=True)
    for name, samples in zip(("one", "two"), np.split(speech_like(25_600), 2), strict=True):
        soundfile.write(tmp_path / "speech" / "a" / f"{name}.wav", samples, 16000)
    return tmp_path / "speech"


SLOW = ("quantizer-time", "quantizer-memory", "train-step", "train-narrow", "train-wide", "features", "short-files",
        "prep-16k", "prep-48k",
        "start-encode", "network-codes", "network-codes-long", "network-features", "network-features-long",
        "encode-3s", "encode-10s", "encode-30s", "decode-3s", "decode-10s", "decode-30s", "context-coder-10s",
        "context-coder-160s", "context-decode-10s", "context-decode-160s")  # fmt: skip
QUICK = ("cost-vae", "cost-vq", "cost-vq-ema", "cost-vq-ema-reset", "cost-vq-ema-classic",
         "cost-fsq", "cost-fixed", "cost-sq-I", "cost-sq-II", "cost-sq-III", "cost-sq-IV",
         "encode", "decode", "help", "inspect")  # fmt: skip


@pytest.mark.parametrize("row", [*QUICK, *(pytest.param(row, marks=pytest.mark.slow) for row in SLOW)])
def test_a_row(row: str, run: Run, speech: Path) -> None:
    done = run(row, "--runs", "1", "--json", "--speech", str(speech))
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    (measured,) = json.loads(done.stdout)
    assert (measured["name"], measured["runs"]) == (row, 1)
    assert 0 < measured["low"] == measured["median"] == measured["high"]


def test_every_row_is_tested() -> None:
    from benchmarks.commands import ROWS

    assert set(QUICK) | set(SLOW) == set(ROWS)


def test_rows_are_a_table(run: Run, speech: Path) -> None:
    lines = run("rows", "cost-vae", "cost-vq", "--runs", "1", "--speech", str(speech)).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["row", "cost-vae", "cost-vq"]
    for start in map(lines[0].index, ("what", "median", "lowest")):  # columns are aligned under their headings
        assert all(line[start - 2 : start] == "  " and line[start] != " " for line in lines)


def test_an_unknown_row_is_a_usage_error(run: Run) -> None:
    done = run("nonsense")
    assert done.exit_code == 2
    assert "'nonsense' is not one of 'quantizer-time'" in done.stderr


def test_a_folder_without_recordings_is_named(run: Run, tmp_path: Path) -> None:
    done = run("features", "--speech", str(tmp_path))
    assert done.exit_code == 1
    assert done.stderr == f"Error: {tmp_path}: got no recordings, expected .wav, .flac, .ogg, ... in it or below it\n"


def test_figures_have_median_and_range() -> None:
    from benchmarks.timing import Figures, make_row

    row = make_row("one", Figures("what", "x", [3.0, 1.0, 2.0, 9.0], "1 or more"))
    assert (row.median, row.low, row.high, row.runs, row.aim) == (2.5, 1.0, 9.0, 4, "1 or more")


def test_both_sides_run_in_turns() -> None:
    from benchmarks.timing import in_turns

    calls: list[str] = []
    pairs = in_turns(lambda: calls.append("slow"), lambda: calls.append("fast"), 2)
    assert calls == ["slow", "fast"] * 3  # a turn that warms up, two that are measured
    assert len(pairs) == 2


@pytest.mark.slow
def test_codes(run: Run, speech: Path, tmp_path: Path) -> None:
    from benchmarks.training import make_store

    model = tmp_path / "model.safetensors"
    make_model(model, speakers=("p0",))
    store = make_store(tmp_path / "features", utterances=4).folder
    make_tables(str(model), store, split="train", out=None, device="cpu")
    done = run("codes", str(model), str(speech), "--features", str(store), "--runs", "1")
    assert done.exit_code == 0, done.output
    heads = ["nominal", "order 0", "order 1", ".sqc", "order 2", " 1 s", "encode with tables", "decode without"]
    assert not [head for head in heads if f"\n{head}" not in done.stdout], done.stdout


def test_codes_of_a_model_without_tables(run: Run, speech: Path, tmp_path: Path) -> None:
    make_model(tmp_path / "model.safetensors")
    done = run("codes", str(tmp_path / "model.safetensors"), str(speech))
    assert done.exit_code == 1
    assert "has no entropy tables; 'sqcodec tables' makes them" in done.stderr


@pytest.mark.slow
def test_memory(run: Run) -> None:
    done = run("memory", "--narrow", "--minutes", "0.25")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert [line.split(" s:")[0].split() for line in lines] == [
        ["encode", "10"], ["decode", "10"], ["encode", "15"], ["decode", "15"]
    ]  # fmt: skip
    assert all(" MB, +0 against 10 s" in line for line in lines[:2])


@pytest.mark.slow
def test_engines(run: Run, speech: Path) -> None:
    done = run("engines", "--runs", "1", "--seconds", "2", "--speech", str(speech))
    assert done.exit_code == 0, done.output
    head, _, *rows = done.stdout.splitlines()
    assert head == "| measured | torch | NumPy |"
    assert [row.split("|")[1].split(":")[0].split(",")[0].strip() for row in rows] == [
        *("encode 3 s in a new process", *["encode 2 s"] * 3, "decode 3 s in a new process", *["decode 2 s"] * 3),
        *("encode 3 s in a new process", *["encode 2 s"] * 2, "decode 3 s in a new process", *["decode 2 s"] * 2),
    ]


@pytest.mark.slow
def test_vocoders(run: Run, speech: Path, tmp_path: Path) -> None:
    pytest.importorskip("pesq", reason="the eval extra is not installed")
    picture = tmp_path / "spectra.png"
    done = run("vocoders", f"{speech}:1", "--runs", "1", "--picture", str(picture))
    assert done.exit_code == 0, done.output
    first, head, _, row = done.stdout.splitlines()
    assert first == "2 recordings, 2 s, log-mel"
    assert head.count("|") == row.count("|") == 9
    assert row.startswith("| griffin-lim | ")
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_growth(tmp_path: Path) -> None:
    from benchmarks import training

    small = {"frames": {16: "train.frames=16"}, "stages": {2: training.residual(2)}}
    figures = training.growth(1, corpus_sizes=(20,), overrides=small, processes=(1,))
    assert figures.keys() == {"hours", "frames", "stages", "ranks"}
    assert all(seconds > 0 for points in figures.values() for _, seconds in points)
    training.draw(figures, tmp_path)
    assert len(list(tmp_path.glob("cost-*.png"))) == 4


@pytest.mark.slow
def test_the_former_script_warns_and_works(speech: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "bin" / "bench", "cost-vq", "--runs", "1", "--speech", str(speech)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == "Warning: bin/bench goes with the next release; use python -m benchmarks\n"
    assert done.stdout.splitlines()[1].startswith("cost-vq")


def test_damage_is_a_table_by_block(run: Run, tmp_path: Path, speech: Path) -> None:
    make_model(tmp_path / "model.safetensors")
    arguments = ("--speech", str(speech), "--seconds", "12", "--copies", "2")
    done = run("damage", str(tmp_path / "model.safetensors"), *arguments)
    lines = done.stdout.splitlines()
    assert lines[0] == "12 s, 601 codes, 2 copies at each error rate"
    assert [line.split(" | ")[0] for line in lines[4:]] == ["| 10 s", "| 5 s", "| 2 s", "| 1 s", "| 0.5 s"]


@pytest.mark.ships
def test_needs_of_a_decoder(run: Run) -> None:
    """The weights that are counted are those of the vocoder's file but for its scales; parts add up."""
    done = run("needs")
    assert done.exit_code == 0, done.output
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[2:]]
    counts = {row[0]: [int(cell.replace(",", "")) for cell in (*row[1:3], *row[4:])] for row in rows}
    *parts, together = counts.values()
    assert [sum(column) for column in zip(*parts, strict=True)] == together
    vocoder = SHIPPED_VOCODER.stat().st_size / 2  # float16
    assert abs(counts["vocoder, 4 frames"][0] / vocoder - 1) < 0.01


@pytest.mark.slow
@pytest.mark.ships
def test_narrow_input(run: Run, speech: Path) -> None:
    done = run("narrow", "--speech", str(speech), "--number", "1", "--seconds", "1")
    assert done.exit_code == 0, done.output
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[4:]]
    assert [row[:3] for row in rows[:6]] == [
        ["speech16k", str(rate), what] for rate in (800, 1600, 3200) for what in ("16 kHz", "8 kHz")
    ]
    assert all(0 < float(value) < 5 for row in rows for value in row[3:])
