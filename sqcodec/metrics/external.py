"""Recognisers, speaker encoders and predictors of quality that the user names: of a package, a command, an ONNX model.

A command is called with the path of a 16 kHz WAV as its last argument. As recogniser it prints the words, as speaker
encoder numbers separated by white space, as predictor one number. An ONNX model takes samples [1, N] float32. As
speaker encoder it gives an embedding [1, D], as predictor one number of any shape, as recogniser CTC scores [1, T, V],
with the V symbols as a JSON list in its metadata `vocabulary` (the first is the blank, "|" or " " separates words). Two
names stand for what packages carry: the recogniser `pocketsphinx`, the speaker encoder `resemblyzer`.
"""

import json
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import MetricError
from sqcodec.metrics import recogniser, speaker_encoder
from sqcodec.metrics.onnx_session import open_session
from sqcodec.metrics.signals import METRIC_RATE, Signal

_PACKAGES = {
    recogniser.PACKAGE: ("gives words (`asr`)", recogniser.require),
    speaker_encoder.PACKAGE: ("compares voices (`sv`)", speaker_encoder.require),
}


def check(model: str, package: str | None) -> None:
    """Raises MetricError: there is no such file, program or package; before many recordings are scored with it.

    package: the one that can stand here for what it carries, None: none.
    """
    expected = f"expected a command, MODEL.onnx or {package}" if package else "expected a command or MODEL.onnx"
    if model in _PACKAGES:
        use, require = _PACKAGES[model]
        if model != package:
            raise MetricError(f"{model}: {use}; {expected}")
        require()
        return
    if _is_onnx(model):
        open_session(model, "a model of yours")
        return
    try:
        words = shlex.split(model)
    except ValueError as error:
        raise MetricError(f"{model}: {error}; expected a command") from None
    if not words or shutil.which(words[0]) is None:
        raise MetricError(f"{model}: no such program; {expected}")


def transcribe(signal: Signal, asr: str) -> str:
    """What the recogniser `asr` hears in [N] at 16 kHz. Raises MetricError: it cannot be run or understood."""
    if asr == recogniser.PACKAGE:
        return recogniser.transcribe(signal)
    if not _is_onnx(asr):
        return _output(asr, signal)
    session = open_session(asr, "a model of yours")
    scores, symbols = _run(session, signal), _symbols(session)
    if not isinstance(symbols, list) or scores.ndim != 3 or scores.shape[2] != len(symbols):
        raise MetricError(f"{asr}: got scores {scores.shape}, expected [1, T, V] and V symbols in `vocabulary`")
    best = scores[0].argmax(1)
    kept = best[np.diff(best, prepend=-1) != 0]
    return "".join(symbols[index] for index in kept if index).replace("|", " ")


def embed(signal: Signal, sv: str) -> NDArray[np.float64]:
    """The voice in [N] at 16 kHz as [D], by the speaker encoder `sv`. Raises MetricError as `transcribe`."""
    if sv == speaker_encoder.PACKAGE:
        return speaker_encoder.embed(signal)
    return _numbers(signal, sv)


def similarity(reference: Signal, degraded: Signal, sv: str) -> float:
    """Cosine of the two voices' embeddings, -1 to 1. Raises MetricError as `embed`, or of no or unlike embeddings."""
    first, second = embed(reference, sv), embed(degraded, sv)
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    if first.shape != second.shape or not 0 < norms < np.inf:
        raise MetricError(
            f"{sv}: got embeddings {first.shape} and {second.shape}, expected two alike, finite and not zero"
        )
    return float(first @ second / norms)


def predict_quality(signal: Signal, mos: str) -> float:
    """The quality of [N] at 16 kHz that the predictor `mos` gives, such as UTMOS, without a reference.

    Raises MetricError as `transcribe`, or of another count of numbers than one.
    """
    predicted = _numbers(signal, mos)
    if predicted.size != 1 or not np.isfinite(predicted).all():
        raise MetricError(f"{mos}: got {predicted.size} numbers, expected one, which is finite")
    return float(predicted[0])


def files_of(model: str) -> list[Path]:
    """The files that what the user names is made of, as far as its name says: an ONNX model; of a command the program,
    and the first other word that is a file, as a script is. Files after it may be written by the command itself."""
    try:
        words = [model] if _is_onnx(model) else shlex.split(model)
    except ValueError:
        return []
    program = [Path(shutil.which(word) or word) for word in words[:1]]
    script = next((Path(word) for word in words[1:] if Path(word).is_file()), None)
    return [path for path in (*program, script) if path and path.is_file()]


def _is_onnx(model: str) -> bool:
    """Whether it is a model rather than a command whose last word is one."""
    return model.endswith(".onnx") and (len(model.split()) == 1 or Path(model).is_file())


def _symbols(session: Any) -> Any:
    """The value of `vocabulary`; None: it has none, or no JSON."""
    try:
        return json.loads(session.get_modelmeta().custom_metadata_map.get("vocabulary", "null"))
    except ValueError:
        return None


def _numbers(signal: Signal, model: str) -> NDArray[np.float64]:
    """What a command prints, or an ONNX model gives: [n]."""
    if _is_onnx(model):
        return _run(open_session(model, "a model of yours"), signal).astype(np.float64).ravel()
    try:
        return np.array([float(word) for word in _output(model, signal).split()])
    except ValueError as error:
        raise MetricError(f"{model}: got {error}, expected numbers separated by white space") from error


def _output(command: str, signal: Signal) -> str:
    import soundfile

    with tempfile.TemporaryDirectory(prefix="sqcodec-") as folder:
        path = Path(folder) / "signal.wav"
        soundfile.write(path, np.clip(signal, -1.0, 1.0), METRIC_RATE, subtype="PCM_16")
        try:
            finished = subprocess.run(
                [*shlex.split(command), str(path)], capture_output=True, text=True, errors="replace", check=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            raise MetricError(f"{command}: cannot be run: {getattr(error, 'stderr', '') or error}".strip()) from error
    return finished.stdout.strip()


def _run(session: Any, signal: Signal) -> NDArray[np.floating[Any]]:
    try:
        result = session.run(None, {session.get_inputs()[0].name: signal[None].astype(np.float32)})[0]
    except Exception as error:  # as above
        raise MetricError(f"the ONNX model cannot run on samples [1, {len(signal)}] float32: {error}") from error
    return np.asarray(result)
