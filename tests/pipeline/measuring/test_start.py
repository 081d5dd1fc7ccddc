"""The start of a process that codes, measured."""

from pathlib import Path

import pytest

from sqcodec.errors import SqcodecError
from sqcodec.pipeline.finding.models import SHIPPED  # as it is, before any fixture
from sqcodec.pipeline.measuring.start import measure_start


@pytest.mark.slow
def test_the_model_is_ready_before_it_has_coded() -> None:
    start = measure_start(SHIPPED / "speech16k" / "model.safetensors")
    assert 0 < start.ready_seconds < start.coded_seconds < 60  # an interpreter takes some time, a busy machine more
    if Path("/proc/self/status").is_file():
        assert start.peak_bytes is not None
        assert start.peak_bytes > 30e6  # the weights in float32
    assert "processors" in start.machine


def test_a_model_that_cannot_be_loaded_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(SqcodecError, match=r"model.safetensors: a process of its own cannot code with it: .*ModelErr"):
        measure_start(tmp_path / "model.safetensors")
