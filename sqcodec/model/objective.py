"""Training losses: of the SQ-VAE (arXiv 2205.07547, eq. 8 with optimal decoder variance, AR-ELBO) and of VQ-VAEs."""

from typing import NamedTuple

from torch import Tensor

from sqcodec.model.likelihood import Likelihood
from sqcodec.quantizers.quantizer import Quantized
from sqcodec.recipe.quantizer_section import Weighting


class Objective(NamedTuple):
    """The loss and its terms: scalars in nats per crop, but for mse, the mean squared error in feature units^2."""

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
    rate: Tensor | float = 0.0,
) -> Objective:
    """The training loss of a batch; decoded: [B, F x outputs, T]; target: [B, F, T].

    weighting `sums`: loss = reconstruction + mean_B(quadratic) - mean_B(entropy). The reconstruction term comes from
    the likelihood: (F T / 2) log(mse) for a Gaussian. quadratic and entropy are sums over time, dimension and
    codewords; averages make the codebook collapse. `means`, as VQ-VAEs are usually trained: loss = mse + quadratic,
    where quadratic is averaged over time and dimension too. rate: what the codes cost more than equally probable ones,
    weighed, of the mean crop; it belongs to `sums`, whose constant -log P(codes) is left out otherwise.
    """
    fit = likelihood.fit(decoded, target)
    quadratic, entropy = quantized.quadratic.mean(), quantized.entropy.mean()
    sums, means = fit.loss + quadratic - entropy + rate, fit.mse + quadratic / quantized.z_q[0].numel()
    loss = means if weighting == "means" else sums
    return Objective(loss, fit.loss, quadratic, entropy, fit.mse)
