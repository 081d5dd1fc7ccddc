"""Pictures of a training: recordings may have any name."""

import os
from pathlib import Path

import numpy as np
import pytest

from sqcodec.train.curves import draw_spectrograms


@pytest.mark.parametrize("name", ["till/pay_$5_or_$6", "till/" + os.fsdecode(b"caf\xe9_$x^$")])
def test_a_recording_may_have_any_name(tmp_path: Path, name: str) -> None:
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    draw_spectrograms([(name, image, image)], tmp_path / "spectrograms.png", 100.0)
    assert (tmp_path / "spectrograms.png").stat().st_size > 1000
