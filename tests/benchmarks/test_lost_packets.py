"""The losses of the live benchmark are what it says, and the same for all systems."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import live
from sqcodec.metrics import dnsmos
from tests.conftest import speech_like


@pytest.mark.parametrize("loss", [0.0, 0.01, 0.1, 0.2])
@pytest.mark.parametrize("burst", [1, 3])
def test_losses_are_exact(loss: float, burst: int) -> None:
    samples = [48_000, 31_000, 40_123]
    lost = live.lost_packets(samples, loss, burst)
    assert [len(each) for each in lost] == [count // 640 for count in samples]
    every = np.concatenate(lost)
    assert abs(every.sum() - loss * len(every)) <= burst / 2
    edges = np.flatnonzero(np.diff(np.pad(every.astype(int), 1)))
    assert not ((edges[1::2] - edges[::2]) % burst).any()
    assert all(np.array_equal(*each) for each in zip(lost, live.lost_packets(samples, loss, burst), strict=True))


@pytest.mark.ships
@pytest.mark.slow
def test_tables_of_losses_and_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_LOSSES", (0.0, 0.2))
    monkeypatch.setattr(live, "_BIT_ERRORS", (1e-2,))
    monkeypatch.setattr(dnsmos, "dnsmos", lambda sound: 2.5)  # which takes a second a sound
    soundfile.write(tmp_path / "a.wav", speech_like(16_000), 16000)
    lines = list(live.loss_report("speech16k", tmp_path, recordings=1, codec2=False))
    assert lines[0] == "1 recordings, 1 s; STOI / ESTOI / PESQ wide band / DNSMOS (means)."
    rows = [line for line in lines if line.startswith("| speech16k, 8 bytes, carried on and faded")]
    assert [row.count(" / ") for row in rows] == [6, 3, 6]
    assert all(cell.endswith(" / 2.50") for row in rows for cell in row.strip("| ").split(" | ")[1:])
    assert rows[0].split(" | ")[1] == rows[2].split(" | ")[1]  # without loss, and without errors
