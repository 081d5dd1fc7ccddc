"""The training of decoder and vocoder together, from the codewords to the sound; encoder and codewords stay.

The spectrogram between them is no target any more but a means: the losses of the sound reach the decoder, and a small
loss keeps its output a spectrogram that other vocoders understand. The codes keep their meaning.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from sqcodec.corpus.store import FeatureStore
from sqcodec.errors import TrainingError
from sqcodec.file_names import CHECKPOINT, MODEL, VOCODER
from sqcodec.model.blockwise import with_context
from sqcodec.model.convnext_network import ConvNextDecoder
from sqcodec.model.model_file import replace_decoder
from sqcodec.model.model_header import NO_SPEAKER
from sqcodec.model.network import Decoder
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.recipe import CodecRecipe, ConvNextConfig
from sqcodec.recipe.vocoder_section import FAMILIES
from sqcodec.spectrogram import FeatureConfig
from sqcodec.train.checkpoint import load_checkpoint, unlike
from sqcodec.train.log import TrainingLog
from sqcodec.train.prefix_codes import PrefixCodes
from sqcodec.train.vocoder.code_crops import CodeCrops
from sqcodec.train.vocoder.istft_trainer import IstftTrainer, Made, Part, have_learned
from sqcodec.train.vocoder.perceptual import perceptual_loss
from sqcodec.vocoder.contrast import with_contrast
from sqcodec.vocoder.istft import IstftNetwork, IstftVocoder, with_lookahead
from sqcodec.vocoder.refinement import refine
from sqcodec.vocoder.vocoder_file import config_of, load_vocoder, save_vocoder
from sqcodec.vocoder.vocoder_header import read_header, refining_of

_CONTEXT = 16  # codes before a crop that the decoder sees


class JointNetwork(nn.Module):
    """Sums of codewords -> features -> sound."""

    def __init__(self, decoder: Decoder, vocoder: IstftNetwork, features: FeatureConfig) -> None:
        super().__init__()
        self.decoder, self.vocoder = decoder, vocoder
        self._floor = math.log(features.floor) if features.dynamic_range is None else None

    def forward(self, z_q: Tensor, skipped: Tensor, louder: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        """z_q [B, n, D] -> sound [B, hop T] and decoded features [B, F, T], T = `frames` after the first `skipped` [B],
        `louder` [B] in natural logarithms."""
        decoded = self.decoder(z_q, skipped.new_full(skipped.shape, NO_SPEAKER))
        chosen = skipped[:, None] + torch.arange(frames, device=skipped.device)
        cut = decoded.gather(2, chosen[:, None].expand(-1, decoded.shape[1], -1))
        levelled = cut + louder[:, None, None]
        features = levelled if self._floor is None else levelled.clamp_min(self._floor)
        return self.vocoder(features), features


class Coded(NamedTuple):
    """The codec whose decoder learns, the file that it is from, and the codes of the training split. lost: the contrast
    [F] that its decoder smooths away (`sqcodec.vocoder.contrast`); None: not measured, the refinement has none."""

    codec: SpectrogramCodec
    path: Path
    codes: PrefixCodes
    lost: Tensor | None = None


class JointTrainer(IstftTrainer):
    """The trainer of the vocoder, with the decoder before it."""

    section = "joint.vocoder"
    remedy = "remove that folder to start another training"

    def __init__(self, recipe: CodecRecipe, store: FeatureStore, folder: Path, fabric: Fabric, coded: Coded) -> None:
        assert recipe.joint is not None
        self._coded, self._joint = coded, recipe.joint
        self._contrast = recipe.contrast if recipe.joint.heard else None  # that the vocoder gets if it has none
        self._quantizer = coded.codec.quantizer.to(fabric.device).requires_grad_(False)
        super().__init__(recipe, recipe.joint_vocoder, store, folder, fabric, coded.codec.fingerprint)
        split, train = store.splits["train"], self.config.train
        after = cast(ConvNextDecoder, coded.codec.decoder).lookahead // self.features.frames_per_code
        self._code_crops = CodeCrops(
            split, coded.codes, self.features, train, fabric.device, before=_CONTEXT, after=after
        )

    def _new_generator(self) -> JointNetwork:
        vocoder = super()._new_generator()
        return JointNetwork(self._coded.codec.decoder, cast(IstftNetwork, vocoder), self.features)

    def begin_from(self, folder: Path) -> None:
        """Take the vocoder in `folder`, with its discriminators where the checkpoint of its training has like ones.

        It keeps its contrast. If it has none, and the losses see the refined sound, it gets one now.

        Raises TrainingError: another network; VocoderError: no vocoder there.
        """
        path = folder / VOCODER
        former, trained = config_of(read_header(path)), load_vocoder(path, self.features)
        network = cast(JointNetwork, self.networks["generator"]).vocoder
        if former.kind != "istft" or former.layers != self.config.layers or former.lookahead < self.config.lookahead:
            raise TrainingError(
                f"{path}: got {former.kind} with {former.layers} layers and {former.lookahead} frames of look-ahead,"
                f" expected istft with {self.config.layers} layers and {self.config.lookahead} frames or more, as the"
                " recipe's"
            )
        start = cast(IstftNetwork, trained.network)
        if self._contrast is not None and start.contrast is None:
            assert self._coded.lost is not None
            start = with_contrast(start, self._coded.lost, self._contrast)
        weights = with_lookahead(start.state_dict(), former, self.config)
        self._make_room(weights)
        if unlike(network.state_dict(), weights):
            raise TrainingError(
                f"{path}: holds another network than the recipe's; use the recipe that it was trained with"
            )
        network.load_state_dict(weights)
        self.average.load_state_dict(self.networks["generator"].state_dict())
        whole = folder.parent if folder.parent.name == "joint" else folder  # that stage keeps all in one checkpoint
        if (whole / CHECKPOINT).is_file():
            self._take_discriminators(load_checkpoint(whole / CHECKPOINT, self.fabric.device))

    def _istft(self, network: nn.Module) -> IstftNetwork:
        return cast(JointNetwork, network).vocoder

    def _take_discriminators(self, state: Mapping[str, Any]) -> None:
        """Where they have learned and are as many, of the same sizes, periods and resolutions, which weights alone do
        not tell."""
        judging, trained = self.networks.get("discriminators"), state.get("networks", {}).get("discriminators")
        own, former = self.identity()["vocoder"], state["identity"].get("vocoder", {})
        same = all(own.get(name) == former.get(name) for name in FAMILIES)
        if judging and trained and have_learned(state) and same and not unlike(judging.state_dict(), trained):
            judging.load_state_dict(trained)

    def vocoder(self) -> IstftVocoder:
        """The averaged vocoder, ready for use."""
        network = cast(JointNetwork, self.average).vocoder
        return IstftVocoder(network, self.features, self.config.refinement)

    def save_weights(self) -> None:
        """Write the model with its new decoder, and the vocoder beside it."""
        average = cast(JointNetwork, self.average)
        network = cast(ConvNextConfig, self._coded.codec.recipe.network)
        replace_decoder(self._coded.path, self.folder / MODEL, average.decoder, lookahead=network.decoder_lookahead)
        (self.folder / "vocoder").mkdir(exist_ok=True)
        save_vocoder(
            self.folder / "vocoder" / VOCODER,
            average.vocoder,
            config=self.config,
            features=self.features,
            step=self.step,
            codec=self.codec,
        )

    def evaluate(self, log: TrainingLog) -> dict[str, Any]:
        """Held-out recordings, coded with half of the codebooks and decoded."""
        validation = self.validator.validate(self)
        for name, sound in validation.sounds.items():
            log.add_sound(name, sound, self.step, self.features.sample_rate)
        return {**validation.figures}

    @torch.inference_mode()
    def synthesise(self, features: Tensor) -> Tensor:
        """Features [B, F, T] of recordings, coded and decoded -> sound [B, hop T - hop / 2]."""
        codec, device = self._coded.codec, self.fabric.device
        padded = torch.stack([with_context(codec, one) for one in features]).to(device)
        codes = codec.to(device).encode(padded, codebooks=-(-codec.quantizer.codebooks // 2))
        speaker = torch.full((len(codes),), NO_SPEAKER, device=device)
        decoded = cast(JointNetwork, self.average).decoder(codec.quantizer.decode(codes), speaker)
        return self.vocoder().synthesise(decoded[:, :, : features.shape[2]], stages=codes.shape[1])

    def identity(self) -> dict[str, Any]:
        """As of the vocoder's training, with the look-ahead of the decoder."""
        return super().identity() | {
            "the encoder": self._coded.codec.sender_digest,
            "joint.decoder_lookahead": self._joint.decoder_lookahead,
            "joint.heard (set or not)": True if self._joint.heard else None,
            "contrast (of joint.heard)": self._contrast,
        }

    @property
    def _balances(self) -> bool:
        return self._joint.heard is not None or super()._balances

    def _further(self, synthesised: Tensor, recorded: Tensor) -> tuple[list[Part], dict[str, Tensor]]:
        heard = self._joint.heard
        if heard is None:
            return [], {}
        before, after = (self.features.hop_length * frames for frames in self.config.discriminators.margins)
        judged = slice(before, recorded.shape[1] - after)
        found = perceptual_loss(synthesised[:, judged], recorded[:, judged], self.features.sample_rate)
        loss = heard.disturbance * found.disturbance + heard.envelopes * found.envelopes
        return [Part(loss, heard.balance)], found._asdict()

    def _refined(self, sound: Tensor, features: Tensor, stages: list[float]) -> Tensor:
        """The sound [B, hop T] after the refinement that codes of so many stages have."""
        refinement, vocoder = self.config.refinement, self._istft(self.networks["generator"])
        section = refinement.model_dump()
        several = [refining_of(section, mean) for mean in stages]
        heard = sound
        for one in sorted({refining for refining in several if refining.iterations}):
            rows = torch.tensor([row for row, each in enumerate(several) if each == one], device=sound.device)
            refined = refine(
                sound[rows],
                features[rows],
                self.features,
                iterations=one.iterations,
                momentum=refinement.momentum,
                fades=refinement.fades,
                contrast=vocoder.contrast_of(one.contrast),
            )
            heard = heard.index_copy(0, rows, refined)
        return heard

    def _made(self, seed: int) -> Made:
        batch = self._code_crops.draw(seed)
        absent = (batch.codes < 0).all(1)
        z_q = self._quantizer.decode(batch.codes).masked_fill(absent[..., None], 0.0)
        sound, decoded = self.generator(z_q, batch.skipped, batch.louder, self.config.train.frames)
        difference = (decoded.float() - batch.features).abs().mean()
        if self._joint.heard is not None:
            sound = self._refined(sound.float(), decoded.float(), batch.stages)
        return Made(batch.sound, sound, self._joint.mel * difference, {"decoded": difference})
