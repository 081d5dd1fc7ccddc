"""The engine in torch: any model, on any device, several recordings at once."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray

from sqcodec.engine import Analysed, Chosen, EncodedBlock, Engine, Features
from sqcodec.model.blockwise import decode_each, encode_each
from sqcodec.model.spectrogram_codec import SpectrogramCodec


class TorchEngine(Engine):
    """A codec on its device as an `Engine`. What is coded together differs from what is coded alone by rounding."""

    def __init__(self, model: SpectrogramCodec) -> None:
        self.model = model

    @property
    def device(self) -> str:
        """See `Engine`."""
        return str(next(self.model.parameters()).device)

    def encode(self, features: Iterable[Features], frames: int, *, codebooks: int) -> Iterator[EncodedBlock]:
        """See `Engine`."""
        return chain.from_iterable(self.encode_each([Analysed(features, frames)], codebooks=codebooks))

    def decode(self, codes: NDArray[np.int64], speaker_index: int) -> Iterator[Features]:
        """See `Engine`."""
        return chain.from_iterable(self.decode_each([Chosen(codes, speaker_index)]))

    def encode_each(self, recordings: Iterable[Analysed], *, codebooks: int) -> Iterator[Iterator[EncodedBlock]]:
        """See `Engine`."""
        device = next(self.model.parameters()).device
        tensors = ((map(torch.from_numpy, features), frames) for features, frames in recordings)
        for blocks in encode_each(self.model, tensors, device, codebooks=codebooks):
            yield (
                EncodedBlock(part.numpy(), codes.numpy().astype(np.uint16), latents.numpy())
                for part, codes, latents in blocks
            )

    def decode_each(self, several: Iterable[Chosen]) -> Iterator[Iterator[Features]]:
        """See `Engine`."""
        return (map(partial(torch.Tensor.numpy, force=True), blocks) for blocks in decode_each(self.model, several))

    def embeddings(self) -> NDArray[np.float32]:
        """See `Engine`."""
        quantizer = self.model.quantizer
        codewords = quantizer.effective_codebook.detach().reshape(quantizer.codebooks, quantizer.codewords, -1)
        return np.array(codewords.float().numpy(force=True))
