"""Recognisers and speaker encoders of the user's, as commands and as ONNX models; word errors."""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from sqcodec.errors import MetricError
from sqcodec.metrics.external import check, embed, files_of, predict_quality, similarity, transcribe
from sqcodec.metrics.wer import edit_distance, word_error_rate
from tests import reference

SIGNAL = np.array([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0], np.float32)


def command(folder: Path, body: str) -> str:
    script = folder / "program.py"
    script.write_text(f"import sys\nimport soundfile\nsamples, rate = soundfile.read(sys.argv[-1])\n{body}\n")
    return f"{sys.executable} {script}"


def field(number: int, value: int | bytes) -> bytes:
    """One field of a protocol buffer: a variable-length integer, or bytes of less than 128."""
    if isinstance(value, bytes):
        assert len(value) < 16384
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def varint(value: int) -> bytes:
    low, high = value & 127, value >> 7
    return bytes([low | 128]) + varint(high) if high else bytes([low])


def onnx(path: Path, operator: str, *, shape: tuple[int, ...] = (), metadata: dict[str, str] | None = None) -> str:
    """An ONNX model of one operator on samples [1, N]; `shape` becomes its second input."""
    inputs = field(1, b"x") + (field(1, b"shape") if shape else b"")
    node = field(1, inputs_node(inputs, operator))
    tensor = field(1, len(shape)) + field(2, 7) + field(8, b"shape") + field(9, struct.pack(f"<{len(shape)}q", *shape))
    graph = node + field(2, b"g") + (field(5, tensor) if shape else b"")
    graph += field(11, value_info(b"x", 2)) + field(12, value_info(b"y", len(shape) or 2))
    pairs = [field(14, field(1, key.encode()) + field(2, text.encode())) for key, text in (metadata or {}).items()]
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(1, b"") + field(2, 13)) + b"".join(pairs))
    return str(path)


def inputs_node(inputs: bytes, operator: str) -> bytes:
    return inputs + field(2, b"y") + field(4, operator.encode())


def value_info(name: bytes, dimensions: int) -> bytes:
    shape = b"".join(field(1, field(2, b"d%d" % place + name)) for place in range(dimensions))
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def test_a_command_receives_a_wav(tmp_path) -> None:
    asr = command(tmp_path, "print('heard', len(samples), rate)")
    assert transcribe(np.zeros(123, np.float32), asr) == "heard 123 16000"


def test_a_command_compares_speakers(tmp_path) -> None:
    sv = command(tmp_path, "print(samples[0], samples[1], 0.5)")
    assert embed(np.array([0.25, -0.5], np.float32), sv).tolist() == [0.25, -0.5, 0.5]
    first, second = np.array([0.5, 0.0], np.float32), np.array([0.0, 0.5], np.float32)
    assert similarity(first, second, sv) == pytest.approx(0.25 / 0.5)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("sys.exit('no model here')", "cannot be run: no model here"),
        ("print('hello')", "expected numbers separated by white space"),
        ("print('nan 1')", r"got embeddings \(2,\) and \(2,\), expected two alike, finite and not zero"),
        ("print()", r"got embeddings \(0,\) and \(0,\), expected two alike, finite and not zero"),
    ],
)
def test_a_command_that_fails_is_an_error(tmp_path, body, text) -> None:
    with pytest.raises(MetricError, match=text):
        similarity(SIGNAL, SIGNAL, command(tmp_path, body))


def test_words_that_are_no_utf_8_are_words(tmp_path) -> None:
    asr = command(tmp_path, "sys.stdout.buffer.write(b'caf\\xe9 noir')")
    assert transcribe(SIGNAL, asr) == "caf\ufffd noir"


def test_a_missing_program_is_an_error() -> None:
    with pytest.raises(MetricError, match=r"^no-such-program: cannot be run: .*No such file"):
        transcribe(SIGNAL, "no-such-program")


