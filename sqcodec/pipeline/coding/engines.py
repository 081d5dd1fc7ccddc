"""Choose what runs a model's networks: NumPy for those that it knows, torch for GPUs and for all others."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqcodec.engine import Engine
from sqcodec.errors import ModelError
from sqcodec.extras import required
from sqcodec.model.model_header import ModelContents, read_model
from sqcodec.pipeline.device import is_gpu
from sqcodec.runtime.numpy_engine import NumpyEngine, knows

if TYPE_CHECKING:
    from sqcodec.model.spectrogram_codec import SpectrogramCodec


def open_engine(contents: ModelContents, device: str) -> Engine:
    """The engine of a model file; device: as `find_device` takes it.

    Raises ModelError: the file is damaged; SqcodecError: no such device, or torch is needed and not installed.
    """
    if knows(contents.header) and not is_gpu(device):
        return NumpyEngine(contents)
    with required():
        from sqcodec.model.torch_engine import TorchEngine

        return TorchEngine(_network(contents, device))


def open_network(engine: Engine, path: Path, device: str, fingerprint: str) -> "SpectrogramCodec":
    """The networks in torch, those of the engine if it runs them. Raises as `open_engine`, or ModelError: another model
    than that with the fingerprint has taken its place."""
    with required():
        from sqcodec.model.torch_engine import TorchEngine

        if isinstance(engine, TorchEngine):
            return engine.model
        contents = read_model(path)
        if contents.header.fingerprint != fingerprint:
            raise ModelError(f"{path}: another model than the one that was opened is there now; open it again")
        return _network(contents, device)


def _network(contents: ModelContents, device: str) -> "SpectrogramCodec":
    from sqcodec.model.folding import fold_
    from sqcodec.model.model_file import codec_of
    from sqcodec.pipeline.device import find_device

    return fold_(codec_of(contents).to(find_device(device)))
