"""The spectrogram codec: features -> codes -> features."""

import hashlib
import json
from dataclasses import asdict
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sqcodec.model.decoder import Decoder, jitter
from sqcodec.model.encoder import Encoder
from sqcodec.quantizers.gaussian import GaussianQuantizer, Quantized
from sqcodec.recipe import Recipe
from sqcodec.values import FEATURES, FeatureConfig

FRAMES_PER_CODE = 2
ENCODER_MARGIN = 16  # frames of context on each side with which a block gives the codes of the whole (it needs 8)
DECODER_MARGIN = 200  # codes (4 s) of context on each side after which the recurrent decoder has forgotten the edge


class Reconstruction(NamedTuple):
    """What a training step sees: features [B, F, T] and the quantised latents they were decoded from."""

    features: Tensor
    quantized: Quantized


class SpectrogramCodec(nn.Module):
    """Encoder, quantiser and decoder of a recipe; `speakers` are the voices that the decoder knows, by name."""

    def __init__(self, recipe: Recipe, speakers: tuple[str, ...]) -> None:
        super().__init__()
        self.recipe, self.speakers = recipe, speakers
        self.features: FeatureConfig = FEATURES[recipe.features.kind]
        network, book = recipe.network, recipe.quantizer
        self.quantizer = GaussianQuantizer(
            variance=book.variance, codewords=book.codewords, dim=book.dim, initial_variance=book.initial_variance
        )
        self.encoder = Encoder(n_mels=self.features.n_mels, channels=network.channels, outputs=self.quantizer.channels)
        self.decoder = Decoder(
            dim=book.dim,
            speakers=len(speakers),
            speaker_dim=network.speaker_dim,
            gru=network.gru,
            n_mels=self.features.n_mels,
        )

    def forward(
        self, features: Tensor, speaker: Tensor, temperature: float, generator: torch.Generator | None = None
    ) -> Reconstruction:
        """One pass of training: features [B, F, T + 2], speaker [B]; jitter acts on the soft samples only."""
        quantized = self.quantizer(self.encoder(features), temperature, generator)
        z_q = jitter(quantized.z_q, self.recipe.network.jitter, generator) if self.training else quantized.z_q
        return Reconstruction(self.decoder(z_q, speaker), quantized)

    @torch.inference_mode()
    def encode(self, features: Tensor) -> Tensor:
        """features [B, F, T + 2], T even, one frame of context on each side -> codes [B, K, T / 2] int64."""
        return self.quantizer.encode(self.encoder(features))[:, None]

    @torch.inference_mode()
    def decode(self, codes: Tensor, speaker: Tensor) -> Tensor:
        """codes [B, K, T] int64, speaker [B] int64 -> features [B, F, 2 T]."""
        features: Tensor = self.decoder(self.quantizer.decode(codes[:, 0]), speaker)
        return features

    @property
    def bit_rate(self) -> float:
        """Nominal bit/s: codes a second times bits a code."""
        codes_per_second = 16000 / (self.features.hop_length * FRAMES_PER_CODE)
        return codes_per_second * (self.recipe.quantizer.codewords - 1).bit_length()

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of SHA-256 over what gives codes a meaning: codebooks, features, layout."""
        layout = {"features": asdict(self.features), "frames_per_code": FRAMES_PER_CODE, "codebooks": 1}
        codebook = self.quantizer.codebook.detach().cpu().contiguous().numpy().astype("<f4")
        digest = hashlib.sha256(json.dumps([layout, codebook.shape], sort_keys=True).encode())
        digest.update(codebook.tobytes())
        return digest.hexdigest()[:16]
