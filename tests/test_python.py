"""`sqcodec` as Python sees it, with what ships in place: names, files, metrics, pictures, and the examples of help."""

import doctest
import importlib.util
import inspect
import math
import os
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import sqcodec
from sqcodec.cli.main import main
from sqcodec.errors import AudioError, CodesError, MetricError, ModelError, SqcodecError
from tests.conftest import copy_model

pytestmark = pytest.mark.ships

SPEECH = Path(__file__).parents[1] / "recipes" / "tiny" / "speech" / "VCTK-Corpus-0.92"
UTTERANCE = SPEECH / "wav48_silence_trimmed" / "p225" / "p225_001_mic1.flac"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with in.wav, an utterance of the speech that ships, and no SQCODEC_MODEL."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SQCODEC_MODEL", raising=False)
    samples, rate = soundfile.read(UTTERANCE)
    soundfile.write("in.wav", samples, rate)
    return tmp_path


def test_dir_shows_the_public_names() -> None:
    names = {"Codec", "Codes", "SqcodecError", "decode_file", "encode_file", "load", "metrics", "models", "plot"}
    assert names <= set(dir(sqcodec)) & set(sqcodec.__all__)
    assert "evaluate" in dir(sqcodec.metrics)
    for name in names:
        assert inspect.getdoc(getattr(sqcodec, name)), name
    assert isinstance(sqcodec.metrics, ModuleType)


def test_names_are_found_without_torch() -> None:
    code = (
        "import sys, sqcodec; dir(sqcodec); sqcodec.load; sqcodec.models; sqcodec.plot; sqcodec.metrics\n"
        "sys.exit('torch' if 'torch' in sys.modules else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_the_codec_that_ships(folder: Path) -> None:
    codec = sqcodec.load()
    assert repr(codec) == (
        "<Codec speech16k: 16000 Hz, 10 codebooks, 50 codes/s each, 400 to 4000 bit/s (1600 by default), any speaker>"
    )
    assert codec.embeddings().shape == (10, 256, codec.header.recipe["quantizer"]["dim"])
    assert codec.encode("in.wav").indices.shape[0] == 4


@pytest.mark.parametrize(
    ("words", "options"), [("", {}), ("--bitrate 800", {"bitrate": 800}), ("--codebooks 2", {"codebooks": 2})]
)
def test_python_and_the_command_line_write_the_same_file(folder: Path, words: str, options: dict[str, int]) -> None:
    codec = sqcodec.load()
    done = CliRunner().invoke(main, ["encode", "in.wav", "out.sqc", *words.split()])
    assert done.exit_code == 0, done.output
    assert codec.pack(codec.encode("in.wav", **options)) == Path("out.sqc").read_bytes()
    sqcodec.encode_file("in.wav", "file.sqc", **options)
    assert Path("file.sqc").read_bytes() == Path("out.sqc").read_bytes()


def test_models() -> None:
    model, older, live = sqcodec.models()
    assert (older.name, older.fingerprint) == ("speech16k-1", "afd19f03b449d079")
    assert (model.name, model.bit_rates[0], model.default) == ("speech16k", 400, 1600)
    assert (live.name, live.fingerprint) == ("speech16k-live", model.fingerprint)


def test_files(folder: Path, made_model: Path) -> None:
    copy_model(made_model, Path("runs/mine/model.safetensors"))  # not named, so not used
    encoded = sqcodec.encode_file("in.wav", "out.sqc", bitrate=800)
    assert (encoded.bit_rate, encoded.model_reason) == (pytest.approx(800, rel=0.02), "which ships")
    decoded = sqcodec.decode_file(Path("out.sqc"), "out.wav", sample_rate=8000)
    assert decoded.sample_rate == soundfile.info("out.wav").samplerate == 8000
    np.save("bare.npy", np.zeros((4, 10), np.uint16))
    assert sqcodec.decode_file("bare.npy", "bare.wav").model == encoded.model
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_bytes(Path("out.sqc").read_bytes()))
    writer.start()
    assert sqcodec.decode_file("pipe", "piped.wav", sample_rate=8000).samples == decoded.samples
    writer.join()
    Path("speech").mkdir()
    Path("in.wav").rename("speech/in.wav")
    done = CliRunner().invoke(main, ["export", "speech", "exported", "--model", "speech16k"])
    assert done.exit_code == 0, done.output
    shard = next(Path("exported").glob("*.jsonl*"))
    every = [sqcodec.decode_file(shard, "row.wav", row=row).samples for row in (None, 0, "in")]
    assert every == [sqcodec.decode_file("out.sqc", "whole.wav").samples] * 3
    with pytest.raises(ModelError, match="model 'none': no such file"):
        sqcodec.encode_file("speech/in.wav", "out.sqc", model="none")
    assert sqcodec.encode_file("speech/in.wav", "mine.sqc", model="mine").model == Path("runs/mine/model.safetensors")


