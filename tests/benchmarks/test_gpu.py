"""`python -m benchmarks gpu` on the CPU, with tiny sizes, where no package for audio files can be imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.train.vocoder.conftest import ISTFT, make_sound_store

ROOT = Path(__file__).resolve().parents[2]
CODEC = (
    "network={kind: convnext, dim: 16, hidden: 24, encoder_layers: 1, decoder_layers: 1, encoder_lookahead: 1,"
    " decoder_lookahead: 1}",
    "features={kind: log-mel}", "target={kind: mel, loudness: 0.0, variance: batch}", "quantizer.codewords=8",
    "quantizer.dim=4", "train.batch=4", "train.frames=16", "train.evaluate_split=test",
)  # fmt: skip
STAGES = [stage + way for way in ("", " in batches") for stage in ("encode", "decode", "vocode")]
WITHOUT = """
import runpy, sys
sys.modules |= dict.fromkeys(("soundfile", "librosa", "pyworld", "soxr"))
sys.argv = ["benchmarks", *sys.argv[1:]]
runpy.run_module("benchmarks", run_name="__main__")
"""


@pytest.mark.slow
def test_every_part_is_measured(tmp_path: Path) -> None:
    store, out = make_sound_store(tmp_path / "corpus"), tmp_path / "gpu.json"
    settings = [word for override in CODEC for word in ("--set", override)]
    settings += [word for override in ISTFT for word in ("--set-vocoder", override)]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, "gpu", str(store), "--device", "cpu", "--steps", "8", "--vocoder-steps", "4",
         "--seeds", "2", "--out", str(out), *settings], capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text("utf-8"))
    assert done.stdout == f"{out}: {out.stat().st_size} bytes\n"
    assert out.stat().st_size < 1_000_000
    assert list(report) == ["machine", "settings", "codes", "trainings", "vocoder", "profile", "coding"]
    assert report["settings"]["steps"] == 8
    assert report["settings"]["test"]["hours"] == pytest.approx(2.0 / 3600, rel=0.02)
    codes = report["codes"]
    # 2 s, on the CPU twice
    assert codes == {"codes": 100, "different": 0, "largest difference of decoded features": 0.0}
    trainings = report["trainings"]
    assert list(trainings) == [
        "float32, seed 0", "float32, seed 1", "float32, compiled", "bfloat16", "bfloat16, compiled",
    ]  # fmt: skip
    one, other = trainings["float32, seed 0"], trainings["float32, compiled"]
    assert other["test_mse"] == pytest.approx(one["test_mse"], rel=1e-3)  # the same steps, rounded otherwise
    assert sum(trainings[f"float32, seed {seed}"]["deviations from the mean of the seeds"] for seed in (0, 1)) == (
        pytest.approx(0, abs=1e-6)
    )
    assert all(list(map(int, run["loss"])) == list(range(1, 9)) for run in trainings.values())
    assert all(run["steps per second"] > 0 for run in (*trainings.values(), *report["vocoder"].values()))
    assert "aten::" in report["profile"]
    assert report["coding"]["seconds of speech"] == pytest.approx(2.0, abs=0.03)
    assert all(report["coding"][f"{stage}, times real time"] > 0 for stage in STAGES)
