"""The training loss of the Gaussian SQ-VAE: arXiv 2205.07547, eq. 8 at the best decoder variance (AR-ELBO)."""

from typing import NamedTuple

import torch
from torch import Tensor

from sqcodec.quantizers.gaussian import Quantized


class Objective(NamedTuple):
    """The loss and its terms, scalars in nats a crop; mse is the mean squared error in feature units."""

    loss: Tensor
    reconstruction: Tensor
    quadratic: Tensor
    entropy: Tensor
    mse: Tensor


def objective(features: Tensor, target: Tensor, quantized: Quantized) -> Objective:
    """features, target: [B, F, T]. Loss = (F T / 2) log(mse) + mean_B(quadratic) - mean_B(entropy).

    The mean squared error is taken over batch, bands and frames together, its logarithm after that; quadratic and
    entropy are sums over time, dimension and codewords (averages there make the codebook collapse).
    """
    mse = (features.float() - target).square().mean()
    values = target[0].numel()
    reconstruction = 0.5 * values * torch.log(mse)
    quadratic, entropy = quantized.quadratic.mean(), quantized.entropy.mean()
    return Objective(reconstruction + quadratic - entropy, reconstruction, quadratic, entropy, mse)
