"""Small recordings, synthesised."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

Record = Callable[..., Path]


@pytest.fixture
def record() -> Record:
    """Write a noisy tone and return its path."""

    def write(
        path: Path, seconds: float = 0.3, rate: int = 16000, channels: int = 1, peak: float = 0.5, **how: str
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = int(seconds * rate)
        noise = np.random.default_rng(len(path.name)).standard_normal((samples, channels))
        tone = np.sin(2 * np.pi * 440 * np.arange(samples) / rate)[:, None] + 0.1 * noise
        soundfile.write(path, peak * tone / max(1e-9, abs(tone).max(initial=0.0)), rate, **how)
        return path

    return write
