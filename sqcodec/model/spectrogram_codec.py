"""The spectrogram codec: features -> codes -> features."""

import hashlib
import json
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sqcodec.errors import ModelError
from sqcodec.model.likelihood import Likelihood
from sqcodec.model.mel_classes import MelClasses
from sqcodec.model.network import Decoder, Encoder
from sqcodec.model.paper_network import jitter
from sqcodec.nn.convnext import BandScale
from sqcodec.quantizers.quantizer import Quantized, Quantizer
from sqcodec.recipe import CodecRecipe
from sqcodec.spectrogram import FeatureConfig

NO_SPEAKER = 0  # the speaker that is given to a decoder which knows none


class Reconstruction(NamedTuple):
    """What a training step sees: the decoder's output [B, F x outputs, T] (`Likelihood` tells what it means) and the
    quantised latents it was decoded from."""

    decoded: Tensor
    quantized: Quantized


class SpectrogramCodec(nn.Module):
    """Encoder, quantiser, decoder, and what the decoder's output means.

    The encoder gives `quantizer.channels` values a code, the decoder takes `quantizer.dim` and gives
    `features.n_mels * likelihood.outputs` a frame. speakers: those that the decoder knows, by name; none where it takes
    any speaker. jitter: the probability that training replaces a codeword by a neighbour of it. recipe: what it was
    built from (see `sqcodec.model.assembly`), which a model file carries; None for a codec built by hand.

    `encoder.margin` frames, `decoder.margin` codes of context on each side make a block equal the whole.
    """

    def __init__(
        self,
        encoder: Encoder,
        quantizer: Quantizer,
        decoder: Decoder,
        *,
        features: FeatureConfig,
        likelihood: Likelihood,
        speakers: tuple[str, ...] = (),
        jitter: float = 0.0,
        recipe: CodecRecipe | None = None,
    ) -> None:
        super().__init__()
        self.features, self.speakers, self.jitter, self._recipe = features, speakers, jitter, recipe
        # in this order: an optimiser's state, as a checkpoint keeps it, goes by the order of parameters
        self.quantizer, self.likelihood, self.encoder, self.decoder = quantizer, likelihood, encoder, decoder

    @property
    def recipe(self) -> CodecRecipe:
        """What it was built from. Raises ModelError: it was built by hand."""
        if self._recipe is None:
            raise ModelError(
                "this codec was built by hand and has no recipe, which a model file must carry: write one and build the"
                " codec from it (sqcodec.model.assembly.build_codec), or keep state_dict() yourself"
            )
        return self._recipe

    @property
    def classes(self) -> MelClasses | None:
        """The classes of spectrogram values that the decoder gives, if it gives any."""
        return self.likelihood.classes

    @property
    def has_band_scales(self) -> bool:
        """Whether its networks scale each band by the training set's statistics."""
        return any(isinstance(module, BandScale) for module in self.modules())

    def fit_scales_(self, mean: Tensor, std: Tensor) -> None:
        """Give the networks mean and standard deviation [F] of each band over the training set."""
        for module in self.modules():
            if isinstance(module, BandScale):
                module.set_(mean, std)

    def forward(
        self,
        features: Tensor,
        speaker: Tensor,
        temperature: float,
        generator: torch.Generator | None = None,
        *,
        frames: Tensor | None = None,
    ) -> Reconstruction:
        """One pass of training: features [B, F, T + 2], speaker [B]; jitter acts on the soft samples only.

        frames: [B], how many frames of each row are no padding (see `PaperEncoder`); None: all T.
        """
        encoded = self.encoder(features, frames)
        valid = None if frames is None else _valid(frames // self.features.frames_per_code, encoded.shape[1])
        quantized = self.quantizer(encoded, temperature, generator, valid=valid)
        z_q = jitter(quantized.z_q, self.jitter, generator) if self.training and self.jitter else quantized.z_q
        return Reconstruction(self.decoder(z_q, speaker), quantized)

    def knows(self, speaker: str) -> bool:
        """Whether it can code this speaker: one of the training's, or anybody where the network takes any."""
        return not self.speakers or speaker in self.speakers

    def speaker_index(self, speaker: str) -> int:
        """The number of a speaker that it knows, as `decode` takes it."""
        return self.speakers.index(speaker) if self.speakers else NO_SPEAKER

    @torch.inference_mode()
    def encode(self, features: Tensor, frames: Tensor | None = None, *, codebooks: int | None = None) -> Tensor:
        """features [B, F, T + 2] of whole codes, one frame of context on each side -> codes [B, K, T / 2] int64.

        2 stands for the frames per code.
        frames: as in `forward`; the codes of padding mean nothing. codebooks: how many to use; None: all.
        """
        return self.quantizer.encode(self.encoder(features, frames), codebooks)

    @torch.inference_mode()
    def decode(self, codes: Tensor, speaker: Tensor) -> Tensor:
        """codes [B, K, T] int64, speaker [B] int64 -> features [B, F, 2 T], 2 frames per code."""
        return self.likelihood.features(self.decoder(self.quantizer.decode(codes), speaker))

    @property
    def bit_rate(self) -> float:
        """Nominal bit/s: codes a second times bits a code."""
        return self.features.code_rate * self.quantizer.codebooks * (self.quantizer.codewords - 1).bit_length()

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of SHA-256 over what gives codes a meaning: codebooks, features, layout."""
        layout = {
            "features": self.features.as_dict(),
            "frames_per_code": self.features.frames_per_code,
            "codebooks": self.quantizer.codebooks,
        }
        codebook = self.quantizer.codebook.detach().cpu().contiguous().numpy().astype("<f4")
        digest = hashlib.sha256(json.dumps([layout, codebook.shape], sort_keys=True).encode())
        digest.update(codebook.tobytes())
        return digest.hexdigest()[:16]


def _valid(lengths: Tensor, longest: int) -> Tensor:
    """[B] lengths -> [B, longest] bool."""
    return torch.arange(longest, device=lengths.device) < lengths[:, None]
