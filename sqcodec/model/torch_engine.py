"""The engine in torch: any model, on any device."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from sqcodec.engine import EncodedBlock, Features
from sqcodec.model.blockwise import decode_features, encode_latents
from sqcodec.model.spectrogram_codec import SpectrogramCodec


class TorchEngine:
    """A codec on its device as an `Engine`."""

    def __init__(self, model: SpectrogramCodec) -> None:
        self.model = model

    @property
    def device(self) -> str:
        """See `Engine`."""
        return str(next(self.model.parameters()).device)

    def encode(self, features: Iterable[Features], frames: int, *, codebooks: int) -> Iterator[EncodedBlock]:
        """See `Engine`."""
        device = next(self.model.parameters()).device
        tensors = map(torch.from_numpy, features)
        for part, latents in encode_latents(self.model, tensors, frames, device):
            codes = self.model.quantizer.encode(latents[None], codebooks)[0]
            yield EncodedBlock(part.numpy(), codes.numpy(force=True).astype(np.uint16), latents.numpy(force=True))

    def decode(self, codes: NDArray[np.int64], speaker_index: int) -> Iterator[Features]:
        """See `Engine`."""
        for features in decode_features(self.model, codes, speaker_index):
            yield features.numpy(force=True)

    def embeddings(self) -> NDArray[np.float32]:
        """See `Engine`."""
        quantizer = self.model.quantizer
        codewords = quantizer.effective_codebook.detach().reshape(quantizer.codebooks, quantizer.codewords, -1)
        return np.array(codewords.float().numpy(force=True))
