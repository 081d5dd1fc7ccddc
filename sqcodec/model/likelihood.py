"""What the decoder's output means: p(x | z_q), its loss, and the spectrogram read from it."""

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from sqcodec import ranks
from sqcodec.model.bessel import HIGHEST, LOWEST, log_normaliser
from sqcodec.model.mel_classes import MelClasses

_LEAST = 1e-3  # variance of a crop: 0.1 dB^2, or digital silence would outweigh all speech
_EQUAL = 0.3  # of the weight, which soft sounds have as loud ones


class Fit(NamedTuple):
    """How well a batch was decoded, scalars: loss in nats a crop; mean squared error in feature units."""

    loss: Tensor
    mse: Tensor


class Likelihood(nn.Module, ABC):
    """`outputs`: numbers that the decoder gives for each band of each frame; `classes`: what they are scores of, if
    anything; `shared_variance`: whether a set has one variance, so that its -log p is no sum over its utterances."""

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
    """Values with Gaussian error of the best variance: (F T / 2) log(mean squared error) (AR-ELBO, eq. 8).

    variance `batch`: the mean is taken over batch (of all ranks), bands and frames together, its logarithm after that;
    `crop`: over bands and frames of each crop, and the mean of the logarithms. loudness: exponent of the natural
    amplitude that errors are weighed by (targets are its logarithm then), 0 for all alike.
    """

    outputs = 1
    shared_variance = True

    def __init__(self, loudness: float, variance: Literal["batch", "crop"]) -> None:
        super().__init__()
        self.loudness, self.variance = loudness, variance

    def fit(self, decoded: Tensor, target: Tensor) -> Fit:
        """Nats a crop, up to the constant (F T / 2)(1 + log 2 pi)."""
        error = (decoded.float() - target).square()
        mse = error.mean()
        weighed = error * self._weight(target) if self.loudness else error
        if self.variance == "batch":
            log_variance = torch.log(ranks.mean(weighed.mean()))
        else:
            log_variance = torch.log(weighed.mean((1, 2)).clamp_min(_LEAST)).mean()
        return Fit(0.5 * target[0].numel() * log_variance, mse)

    def _weight(self, target: Tensor) -> Tensor:
        """[B, F, T], of mean 1 over each crop: the square of the loudness, and a share that every value has."""
        weight = (2.0 * self.loudness * (target - target.amax((1, 2), keepdim=True))).exp()
        return _EQUAL + (1.0 - _EQUAL) * weight / weight.mean((1, 2), keepdim=True)

    def features(self, decoded: Tensor) -> Tensor:
        """The decoder's output itself."""
        return decoded


class ClassLikelihood(Likelihood):
    """What the two decoders over 1 dB classes share: `score` gives each class a number, the highest wins."""

    classes: MelClasses

    def __init__(self, classes: MelClasses) -> None:
        super().__init__()
        self.classes, self.outputs = classes, classes.number

    @abstractmethod
    def scores(self, decoded: Tensor) -> Tensor:
        """decoded [B, F x C, T] -> [B, C, F, T]."""

    @abstractmethod
    def negative_log_likelihood(self, scores: Tensor, classes: Tensor) -> Tensor:
        """Summed over all values; scores [B, C, F, T], classes [B, F, T]."""

    def fit(self, decoded: Tensor, target: Tensor) -> Fit:
        """Nats a crop: sums over bands and frames, the mean over the batch."""
        scores = self.scores(decoded)
        loss = self.negative_log_likelihood(scores, self.classes.of(target)) / len(target)
        mse = (self.classes.values(scores.detach().argmax(1)) - target).square().mean()
        return Fit(loss, mse)

    def features(self, decoded: Tensor) -> Tensor:
        """The centre of the class of the highest score."""
        return self.classes.values(self.scores(decoded).argmax(1))

    def _by_class(self, decoded: Tensor) -> Tensor:
        return decoded.float().reshape(len(decoded), self.outputs, -1, decoded.shape[-1])


class CategoricalLikelihood(ClassLikelihood):
    """Plain class probabilities and their cross-entropy (NC SQ-VAE, eq. 9): no variance, so nothing anneals."""

    def scores(self, decoded: Tensor) -> Tensor:
        """Unnormalised log-probabilities."""
        return self._by_class(decoded)

    def negative_log_likelihood(self, scores: Tensor, classes: Tensor) -> Tensor:
        """-log softmax(scores) at the class."""
        return cross_entropy(scores, classes, reduction="sum")


class VonMisesFisherLikelihood(ClassLikelihood):
    """Classes are the axes of a space of C dimensions, the decoder gives a direction f in it (vMF SQ-VAE, eq. 11):
    -log p = -kappa v^T f - log C_C(kappa), kappa learned. A density on a sphere, no probability of a class."""

    def __init__(self, classes: MelClasses) -> None:
        super().__init__(classes)
        self.log_inverse_concentration = nn.Parameter(torch.tensor(0.01).log())  # kappa starts at 100, as the authors'

    @property
    def concentration(self) -> Tensor:
        """kappa."""
        return torch.exp(-self.log_inverse_concentration).clamp(LOWEST, HIGHEST)

    def scores(self, decoded: Tensor) -> Tensor:
        """v_c^T f for each class: the coordinates of the direction."""
        return normalize(self._by_class(decoded), dim=1)

    def negative_log_likelihood(self, scores: Tensor, classes: Tensor) -> Tensor:
        """-kappa sum v^T f - N log C(kappa)."""
        kappa = self.concentration
        agreement = scores.gather(1, classes[:, None]).sum()
        return -kappa * agreement - classes.numel() * log_normaliser(kappa, self.outputs).float()
