"""A codec, and the context model that is trained along with it: P(Z_q) of the SQ-VAE's bound (docs/rate.md)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sqcodec.model.spectrogram_codec import Reconstruction, SpectrogramCodec
from sqcodec.quantizers.quantizer import Quantized
from sqcodec.train.context_network import ContextNetwork, integer_grid


class Rate(NamedTuple):
    """The nats [B] that the context model saves of a crop's codes, against codes of equal probability, in expectation.

    Twice: `saved` has a gradient for encoder and codewords alone, `learned` for the context model alone. coded: the
    number of codes [B].
    """

    saved: Tensor
    learned: Tensor
    coded: Tensor


class RatedCodec(nn.Module):
    """One module for the ranks, which average the gradients of both. context: None is the uniform P, as in the paper,
    which saves nothing."""

    def __init__(self, codec: SpectrogramCodec, context: ContextNetwork | None) -> None:
        super().__init__()
        self.codec, self.context = codec, context

    def forward(
        self, features: Tensor, speaker: Tensor, temperature: float, generator: torch.Generator
    ) -> tuple[Reconstruction, Rate]:
        """As the codec's `forward`; the codes of the rate are drawn after the quantiser's own samples."""
        encoded = self.codec.encoder(features)
        reconstruction = self.codec.reconstruct(encoded, speaker, temperature, generator)
        return reconstruction, self._rate(encoded, reconstruction.quantized, generator)

    @torch.no_grad()
    def saved(self, codes: Tensor) -> Tensor:
        """The nats [B] that the context model saves of codes [B, K, T] of all stages."""
        if self.context is None:
            return codes.new_zeros(len(codes), dtype=torch.float32)
        gains = self._gains(self.context, codes, codes.new_full((len(codes),), codes.shape[1]))
        return gains.gather(-1, codes[..., None]).sum((1, 2, 3))

    def _rate(self, encoded: Tensor, quantized: Quantized, generator: torch.Generator) -> Rate:
        posterior = self.codec.quantizer.posterior(encoded, quantized, generator) if self.context else None
        if self.context is None or posterior is None:
            nothing = encoded.new_zeros(len(encoded), dtype=torch.float32)
            return Rate(nothing, nothing, nothing)
        codes, p = posterior
        stages = codes.new_full((len(codes),), codes.shape[1]) if quantized.stages is None else quantized.stages
        gains = self._gains(self.context, codes, stages)
        saved, learned = (p * gains.detach()).sum((1, 2, 3)), (p.detach() * gains).sum((1, 2, 3))
        return Rate(saved, learned, (stages * codes.shape[-1]).float())

    def _gains(self, context: ContextNetwork, codes: Tensor, stages: Tensor) -> Tensor:
        """By the codewords as they are now."""
        context.grid.copy_(integer_grid(self.codec.quantizer.codebook))
        return context.gains(codes, stages)
