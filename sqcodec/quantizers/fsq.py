"""Finite scalar quantisation (FSQ, Mentzer et al., ICLR 2024, arXiv 2309.15505): round each dimension to a few levels.

There is nothing to learn and nothing to collapse: the codebook is every combination of levels.
"""

import torch
from torch import Tensor

from sqcodec.quantizers.quantizer import Measured, Quantized, Quantizer
from sqcodec.recipe.quantizer_section import FsqConfig

_MARGIN = 1e-3  # fraction of the range that tanh never reaches, so that the outermost levels are not rounded beyond


class FsqQuantizer(Quantizer):
    """Dimension j is bounded by tanh to L_j integers around 0 and rounded; codewords lie in [-1, 1].

    A code is the number whose digit j, in base L_j and with the first one the least, is the level of dimension j.
    """

    def __init__(self, config: FsqConfig) -> None:
        super().__init__(codewords=config.codewords, dim=config.dim)
        levels = torch.tensor(config.levels)
        basis = torch.tensor([1, *config.levels[:-1]]).cumprod(0)
        digits = torch.arange(self.codewords)[:, None] // basis % levels
        self.levels: Tensor
        self.basis: Tensor
        self.register_buffer("levels", levels, persistent=False)
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("codebook", (digits - levels // 2) / (levels // 2))

    def forward(
        self,
        encoded: Tensor,
        temperature: float,  # noqa: ARG002 - nothing is annealed
        generator: torch.Generator | None = None,  # noqa: ARG002 - nothing is drawn
        *,
        valid: Tensor | None = None,  # noqa: ARG002 - no term depends on a frame
    ) -> Quantized:
        """The rounded latents; in training their gradient goes to the bounded ones (straight through)."""
        with torch.autocast(encoded.device.type, enabled=False):
            bounded = self.bounded(encoded.float())
            codes = self._codes(bounded)
            z_q = self.decode(codes)
            if self.training:
                scaled = bounded / (self.levels // 2)
                z_q = scaled + (z_q - scaled).detach()
            zero = z_q.new_zeros(len(encoded))
            return Quantized(z_q, codes, zero, zero, zero.new_full((), torch.nan))

    def draw(self, encoded: Tensor, generator: torch.Generator | None = None) -> Quantized:  # noqa: ARG002
        """The posterior has one codeword."""
        codes = self.encode(encoded)
        zero = torch.zeros(len(encoded), device=encoded.device)
        return Quantized(self.decode(codes), codes, zero, zero, zero.new_full((), torch.nan))

    @torch.no_grad()
    def encode(self, encoded: Tensor, codebooks: int | None = None) -> Tensor:  # noqa: ARG002 - there is one
        """encoded [B, T, D] -> codes [B, 1, T] int64."""
        with torch.autocast(encoded.device.type, enabled=False):
            return self._codes(self.bounded(encoded.float()))

    @torch.no_grad()
    def measured(self, encoded: Tensor) -> Measured:
        """The squared distance in levels."""
        with torch.autocast(encoded.device.type, enabled=False):
            z, half = self.bounded(encoded.float()), (self.levels // 2).float()
        return Measured(z / half, half.square().expand_as(z))

    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, 1, T] -> codewords [B, T, D] in [-1, 1]."""
        return self.codebook[codes[:, 0]]

    def bounded(self, z: Tensor) -> Tensor:
        """z [B, T, D] -> the same, dimension j between -L_j // 2 and (L_j - 1) // 2 (appendix A.1).

        An even number of levels has one more below 0 than above; the shift keeps a latent of 0 near level 0.
        """
        half = (self.levels - 1) * (1 - _MARGIN) / 2
        offset = 0.5 * (self.levels % 2 == 0)
        return torch.tanh(z + torch.tan(offset / half)) * half - offset

    def _codes(self, bounded: Tensor) -> Tensor:
        digits = bounded.round().long() + self.levels // 2
        return (digits * self.basis).sum(-1)[:, None]
