"""The spectrogram codec: features -> codes -> features."""

import hashlib
import json
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sqcodec.model.convnext_network import ConvNextDecoder, ConvNextEncoder
from sqcodec.model.likelihood import CategoricalLikelihood, GaussianLikelihood, Likelihood, VonMisesFisherLikelihood
from sqcodec.model.mel_classes import MelClasses
from sqcodec.model.paper_network import PaperDecoder, PaperEncoder, jitter
from sqcodec.quantizers.build import build_quantizer
from sqcodec.quantizers.quantizer import Quantized
from sqcodec.recipe import ConvNextConfig, MelConfig, PaperNetworkConfig, Recipe, TargetConfig
from sqcodec.spectrogram import FeatureConfig

UNLABELLED = 0  # the speaker that is given to a decoder which knows none


class Reconstruction(NamedTuple):
    """What a training step sees: the decoder's output [B, F x outputs, T] (`Likelihood` tells what it means) and the
    quantised latents it was decoded from."""

    decoded: Tensor
    quantized: Quantized


class SpectrogramCodec(nn.Module):
    """Encoder, quantiser and decoder of a recipe; `speakers` are the voices that the decoder knows, by name: none
    where the network takes any speaker.

    classes: of the spectrogram's values, for a recipe whose target they are; None otherwise. `encoder.margin` frames,
    `decoder.margin` codes of context on each side make a block equal the whole.
    """

    def __init__(self, recipe: Recipe, speakers: tuple[str, ...], classes: MelClasses | None = None) -> None:
        super().__init__()
        self.recipe, self.speakers, self.classes = recipe, speakers, classes
        self.features: FeatureConfig = recipe.features.configuration
        self.quantizer = build_quantizer(recipe.quantizer)
        self.likelihood = build_likelihood(recipe.target, classes)
        bands, latents = self.features.n_mels, self.quantizer.channels
        outputs = bands * self.likelihood.outputs
        match recipe.network:
            case PaperNetworkConfig() as network:
                self.encoder: PaperEncoder | ConvNextEncoder = PaperEncoder(
                    n_mels=bands, channels=network.channels, outputs=latents
                )
                self.decoder: PaperDecoder | ConvNextDecoder = PaperDecoder(
                    dim=self.quantizer.dim,
                    speakers=len(speakers),
                    speaker_dim=network.speaker_dim,
                    gru=network.gru,
                    outputs=outputs,
                )
            case ConvNextConfig() as network:
                self.encoder = ConvNextEncoder(network, self.features, outputs=latents)
                self.decoder = ConvNextDecoder(network, self.features, dim=self.quantizer.dim, outputs=outputs)

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
        probability = getattr(self.recipe.network, "jitter", 0.0)
        z_q = jitter(quantized.z_q, probability, generator) if self.training and probability else quantized.z_q
        return Reconstruction(self.decoder(z_q, speaker), quantized)

    def knows(self, speaker: str) -> bool:
        """Whether it can code this speaker: one of the training's, or anybody where the network takes any."""
        return not self.speakers or speaker in self.speakers

    def place_of(self, speaker: str) -> int:
        """The number of a speaker that it knows, as `decode` takes it."""
        return self.speakers.index(speaker) if self.speakers else UNLABELLED

    @torch.inference_mode()
    def encode(self, features: Tensor, frames: Tensor | None = None, *, codebooks: int | None = None) -> Tensor:
        """features [B, F, T + 2] of whole codes, one frame of context on each side -> codes [B, K, T / 2] int64.

        2 stands for the frames per code.
        frames: as in `forward`; the codes of padding mean nothing. codebooks: how many to use; None: all.
        """
        return self.quantizer.encode_by(self.encoder(features, frames), codebooks or self.quantizer.codebooks)

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


def build_likelihood(config: TargetConfig, classes: MelClasses | None) -> Likelihood:
    """The decoder's distribution that a recipe's section `target` asks for."""
    if isinstance(config, MelConfig):
        return GaussianLikelihood(config.loudness, config.variance)
    assert classes is not None
    return VonMisesFisherLikelihood(classes) if config.likelihood == "vmf" else CategoricalLikelihood(classes)


def _valid(lengths: Tensor, longest: int) -> Tensor:
    """[B] lengths -> [B, longest] bool."""
    return torch.arange(longest, device=lengths.device) < lengths[:, None]
