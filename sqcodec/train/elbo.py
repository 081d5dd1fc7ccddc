"""The negative ELBO of a trained model: an upper bound on -log p(x), term by term (SQ-VAE, eq. 5; not the loss)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sqcodec.corpus.store import StoreSplit
from sqcodec.metrics.mel_error import SquaredError, squared_error
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.train.reconstruction import decoded, scored_rows


@dataclass(frozen=True, kw_only=True)
class Elbo:
    """Terms in nats over the whole set: -log p(x) <= reconstruction + prior - entropy + quadratic.

    reconstruction: (F T / 2)(1 + log 2 pi sigma^2), sigma^2 the mean squared error over the set (a density in feature
    units, so it may be negative), or the sum of the class likelihood's -log p; prior: -log P of the
    codes, T_c K log V if they are equally probable; entropy: of the
    probabilities; quadratic: that of Z, which is drawn around the encoder's output, from the drawn codewords, less
    D / 2 for each: the divergence of Z given the recording from Z given its codeword.
    seconds: duration of the scored speech.
    """

    reconstruction: float
    prior: float
    entropy: float
    quadratic: float
    seconds: float

    @property
    def nats(self) -> float:
        """The bound in nats over the whole set."""
        return self.reconstruction + self.prior - self.entropy + self.quadratic

    @property
    def bits_per_second(self) -> float:
        """The bound in bits per second of speech."""
        return self.nats / math.log(2) / self.seconds

    def as_dict(self) -> dict[str, float]:
        """Terms and bound in nats, and the bound in bits per second."""
        terms = {name: getattr(self, name) for name in ("reconstruction", "prior", "entropy", "quadratic", "seconds")}
        return terms | {"nats": self.nats, "bits_per_second": self.bits_per_second}


def elbo(
    codec: SpectrogramCodec,
    split: StoreSplit,
    device: torch.device,
    seed: int,
    saved: Callable[[Tensor], Tensor] | None = None,
) -> Elbo:
    """The bound over every utterance that `evaluate` scores. Hard codes drawn from the posterior, no jitter or mixture.

    saved: what P saves of codes [B, K, T] against equally probable ones, nats [B]; None: it is uniform. A VQ-VAE's
    posterior is one codeword and it has no Z: entropy and quadratic are 0. A plain VAE's prior is in `quadratic`.
    Residual and vMF quantisers draw no Z: theirs is the bound at the encoder's output, which is looser.
    Raises TrainingError: nothing to score.
    """
    draw = torch.Generator(device).manual_seed(seed)
    error, likelihood, prior, entropy, quadratic = SquaredError(), 0.0, 0.0, 0.0, 0.0
    for utterance in decoded(codec, split, scored_rows(codec, split), device, draw):
        error += squared_error(utterance.source, utterance.features)
        if not codec.likelihood.shared_variance:
            likelihood += codec.likelihood.fit(utterance.raw, utterance.source[None]).loss.item()
        codes = utterance.quantized.codes
        prior += codes.numel() * math.log(max(codec.quantizer.codewords, 1))
        prior -= saved(codes).double().sum().item() if saved else 0.0
        entropy += utterance.quantized.entropy.double().sum().item()
        quadratic += utterance.quantized.quadratic.double().sum().item()
    if codec.likelihood.shared_variance:
        likelihood = 0.5 * error.values * (1 + math.log(2 * math.pi * error.total / error.values))
    return Elbo(
        reconstruction=likelihood,
        prior=prior,
        entropy=entropy,
        quadratic=quadratic,
        seconds=error.values / codec.features.n_mels / codec.features.frame_rate,
    )
