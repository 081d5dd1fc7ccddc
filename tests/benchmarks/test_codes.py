"""Sizes of files: each line says which coder it is of, and rates are of the codebooks that are used."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import codes
from benchmarks.throughput import SHIPPED
from sqcodec import load
from sqcodec.bitstream import sqc
from tests.conftest import speech_like


@pytest.mark.slow
def test_each_coder_has_its_line(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.wav", speech_like(48000), 16000)
    lines = list(codes.report(str(SHIPPED), tmp_path, features=None, every=1, runs=1))
    assert lines[0] == "1 recordings, 3.0 s, 604 codes"  # 151 of each of four codebooks
    figures = {line[:22].strip(): float(line.split(" bit/s")[0].split()[-1]) for line in lines[1:7]}
    assert figures["nominal"] == 1600
    codec = load(SHIPPED)
    coded = codec.encode(str(tmp_path / "one.wav"))
    for name, coder in (("fixed width", "plain"), ("tables", "tables"), ("context model", "context")):
        size = len(sqc.pack(coded, codec.space, coder=coder))
        assert figures[f".sqc, {name}"] == pytest.approx(8 * size / 3, abs=0.05)
    assert np.diff([figures[name] for name in (".sqc, context model", ".sqc, tables", ".sqc, fixed width")]).min() > 0
    (second,) = (line for line in lines if line.startswith(" 1 s: "))
    assert second.endswith("; nominal alone 200")
