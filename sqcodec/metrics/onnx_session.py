"""Networks in ONNX files, run on one thread: files are already measured side by side.

By default onnxruntime starts a thread for every core, ties it there whatever cores the process may use, and has it
spin.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from sqcodec.errors import MetricError
from sqcodec.metrics.signals import extra


@lru_cache(maxsize=8)  # DNSMOS has two, each kind of a user's models one
def open_session(path: str, what: str) -> Any:
    """The network in a file; what: the metric that asks, for the error. Raises MetricError: no file, or no network."""
    runtime = extra("onnxruntime", what)
    if not Path(path).is_file():
        raise MetricError(f"{path}: no such file; expected an ONNX model")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions have no common root
        raise MetricError(f"{path}: cannot be loaded: {error}") from error
