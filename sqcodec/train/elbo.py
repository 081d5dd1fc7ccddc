"""The variational bound on -log p(x) of a trained model, each term apart (SQ-VAE, eq. 5; not the training loss)."""

import math
from dataclasses import dataclass

import torch

from sqcodec.corpus.store import StoreSplit
from sqcodec.metrics.mel_error import SquaredError, squared_error
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.train.reconstruction import decoded, scored_rows


@dataclass(frozen=True, kw_only=True)
class Bound:
    """Terms in nats over the whole set: -log p(x) <= reconstruction + prior - entropy + quadratic.

    reconstruction: (F T / 2)(1 + log 2 pi sigma^2), sigma^2 the mean squared error over the set (a density in feature
    units, so it may be negative), or the sum of the class likelihood's -log p; prior: T_c K log V; entropy: of the
    probabilities; quadratic: R of eq. 8 at the codes drawn. `seconds` of speech were scored.
    """

    reconstruction: float
    prior: float
    entropy: float
    quadratic: float
    seconds: float

    @property
    def nats(self) -> float:
        """The bound."""
        return self.reconstruction + self.prior - self.entropy + self.quadratic

    @property
    def bits_per_second(self) -> float:
        """The bound in bits a second of speech."""
        return self.nats / math.log(2) / self.seconds

    def as_dict(self) -> dict[str, float]:
        """Terms and bound in nats, and the bound in bits a second."""
        terms = {name: getattr(self, name) for name in ("reconstruction", "prior", "entropy", "quadratic", "seconds")}
        return terms | {"nats": self.nats, "bits_per_second": self.bits_per_second}


def bound(codec: SpectrogramCodec, split: StoreSplit, device: torch.device, seed: int) -> Bound:
    """Of every utterance that `evaluate` scores; hard codes drawn from the probabilities, no jitter, no mixture.

    A VQ-VAE's posterior is one codeword: entropy and quadratic are 0. A plain VAE's prior is in `quadratic`.
    Raises TrainingError: nothing to score.
    """
    draw = torch.Generator(device).manual_seed(seed)
    error, likelihood, codes, entropy, quadratic = SquaredError(), 0.0, 0, 0.0, 0.0
    for done in decoded(codec, split, scored_rows(codec, split), device, draw):
        error += squared_error(done.source, done.features)
        if not codec.likelihood.shared_variance:
            likelihood += codec.likelihood.fit(done.raw, done.source[None]).loss.item()
        codes += done.quantized.codes.numel()
        entropy += done.quantized.entropy.double().sum().item()
        quadratic += done.quantized.quadratic.double().sum().item()
    if codec.likelihood.shared_variance:
        likelihood = 0.5 * error.values * (1 + math.log(2 * math.pi * error.total / error.values))
    return Bound(
        reconstruction=likelihood,
        prior=codes * math.log(max(codec.quantizer.codewords, 1)),
        entropy=entropy,
        quadratic=quadratic,
        seconds=error.values / codec.features.n_mels / codec.features.frame_rate,
    )
