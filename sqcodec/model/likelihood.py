"""The decoder's output distribution p(x | z_q): its loss, and the spectrogram that is most probable."""

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from sqcodec import ranks
from sqcodec.model.bessel import HIGHEST, LOWEST, log_normaliser
from sqcodec.model.mel_classes import MelClasses

_MIN_VARIANCE = 1e-3  # per crop, 0.1 dB^2: with less, digital silence would outweigh all speech
_UNIFORM_WEIGHT = 0.3  # fraction of the weight that does not depend on loudness


class Fit(NamedTuple):
    """How well a batch was decoded, as scalars: loss in nats per crop; mse (mean squared error) in feature units^2."""

    loss: Tensor
    mse: Tensor


class Likelihood(nn.Module, ABC):
    """A distribution over spectrogram values, given the decoder's output.

    `outputs`: values that the decoder gives per band and frame; `classes`: the classes that these values score, None if
    they are no scores; `shared_variance`: all utterances share one variance, and -log p is not a sum over utterances.
    """

    outputs: int
    classes: MelClasses | None = None
    shared_variance: bool = False

    @abstractmethod
    def fit(self, decoded: Tensor, target: Tensor) -> Fit:
        """decoded [B, F x outputs, T] and target [B, F, T] -> the reconstruction term of the training loss."""

    @abstractmethod
    def features(self, decoded: Tensor) -> Tensor:
        """decoded [B, F x outputs, T] -> the spectrogram [B, F, T] that is most probable."""


class GaussianLikelihood(Likelihood):
    """A Gaussian of maximum-likelihood variance: the loss is (F T / 2) log(mean squared error) (AR-ELBO, eq. 8).

    variance `batch`: the logarithm of the mean over the batch (of all ranks), bands and frames; `crop`: the logarithm
    of the mean over each crop's bands and frames, averaged over crops. loudness: errors are weighted by
    amplitude^loudness, and targets must be natural logarithms of the amplitude; 0: no weighting.
    """

    outputs = 1
    shared_variance = True

    def __init__(self, loudness: float, variance: Literal["batch", "crop"]) -> None:
        super().__init__()
        self.loudness, self.variance = loudness, variance

    def fit(self, decoded: Tensor, target: Tensor) -> Fit:
        """The loss in nats per crop, without the constant (F T / 2)(1 + log 2 pi)."""
        error = (decoded.float() - target).square()
        mse = error.mean()
        weighed = error * self._weight(target) if self.loudness else error
        if self.variance == "batch":
            log_variance = torch.log(ranks.mean(weighed.mean()))
        else:
            log_variance = torch.log(weighed.mean((1, 2)).clamp_min(_MIN_VARIANCE)).mean()
        return Fit(0.5 * target[0].numel() * log_variance, mse)

    def _weight(self, target: Tensor) -> Tensor:
        """Weights [B, F, T] of mean 1 per crop: 70 % follow amplitude^(2 loudness), 30 % are uniform."""
        weight = (2.0 * self.loudness * (target - target.amax((1, 2), keepdim=True))).exp()
        return _UNIFORM_WEIGHT + (1.0 - _UNIFORM_WEIGHT) * weight / weight.mean((1, 2), keepdim=True)

    def features(self, decoded: Tensor) -> Tensor:
        """The decoder's output itself."""
        return decoded


class ClassLikelihood(Likelihood):
    """Base of the two likelihoods over 1 dB classes: `scores` rates each class, and the highest score is decoded."""

    classes: MelClasses

    def __init__(self, classes: MelClasses) -> None:
        super().__init__()
        self.classes, self.outputs = classes, classes.number

    @abstractmethod
    def scores(self, decoded: Tensor) -> Tensor:
        """decoded [B, F x C, T] -> [B, C, F, T]."""

    @abstractmethod
    def negative_log_likelihood(self, scores: Tensor, classes: Tensor) -> Tensor:
        """-log p, summed over all values; scores [B, C, F, T], classes [B, F, T]."""

    def fit(self, decoded: Tensor, target: Tensor) -> Fit:
        """The loss in nats per crop: summed over bands and frames, averaged over the batch."""
        scores = self.scores(decoded)
        loss = self.negative_log_likelihood(scores, self.classes.of(target)) / len(target)
        mse = (self.classes.values(scores.detach().argmax(1)) - target).square().mean()
        return Fit(loss, mse)

    def features(self, decoded: Tensor) -> Tensor:
        """The centre of the class with the highest score."""
        return self.classes.values(self.scores(decoded).argmax(1))

    def _by_class(self, decoded: Tensor) -> Tensor:
        return decoded.float().reshape(len(decoded), self.outputs, -1, decoded.shape[-1])


class CategoricalLikelihood(ClassLikelihood):
    """Class probabilities and their cross-entropy (NC SQ-VAE, eq. 9). It has no variance that could anneal."""

    def scores(self, decoded: Tensor) -> Tensor:
        """Unnormalised log-probabilities."""
        return self._by_class(decoded)

    def negative_log_likelihood(self, scores: Tensor, classes: Tensor) -> Tensor:
        """-log softmax(scores) at the class."""
        return cross_entropy(scores, classes, reduction="sum")


class VonMisesFisherLikelihood(ClassLikelihood):
    """Each class v is an axis in C dimensions, and the decoder gives a direction f in that space (vMF SQ-VAE, eq. 11).

    -log p = -kappa v^T f - log C_C(kappa), with kappa learned. p is a density on the sphere, not a class probability.
    """

    def __init__(self, classes: MelClasses) -> None:
        super().__init__(classes)
        self.log_inverse_concentration = nn.Parameter(torch.tensor(0.01).log())  # kappa = 100, as the authors'

    @property
    def concentration(self) -> Tensor:
        """kappa, clamped to the range of `log_normaliser`."""
        return torch.exp(-self.log_inverse_concentration).clamp(LOWEST, HIGHEST)

    def scores(self, decoded: Tensor) -> Tensor:
        """v_c^T f for each class c: the coordinates of the direction f."""
        return normalize(self._by_class(decoded), dim=1)

    def negative_log_likelihood(self, scores: Tensor, classes: Tensor) -> Tensor:
        """-kappa sum(v^T f) - N log C_C(kappa), over N values."""
        kappa = self.concentration
        agreement = scores.gather(1, classes[:, None]).sum()
        return -kappa * agreement - classes.numel() * log_normaliser(kappa, self.outputs).float()