def test_an_onnx_model_receives_samples(tmp_path) -> None:
    pytest.importorskip("onnxruntime", reason="the eval extra is not installed")
    # scores [1, 6, 4], one best symbol a frame: a a blank(tie: the first) | | b -> "a b"; then b again after a blank
    signal = np.zeros((6, 4), np.float32)
    signal[np.arange(6), [1, 1, 0, 3, 2, 2]] = 1.0
    model = onnx(
        tmp_path / "asr.onnx", "Reshape", shape=(1, -1, 4), metadata={"vocabulary": json.dumps(["", "a", "b", "|"])}
    )
    assert transcribe(signal.ravel(), model) == "a b"
    wrong = onnx(tmp_path / "wrong.onnx", "Reshape", shape=(1, -1, 4))
    with pytest.raises(MetricError, match=r"wrong.onnx: got scores \(1, 6, 4\), expected \[1, T, V\] and V symbols"):
        transcribe(signal.ravel(), wrong)
    unread = onnx(tmp_path / "unread.onnx", "Reshape", shape=(1, -1, 4), metadata={"vocabulary": "a b"})
    with pytest.raises(MetricError, match=r"unread.onnx: got scores \(1, 6, 4\), expected .* V symbols"):
        transcribe(signal.ravel(), unread)
    assert transcribe(np.zeros(0, np.float32), model) == ""  # too short for a frame of scores


def test_a_command_may_end_with_its_model(tmp_path) -> None:
    (tmp_path / "my.onnx").write_bytes(b"")
    asr = f"{command(tmp_path, 'print(sys.argv[1])')} my.onnx"
    check(asr, None)
    assert transcribe(SIGNAL, asr) == "my.onnx"
    named = tmp_path / "my own.onnx"
    named.write_bytes(b"")
    assert files_of(str(named)) == [named]
    with pytest.raises(MetricError, match=r"^no-such-program --model x.onnx: no such program; expected a command"):
        check("no-such-program --model x.onnx", None)


def test_the_files_of_a_judge(tmp_path) -> None:
    asr = command(tmp_path, "print()")
    (tmp_path / "log").write_text("of the command")
    assert files_of(f"{asr} --log {tmp_path / 'log'}") == [Path(sys.executable), tmp_path / "program.py"]
    assert files_of("pocketsphinx") == files_of("'unbalanced") == []


def test_an_onnx_model_compares_speakers(tmp_path) -> None:
    pytest.importorskip("onnxruntime", reason="the eval extra is not installed")
    model = onnx(tmp_path / "sv.onnx", "Abs")
    first, second = np.array([3.0, -4.0], np.float32), np.array([-3.0, 4.0], np.float32)
    assert embed(first, model).tolist() == [3.0, 4.0]
    assert similarity(first, second, model) == pytest.approx(1.0)


def test_a_predictor_gives_one_number(tmp_path) -> None:
    assert predict_quality(SIGNAL, command(tmp_path, "print(len(samples) / 10)")) == len(SIGNAL) / 10
    with pytest.raises(MetricError, match=r"program.py: got 2 numbers, expected one, which is finite$"):
        predict_quality(SIGNAL, command(tmp_path, "print(1, 2)"))
    with pytest.raises(MetricError, match="got 1 numbers, expected one, which is finite$"):
        predict_quality(SIGNAL, command(tmp_path, "print('nan')"))


def test_an_onnx_predictor_receives_samples(tmp_path) -> None:
    pytest.importorskip("onnxruntime", reason="the eval extra is not installed")
    mean = onnx(tmp_path / "mos.onnx", "ReduceMean")  # over all axes: [1, 1]
    assert predict_quality(SIGNAL, mean) == pytest.approx(SIGNAL.mean())


def test_a_broken_onnx_model_is_an_error(tmp_path) -> None:
    pytest.importorskip("onnxruntime", reason="the eval extra is not installed")
    (tmp_path / "broken.onnx").write_bytes(b"junk")
    with pytest.raises(MetricError, match=r"broken.onnx: cannot be loaded: "):
        embed(SIGNAL, str(tmp_path / "broken.onnx"))
    with pytest.raises(MetricError, match=r"none.onnx: no such file; expected an ONNX model"):
        embed(SIGNAL, str(tmp_path / "none.onnx"))


def test_edit_distance_is_the_recursion_s() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        first, second = (rng.integers(0, 3, size=rng.integers(1, 9)) for _ in range(2))
        assert edit_distance(first, second) == reference.edits(first.tolist(), second.tolist())


def test_word_errors() -> None:
    assert word_error_rate("The cat, it's HERE.", "the cat it's here") == 0.0
    assert word_error_rate("one two three four", "one too four five") == 75.0  # two of four replaced and one inserted
    assert word_error_rate("one", "") == 100.0
    with pytest.raises(MetricError, match=r"^the reference's transcript holds no words$"):
        word_error_rate(" ... ", "one")
