"""The training loss of the SQ-VAE (arXiv 2205.07547, eq. 8 at the best decoder variance: AR-ELBO) and of its rivals."""

from typing import NamedTuple

from torch import Tensor

from sqcodec.model.likelihood import Likelihood
from sqcodec.quantizers.quantizer import Quantized
from sqcodec.recipe.quantizer_section import Weighting


class Objective(NamedTuple):
    """The loss and its terms, scalars in nats a crop; mse is the mean squared error in feature units."""

    loss: Tensor
    reconstruction: Tensor
    quadratic: Tensor
    entropy: Tensor
    mse: Tensor


def objective(
    decoded: Tensor,
    target: Tensor,
    quantized: Quantized,
    *,
    likelihood: Likelihood,
    weighting: Weighting,
) -> Objective:
    """decoded: [B, F x outputs, T]; target: [B, F, T].

    `sums`: loss = reconstruction + mean_B(quadratic) - mean_B(entropy), where the reconstruction is the
    likelihood's, (F T / 2) log(mse) for a Gaussian one; quadratic and entropy are sums over time, dimension and
    codewords (averages there make the codebook collapse). `means`, what VQ-VAEs are usually trained with: loss = mse +
    quadratic averaged over time and dimension too.
    """
    fit = likelihood.fit(decoded, target)
    quadratic, entropy = quantized.quadratic.mean(), quantized.entropy.mean()
    of_means = weighting == "means"
    loss = fit.mse + quadratic / quantized.z_q[0].numel() if of_means else fit.loss + quadratic - entropy
    return Objective(loss, fit.loss, quadratic, entropy, fit.mse)
