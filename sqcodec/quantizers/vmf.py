"""Von Mises-Fisher stochastic quantisation: latents and codewords are directions (SQ-VAE, eq. 10 to 13)."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from sqcodec.quantizers.stochastic import Latents, StochasticQuantizer
from sqcodec.recipe.quantizer_section import VmfConfig

LOG_EXCESS_LIMIT = 14.0  # |log(concentration - 1)| beyond which float32 would lose the logits


class VmfQuantizer(StochasticQuantizer):
    """A unit latent z is coded by unit codeword b with probability softmax_b(kappa b^T z).

    initial_concentration: kappa at the start, above 1; kappa = 1 + exp(a learned scalar), as the authors have it.
    """

    def __init__(self, config: VmfConfig) -> None:
        super().__init__(codewords=config.codewords, dim=config.dim)
        self.codebook = nn.Parameter(torch.randn(config.codewords, config.dim))
        self.log_excess = nn.Parameter(torch.tensor(math.log(config.initial_concentration - 1.0)))

    def latents(self, encoded: Tensor, valid: Tensor | None) -> Latents:  # noqa: ARG002 - nothing is averaged here
        """[B, T, D] of any length -> directions [B T, D] and kappa [1, 1]; log_var is minus log kappa."""
        concentration = 1.0 + self.log_excess.clamp(-LOG_EXCESS_LIMIT, LOG_EXCESS_LIMIT).exp()
        z = normalize(encoded.reshape(-1, self.dim), dim=-1)
        return Latents(z, concentration.view(1, 1), -concentration.log())

    def logits(self, z: Tensor, precision: Tensor) -> Tensor:
        """kappa b^T z."""
        return precision * (z @ self.effective_codebook.T)

    def quadratic(self, latents: Latents, z_q: Tensor) -> Tensor:
        """kappa (1 - z_q^T z): 1/2 kappa |z - z_q|^2 where z_q is a codeword."""
        return latents.precision[:, 0] * (1.0 - (latents.z * z_q).sum(-1))

    @property
    def effective_codebook(self) -> Tensor:
        """The codewords, each of length 1."""
        return normalize(self.codebook, dim=-1)
