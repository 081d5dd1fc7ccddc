"""The spectrogram codec: features -> codes -> features."""

import hashlib
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sqcodec.codes import fingerprint
from sqcodec.errors import ModelError
from sqcodec.model.likelihood import Likelihood
from sqcodec.model.mel_classes import MelClasses
from sqcodec.model.model_header import NO_SPEAKER
from sqcodec.model.network import Decoder, Encoder
from sqcodec.model.paper_network import jitter
from sqcodec.nn.convnext import BandScale
from sqcodec.nn.padding import within
from sqcodec.quantizers.quantizer import Quantized, Quantizer
from sqcodec.recipe import CodecRecipe
from sqcodec.spectrogram import FeatureConfig


class Reconstruction(NamedTuple):
    """The result of `forward`.

    decoded: the decoder's output [B, F x outputs, T], read by `Likelihood`; quantized: the latents it was decoded from.
    """

    decoded: Tensor
    quantized: Quantized


class SpectrogramCodec(nn.Module):
    """Encoder, quantiser, decoder, and the likelihood that reads the decoder's output.

    The encoder gives `quantizer.channels` values per code. The decoder takes `quantizer.dim` values per code and gives
    `features.n_mels * likelihood.outputs` values per frame. speakers: names of the decoder's speakers; empty if it is
    speaker-independent. jitter: probability that training replaces a codeword by one of its neighbours in time. recipe:
    what the codec was built from (see `sqcodec.model.assembly`), stored in model files; None for a codec built by hand.

    A block with `encoder.margin` frames or `decoder.margin` codes of context on each side gives the same result as the
    whole recording.
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
        # keep this order: a checkpoint stores the optimiser's state by the order of parameters
        self.quantizer, self.likelihood, self.encoder, self.decoder = quantizer, likelihood, encoder, decoder

    @property
    def recipe(self) -> CodecRecipe:
        """The recipe that the codec was built from. Raises ModelError: it was built by hand."""
        if self._recipe is None:
            raise ModelError(
                "this codec was built by hand and has no recipe, which a model file must carry: write one and build the"
                " codec from it (sqcodec.model.assembly.build_codec), or keep state_dict() yourself"
            )
        return self._recipe

    @property
    def classes(self) -> MelClasses | None:
        """The mel classes of a decoder over classes; None for other decoders."""
        return self.likelihood.classes

    @property
    def has_band_scales(self) -> bool:
        """Whether the networks normalise each band by statistics of the training set."""
        return any(isinstance(module, BandScale) for module in self.modules())

    def fit_scales_(self, mean: Tensor, std: Tensor) -> None:
        """Set the mean and the standard deviation [F] that the networks normalise bands by (of the training set)."""
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
        """Encode, quantise and decode, for training: features [B, F, T + 2], speaker [B] int64.

        temperature: of the quantiser's soft samples. In training mode, jitter is applied to them. frames: [B], the
        frames of each row without padding (see `PaperEncoder`); None: all T.
        """
        encoded = self.encoder(features, frames)
        valid = None if frames is None else within(frames // self.features.frames_per_code, encoded.shape[1])
        return self.reconstruct(encoded, speaker, temperature, generator, valid=valid)

    def reconstruct(
        self,
        encoded: Tensor,
        speaker: Tensor,
        temperature: float,
        generator: torch.Generator | None = None,
        *,
        valid: Tensor | None = None,
    ) -> Reconstruction:
        """`forward` from the encoder's output [B, T / 2, channels] on; valid: see `Quantizer.forward`."""
        quantized = self.quantizer(encoded, temperature, generator, valid=valid)
        z_q = jitter(quantized.z_q, self.jitter, generator) if self.training and self.jitter else quantized.z_q
        return Reconstruction(self.decoder(z_q, speaker), quantized)

    def knows(self, speaker: str) -> bool:
        """Whether the decoder can render this speaker (always, if it is speaker-independent)."""
        return not self.speakers or speaker in self.speakers

    def speaker_index(self, speaker: str) -> int:
        """The index of a known speaker, for `decode`."""
        return self.speakers.index(speaker) if self.speakers else NO_SPEAKER

    @torch.inference_mode()
    def encode(self, features: Tensor, frames: Tensor | None = None, *, codebooks: int | None = None) -> Tensor:
        """features [B, F, T + 2] of whole codes, one frame of context on each side -> codes [B, K, T / 2] int64.

        2 in T / 2 stands for the frames per code. frames: as in `forward`; the codes of padding are meaningless.
        codebooks: how many to use; None: all.
        """
        return self.quantizer.encode(self.encoder(features, frames), codebooks)

    @torch.inference_mode()
    def decode(self, codes: Tensor, speaker: Tensor, lengths: Tensor | None = None) -> Tensor:
        """codes [B, K, T] int64, speaker [B] int64 -> features [B, F, 2 T], 2 frames per code.

        lengths: [B], the codes of each row without padding, whose features are meaningless; None: all T.
        """
        return self.likelihood.features(self.decoder(self.quantizer.decode(codes), speaker, lengths))

    @property
    def bit_rate(self) -> float:
        """Nominal bit/s: codes per second times bits per code."""
        return self.features.code_rate * self.quantizer.codebooks * (self.quantizer.codewords - 1).bit_length()

    @property
    def fingerprint(self) -> str:
        """The name of what its codes mean; see `codes.fingerprint`."""
        codebook = self.quantizer.codebook.detach().cpu().contiguous().numpy()
        return fingerprint(self.features, codebook, codebooks=self.quantizer.codebooks)

    @property
    def sender_digest(self) -> str:
        """12 hexadecimal digits of SHA-256 over what encoding depends on: features, encoder and quantiser, and how loud
        values are weighed."""
        digest = hashlib.sha256(f"{self.fingerprint} {getattr(self.recipe.target, 'loudness', 0.0)}".encode())
        for part in (self.encoder, self.quantizer):
            for name, value in part.state_dict().items():
                digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:12]
