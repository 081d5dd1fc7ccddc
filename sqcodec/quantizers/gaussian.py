"""Gaussian stochastic quantisation (SQ-VAE, Takida et al., ICML 2022, arXiv 2205.07547; Table 1, eq. 7 and 8).

A latent z is coded by codeword b with probability softmax_b(-1/2 (z - b)^T diag(precision) (z - b)).
"""

import torch
from torch import Tensor, nn

from sqcodec.quantizers.quantizer import Quantized
from sqcodec.quantizers.stochastic import Latents, StochasticQuantizer, gumbel_max
from sqcodec.recipe.quantizer_section import GaussianConfig

LOG_VAR_LIMIT = 14.0  # |log variance| beyond which the precision would leave float32's useful range


def gaussian_logits(z: Tensor, precision: Tensor, codebook: Tensor) -> Tensor:
    """Log-probabilities, up to a constant per row, of each codeword given z (eq. 7).

    z: [N, D]; precision: [N, D] (IV), [N, 1] (II, III) or [1, 1] (fixed, I); codebook: [V, D] -> [N, V], float32.
    The row constant -1/2 sum_j p_j z_j^2 is left out: softmax and argmax do not see it. Two matrix products, so that
    nothing of size [N, V, D] ever exists; but for IV one product serves, since the precision leaves the sum.
    """
    centre = codebook.mean(0)
    z, codebook = z - centre, codebook - centre  # distances do not change; rounding shrinks
    if precision.shape[-1] == 1:
        return precision * torch.addmm(-0.5 * codebook.square().sum(-1), z, codebook.T)
    return torch.addmm((precision * z) @ codebook.T, precision, codebook.square().T, alpha=-0.5)


def nearest(z: Tensor, codebook: Tensor) -> Tensor:
    """z [N, D], codebook [V, D] -> [N] int64: the codeword at the smallest distance, the lowest index on ties."""
    return gaussian_logits(z, torch.ones(1, 1, device=z.device), codebook).argmax(-1)


class GaussianQuantizer(StochasticQuantizer):
    """Gaussian SQ: one variance for all latents (fixed, I), per utterance (II), per frame (III), or per frame
    and dimension (IV).

    codewords V, dim D; initial_variance: exp of the scalar that starts every log variance (10 for speech); the scalar
    is learned, but for `fixed`, where it is the variance.

    II averages the encoder's log variance over the valid frames of its input: over a crop in training, over the
    whole recording in inference. The paper leaves II out for speech for that reason: recordings have any length,
    and a variance of 0.3 s of speech is not one of a whole utterance (appendix E.2). The codes do not depend on it:
    a precision that all codewords share moves no argmin, so `encode` reads it for IV alone.
    """

    def __init__(self, config: GaussianConfig) -> None:
        super().__init__(codewords=config.codewords, dim=config.dim)
        self.variance = config.variance
        self.codebook = nn.Parameter(torch.randn(config.codewords, config.dim))
        log_var = torch.tensor(float(config.initial_variance)).log()
        self.log_var_scalar: Tensor
        if config.variance == "fixed":
            self.register_buffer("log_var_scalar", log_var)
        else:
            self.log_var_scalar = nn.Parameter(log_var)

    @property
    def channels(self) -> int:
        """The latent's D and those of its log variance."""
        return self.dim + {"fixed": 0, "I": 0, "II": 1, "III": 1, "IV": self.dim}[self.variance]

    def latents(self, encoded: Tensor, valid: Tensor | None) -> Latents:
        """[B, T, channels] -> z [B T, D], its precision [1, 1] (fixed, I), [B T, 1] (II, III) or [B T, D] (IV)."""
        z, rest = encoded[..., : self.dim], encoded[..., self.dim :]
        match self.variance:
            case "fixed" | "I":
                log_var = self.log_var_scalar.view(1, 1, 1)
            case "II":
                log_var = _mean_over_time(rest, valid) + self.log_var_scalar
            case _:
                log_var = rest + self.log_var_scalar
        log_var = log_var.clamp(-LOG_VAR_LIMIT, LOG_VAR_LIMIT)
        if self.variance == "II":
            log_var = log_var.expand(-1, encoded.shape[1], -1)
        precision = torch.exp(-log_var).reshape(-1, log_var.shape[-1])
        return Latents(z.reshape(-1, self.dim), precision, _mean(log_var, valid))

    @torch.no_grad()
    def encode(self, encoded: Tensor, codebooks: int | None = None) -> Tensor:
        """encoded [B, T, channels] -> codes [B, 1, T] int64: the nearest codewords, ties to the lowest index."""
        del codebooks  # there is one
        with torch.autocast(encoded.device.type, enabled=False):
            z = encoded[..., : self.dim].float().reshape(-1, self.dim)
            if self.variance == "IV":
                log_var = encoded[..., self.dim :].float().reshape(-1, self.dim) + self.log_var_scalar
                # the clamp is for training: a factor that all dimensions share moves no argmin, and keeps it in range
                shift = (log_var.amin(-1, keepdim=True) + LOG_VAR_LIMIT).clamp_max(0)
                return self.logits(z, torch.exp(shift - log_var)).argmax(-1).view(len(encoded), 1, -1)
            return nearest(z, self.codebook).view(len(encoded), 1, -1)

    def draw(self, encoded: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """As the bound has it (eq. 5): Z ~ N(z, Sigma) first, then a code with its probability given Z.

        quadratic: log q(Z | x) - log p(Z | z_q) with Z's own part averaged, 1/2 sum_j p_j (Z_j - z_q,j)^2 - D / 2.
        """
        with torch.autocast(encoded.device.type, enabled=False):
            mean = self.latents(encoded.float(), None)
            noise = torch.randn(mean.z.shape, generator=generator, device=mean.z.device)
            latents = mean._replace(z=mean.z + noise * mean.precision.rsqrt())
            logits = self.logits(latents.z, latents.precision)
            codes = gumbel_max(logits, generator)
            drawn = self._quantized(latents, logits, self.codebook[codes], codes, len(encoded), None)
            return drawn._replace(quadratic=drawn.quadratic - 0.5 * self.dim * encoded.shape[1])

    def logits(self, z: Tensor, precision: Tensor) -> Tensor:
        """Minus the distance of eq. 7."""
        return gaussian_logits(z, precision, self.codebook)

    def quadratic(self, latents: Latents, z_q: Tensor) -> Tensor:
        """1/2 sum_j p_j (z_j - z_q,j)^2, summed over dimensions, not averaged."""
        return 0.5 * (latents.precision * (latents.z - z_q).square()).sum(-1)


def _mean_over_time(values: Tensor, valid: Tensor | None) -> Tensor:
    """[B, T, 1] -> [B, 1, 1], over the valid frames alone."""
    if valid is None:
        return values.mean(1, keepdim=True)
    weight = valid[..., None].to(values.dtype)
    return (values * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)


def _mean(log_var: Tensor, valid: Tensor | None) -> Tensor:
    """The mean of [B or 1, T or 1, C or 1], of valid frames alone where it has frames."""
    if valid is None or log_var.shape[1] == 1:
        return log_var.mean()
    return log_var[valid].mean()