@pytest.mark.slow
def test_evaluate_is_what_score_computes(folder: Path) -> None:
    codec = sqcodec.load()
    samples, rate = soundfile.read("in.wav", dtype="float32")
    degraded = codec.decode(codec.encode(samples, rate), rate)
    scores = sqcodec.metrics.evaluate(samples, degraded, rate)
    assert {"pesq", "estoi", "dnsmos", "mcd", "lsd", "si_sdr", "delay"} <= scores.keys()
    assert 1.5 < scores["pesq"] < 4.64
    perfect = sqcodec.metrics.evaluate(samples, samples, rate)
    assert perfect["estoi"] == pytest.approx(1.0)
    silent = sqcodec.metrics.evaluate(samples, np.zeros_like(samples), rate, align=False)
    assert math.isnan(silent["pesq"])
    assert "delay" not in silent
    for wrong in (samples[None], samples[:0], (samples * 2**15).astype(np.int16)):
        with pytest.raises(MetricError, match=r"expected one channel \[N\] of floats"):
            sqcodec.metrics.evaluate(samples, wrong, rate)
    with pytest.raises(AudioError, match="got a sample rate of 3 Hz"):
        sqcodec.metrics.evaluate(samples, samples, 3)
    with pytest.raises(AudioError, match="got samples up to .*, expected -1 to 1; divide by the value of full scale"):
        sqcodec.metrics.evaluate(samples, 32768 * samples, rate)
    with pytest.raises(MetricError, match="definition 'foo': expected one of textbook, espnet, versa"):
        sqcodec.metrics.evaluate(samples, samples, rate, definition="foo")


def test_plot_draws_sounds_and_codes(folder: Path) -> None:
    codes = sqcodec.load().encode("in.wav")
    figure = sqcodec.plot({"in": "in.wav", "codes": codes, "$_{$": np.ones(4000)}, 16000, path="out.png")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["in", "codes", "$_{$"]
    assert Path("out.png").read_bytes().startswith(b"\x89PNG")
    assert len(sqcodec.plot("in.wav").axes) == 1
    assert len(sqcodec.plot(np.ones(4000), 16000).axes) == 1
    for name in ("out.foo", "out"):
        with pytest.raises(SqcodecError, match=f"^{name}: cannot be written: Format .* is not supported"):
            sqcodec.plot("in.wav", path=name)
        assert not Path(name).exists()


EXAMPLES = [
    sqcodec.models, sqcodec.encode_file, sqcodec.decode_file, sqcodec.plot, sqcodec.Codec.encode, sqcodec.Codec.decode,
    sqcodec.metrics.evaluate,
]  # fmt: skip


@pytest.mark.parametrize("function", EXAMPLES, ids=lambda function: function.__qualname__)
def test_the_examples_of_help(folder: Path, function: object) -> None:
    """What a docstring shows is what happens; `encode_file`'s out.sqc is there for `decode_file`."""
    sqcodec.encode_file("in.wav", "out.sqc")
    samples, rate = soundfile.read("in.wav", dtype="float32")
    known = {"sqcodec": sqcodec, "numpy": np, "codec": sqcodec.load(), "samples": samples, "rate": rate}
    found = doctest.DocTestFinder(recurse=False).find(function, "example", globs=known)
    tests = [test for test in found if test.examples]
    assert tests
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_ONLY_FIRST_FAILURE)
    report: list[str] = []
    for test in tests:
        runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


def test_the_page_of_the_interface_has_every_public_name() -> None:
    page = (Path(__file__).parents[1] / "docs" / "api.md").read_text("utf-8")
    for name in set(sqcodec.__all__) - {"__version__", "SqcodecError", "metrics"}:
        assert f"## sqcodec.{name}\n" in page
    for target in re.findall(r"^::: (\S+)", page, re.M):
        module = target
        while not _is_module(module):
            module = module.rpartition(".")[0]
        found = importlib.import_module(module)
        for part in target.removeprefix(module).strip(".").split("."):
            found = getattr(found, part) if part else found
        assert inspect.getdoc(found), target


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_rates_are_checked_everywhere(folder: Path) -> None:
    codec = sqcodec.load(device="cpu")
    codes = codec.encode("in.wav")
    assert len(codec.decode(codes, 48000.0)) == len(codec.decode(codes, 48000))
    Path("c.sqc").write_bytes(codec.pack(codes))
    for rate, text in (
        (0, "0 Hz, expected 1000 to 384000"),
        (10**7, "10000000 Hz"),
        (16000.5, "16000.5, exp"),
    ):
        with pytest.raises(AudioError, match=f"got a sample rate of {text}"):
            sqcodec.decode_file("c.sqc", "out.wav", sample_rate=rate)
        with pytest.raises(AudioError, match=f"got a sample rate of {text}"):
            codec.decode(codes, rate)
    assert not Path("out.wav").exists()


@pytest.mark.parametrize("gain", [-1.0, float("nan"), float("inf"), 1e13])
def test_a_gain_that_cannot_be_is_not_packed(folder: Path, gain: float) -> None:
    codec = sqcodec.load(device="cpu")
    codes = replace(codec.encode("in.wav"), gain=gain)
    with pytest.raises(CodesError, match=r"got the gain .*, expected 0 to 1e\+12"):
        codec.pack(codes)
