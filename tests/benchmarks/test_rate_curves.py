"""Quality against true bits: every system once, on one short recording; a run that was stopped goes on."""

from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner

from benchmarks import rate
from benchmarks.throughput import SHIPPED
from tests.conftest import speech_like


@pytest.mark.slow
def test_curves_of_one_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.__main__ import main

    monkeypatch.setattr(rate, "LADDER", (1, 4))
    monkeypatch.setattr(rate, "RATES", (400, 1200))
    soundfile.write(tmp_path / "one.wav", speech_like(24000), 16000)
    words = ["rate", str(tmp_path / "one.wav"), "--model", str(SHIPPED), "--out", str(tmp_path / "rows.jsonl"),
             "--systems", "context,effort 1", "--picture", str(tmp_path / "rate.png")]  # fmt: skip
    done = CliRunner().invoke(main, words, prog_name="benchmarks")
    assert done.exit_code == 0, done.output
    rows = rate.read(tmp_path / "rows.jsonl")
    settings = [("tables", 1), ("context", 1), ("tables", 4), ("context", 4), ("effort 1", 400), ("effort 1", 1200)]
    assert [(row["system"], row["setting"]) for row in rows] == settings
    found = {(row["system"], row["setting"]): row for row in rows}
    assert found["context", 4]["mel"] < found["context", 1]["mel"]
    assert found["tables", 4]["mel"] == found["context", 4]["mel"]
    assert all(1 <= row["dnsmos"] <= 5 and row["bytes"] > 0 for row in rows)
    assert (tmp_path / "rate.png").read_bytes().startswith(b"\x89PNG")
    again = CliRunner().invoke(main, words, prog_name="benchmarks")
    assert (again.stdout, rate.read(tmp_path / "rows.jsonl")) == (done.stdout, rows)
    other = tmp_path / "two" / "one.wav"  # of one name, and another recording
    other.parent.mkdir()
    soundfile.write(other, speech_like(16000), 16000)
    words = [str(other) if word.endswith("one.wav") else word for word in words]
    words[words.index("context,effort 1")] = "effort 1"
    alone = CliRunner().invoke(main, words, prog_name="benchmarks")
    assert alone.exit_code == 0, alone.output
    assert alone.stdout.count("\n") == 4  # without tables no gains over them
    kept = rate.read(tmp_path / "rows.jsonl")
    assert kept[: len(rows)] == rows
    assert len(kept) == len(rows) + 2
    refused = CliRunner().invoke(main, [*words, "--systems", "rated"], prog_name="benchmarks")
    assert "'rated', expected some of context, effort 1" in refused.stderr


def test_a_figure_that_no_recording_has_is_none() -> None:
    row = dict.fromkeys(rate.METRICS, 1.0) | {"gross_pitch": float("nan"), "system": "tables", "setting": 1}
    found = rate.curves([row | {"duration": 1.0, "bytes": 50, "encoding": 0.1}])
    assert rate.table(found).splitlines()[2].split(" | ")[3:8] == ["1.000 (1.000 to 1.000)"] * 4 + ["-"]
