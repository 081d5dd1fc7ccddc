"""The examples run, with fewer steps."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sqcodec import layouts
from tests.cli.runner import run

pytestmark = pytest.mark.ships

ROOT = Path(__file__).resolve().parent.parent
SPEECH = ROOT / "recipes" / "tiny" / "speech" / "VCTK-Corpus-0.92"


@pytest.mark.slow
def test_a_language_model_over_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Corpus to Parquet to model to codes to sound. After 25 steps the loss is below that of the uniform distribution
    over one codebook, log 256: the model has learnt whose turn it is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SQCODEC_MODEL", raising=False)
    exported = run(
        "export", SPEECH, "tokens", "--to", "parquet", "--layout", "flat", "--offset", "2", "--bitrate", "800"
    )
    assert exported.exit_code == 0, exported.output
    example = [sys.executable, ROOT / "examples" / "language_model.py", "tokens", "made", "--steps", "25"]
    done = subprocess.run([*example, "--seconds", "0.5"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    losses = [float(loss) for loss in re.findall(r"([\d.]+) nats", done.stdout)]
    assert losses[-1] < min(losses[0], np.log(256)), done.stdout
    rows = [json.loads(line) for line in Path("made/rows.jsonl").read_text("utf-8").splitlines()]
    frames = layouts.unflatten(np.array(rows[1]["audio_codes"]), (256, 256), offset=2).codes.shape[1]
    decoded = run("decode", "made/rows.jsonl", "made/1.wav", "--row", "1")
    assert decoded.exit_code == 0, decoded.output
    assert soundfile.info("made/1.wav").frames == frames * 320
