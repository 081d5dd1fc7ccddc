"""The interface of quantisers: latents to codes, and their cost."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sqcodec.recipe.quantizer_section import Weighting


class Quantized(NamedTuple):
    """A quantised batch.

    z_q: [B, T, D], what the decoder receives: soft samples in training, codewords otherwise; codes: [B, K, T] int64,
    the nearest codewords; quadratic, entropy: [B], sums over time (and dimension or codewords) in nats, the
    loss is the first minus the second, and `quadratic` is the regulariser R of SQ-VAE, eq. 8; log_var: mean over
    all, a scalar (NaN where nothing has a variance); stages: [B] int64, how many codebooks z_q has; None: all.
    """

    z_q: Tensor
    codes: Tensor
    quadratic: Tensor
    entropy: Tensor
    log_var: Tensor
    stages: Tensor | None = None


class Posterior(NamedTuple):
    """The probabilities p [B, K, T, V] of the codewords that codes were drawn with, and the codes [B, K, T].

    Those of a codebook are given the codes of the codebooks before it.
    """

    codes: Tensor
    p: Tensor


class Measured(NamedTuple):
    """Latents z [B, T, D], and weights [B, T, 1 or D] of the squared differences from a codeword, whose sum is what
    the codeword costs."""

    z: Tensor
    weights: Tensor


class Quantizer(nn.Module, ABC):
    """The interface. K codebooks (none for a plain VAE) of V codewords of D dimensions. Each takes its section of a
    recipe.

    `weighting` says how the loss weighs the reconstruction against `quadratic` (see `sqcodec.model.objective`);
    `warmup_steps`: how many training steps pass before anything is quantised, and before the temperature falls.
    """

    codebook: Tensor  # [V, D], or [K, V, D]
    codebooks: int = 1
    weighting: Weighting = "sums"
    warmup_steps: int = 0

    def __init__(self, *, codewords: int, dim: int) -> None:
        super().__init__()
        self.codewords, self.dim = codewords, dim

    @property
    def channels(self) -> int:
        """Channels that the encoder must give."""
        return self.dim

    @property
    def effective_codebook(self) -> Tensor:
        """The codewords as `decode` gives them, [V, D], or [K, V, D] where it sums several; `codebook` is stored."""
        return self.codebook

    def begin_step_(self, step: int, latents: Callable[[int], Tensor], seed: int) -> None:
        """Apply the schedule before training step `step`, counted from 1.

        latents: a function that returns at least so many latents [N, channels] of the training set, the same on every
        rank. seed: of random draws.
        """

    @abstractmethod
    def forward(
        self,
        encoded: Tensor,
        temperature: float,
        generator: torch.Generator | None = None,
        *,
        valid: Tensor | None = None,
    ) -> Quantized:
        """Quantise encoded [B, T, channels] for training (`self.training`) or, with hard codes, for evaluation.

        valid: [B, T] bool, False where a frame is padding: it adds nothing to any term. None: no padding.
        """

    @abstractmethod
    def draw(self, encoded: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """As `forward`, with hard codes drawn from the posterior: an unbiased sample of it, for the bound."""

    def posterior(
        self, encoded: Tensor, quantized: Quantized, generator: torch.Generator | None = None
    ) -> Posterior | None:
        """Codes as `draw` draws them, and their probabilities, with gradients; None: there are none, or not yet.

        quantized: what `forward` made of `encoded` in this training step.
        """
        del encoded, quantized, generator
        return None

    @abstractmethod
    def encode(self, encoded: Tensor, codebooks: int | None = None) -> Tensor:
        """encoded [B, T, channels] -> codes [B, k, T] int64: the nearest codewords, ties to the lowest index.

        codebooks: k, the first of them that `decode` will get, 1 <= k <= K; None: all K.
        """

    def encode_prefixes(self, encoded: Tensor) -> list[Tensor]:
        """encoded [B, T, channels] -> codes [B, 1, T], [B, 2, T] ... [B, K, T]: `encode` with each number of books."""
        return [self.encode(encoded, codebooks) for codebooks in range(1, self.codebooks + 1)]

    @torch.no_grad()
    def measured(self, encoded: Tensor) -> Measured:
        """encoded [B, T, channels] of whole recordings -> how near each codeword of a single codebook is.

        The nearest one is that of `encode`.
        """
        z = encoded.float()
        return Measured(z, torch.ones_like(z[..., :1]))

    @abstractmethod
    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, K, T] -> codewords [B, T, D]."""


def summed(values: Tensor, valid: Tensor | None, batch: int) -> Tensor:
    """Values [B T], one per frame -> their sums [B] over the frames that are valid ([B, T] bool; None: all)."""
    values = values.view(batch, -1)
    return (values if valid is None else values * valid).sum(-1)
