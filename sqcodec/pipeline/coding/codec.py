"""The verbs `encode` and `decode` on arrays and on blocks: recording -> codes -> recording."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sqcodec import former_names
from sqcodec.bitstream import sqc
from sqcodec.bitstream.code_space import CodeSpace
from sqcodec.codes import Codes
from sqcodec.errors import AudioError, CodesError, ModelError
from sqcodec.features.mel import Statistics, features_of
from sqcodec.model.blockwise import decode_features, encode_features
from sqcodec.model.folding import fold_
from sqcodec.model.model_file import open_model
from sqcodec.model.spectrogram_codec import NO_SPEAKER, SpectrogramCodec
from sqcodec.pipeline.coding.speaker_search import Probe, nearest_speaker
from sqcodec.pipeline.device import find_device
from sqcodec.pipeline.finding.code_spaces import space_of
from sqcodec.pipeline.finding.models import find_for_encoding
from sqcodec.pipeline.finding.vocoders import FoundVocoder, find_vocoder
from sqcodec.recording import ArrayRecording, Recording
from sqcodec.vocoder.interface import Vocoder

_Samples = NDArray[np.float32]


def load(model: str | Path | None = None, *, device: str = "auto") -> "Codec":
    """The codec of a model file, a run folder or the name of a run; None finds it as `sqcodec encode` does.

    device: `auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:N`. Raises ModelError: not found, or broken.
    """
    return open_codec(find_for_encoding(model).path, device)


def open_codec(path: Path, device: str) -> "Codec":
    """The codec of a model file. Raises ModelError: missing or broken; SqcodecError: there is no such device."""
    opened = open_model(path, find_device(device))
    return Codec(fold_(opened.codec), path, space_of(opened.header, opened.tables))


class Codec:
    """A trained model in use. Long recordings go through in blocks: memory does not grow with their length."""

    def __init__(self, model: SpectrogramCodec, path: Path, space: CodeSpace) -> None:
        self.model, self.path, self.space = model, path, space
        self.fingerprint, self.speakers, self.bit_rate = model.fingerprint, model.speakers, model.bit_rate
        self.sample_rate = model.features.sample_rate  # Hz, of what goes into the networks and comes out
        self.device = next(model.parameters()).device
        self._vocoders: dict[str | None, FoundVocoder] = {}

    def encode(
        self,
        audio: _Samples,
        *,
        sample_rate: int | None = None,
        speaker: str | None = None,
        codebooks: int | None = None,
    ) -> Codes:
        """audio [N] in -1 to 1 at sample_rate (Hz; None: the model's) -> codes.

        speaker: whose voice it is; None finds the nearest. codebooks: how many to use; None: all.

        Raises AudioError: not one channel of floats, empty, or not finite; CodesError: the model has no such speaker.
        """
        if audio.ndim != 1 or audio.dtype.kind != "f":
            raise AudioError(
                f"got an array {audio.shape} of {audio.dtype}, expected samples [N] of float32, in -1 to 1"
            )
        samples = np.array(audio, dtype=np.float32)
        recording = ArrayRecording(samples, self.sample_rate if sample_rate is None else sample_rate)
        return self.encode_recording(recording, speaker=speaker, codebooks=codebooks)

    def encode_recording(
        self, recording: Recording, *, speaker: str | None = None, codebooks: int | None = None
    ) -> Codes:
        """As `encode`, of a recording that is read block by block; a long one twice.

        Raises ModelError: the model is a plain VAE; CodesError: it has no such speaker.
        """
        if not self.model.quantizer.codebooks:
            raise ModelError(
                f"{self.path}: a plain VAE (quantizer.kind none) has no codes; use a model with a quantizer"
            )
        if speaker is not None:
            self.speaker_index(speaker)  # its errors come before the work
        config = self.model.features
        statistics, features = features_of(recording, config)
        probe, pieces = Probe(config), []
        frames = config.frame_count(statistics.samples)
        for part, codes in encode_features(self.model, features, frames, self.device, codebooks=codebooks):
            probe.offer_(part, codes)
            pieces.append(codes.numpy().astype(np.uint16))
        return Codes(
            indices=np.concatenate(pieces, axis=1),
            samples=recording.input_samples,
            sample_rate=recording.rate,
            gain=self._gain(statistics),
            speaker=speaker or nearest_speaker(self.model, probe),
            fingerprint=self.fingerprint,
        )

    def decode(self, codes: Codes, *, speaker: str | None = None, vocoder: str | None = None) -> _Samples:
        """codes -> sound [codes.samples_at(self.sample_rate)] at the model's rate and the recording's level, -1 to 1.

        speaker: whose voice to give it; None means the one stored. vocoder: a kind, a file or a run; None means the
        best that there is. Raises CodesError: the codes do not fit the model, or no such speaker; ModelError: the codes
        are another model's; VocoderError: no such vocoder, or one for other features.
        """
        sound = np.concatenate(list(self.decode_blocks(codes, speaker=speaker, vocoder=vocoder)))
        return sound.clip(-1.0, 1.0)

    def codebooks_for(self, *, codebooks: int | None, bit_rate: float | None) -> int:
        """How many codebooks to use: as many as said, or as fit a nominal bit_rate (bit/s), or as the recipe says.

        Raises CodesError: the model has not as many, or one alone takes more.
        """
        most = self.model.quantizer.codebooks
        wanted = bit_rate or self.model.recipe.bit_rate
        if codebooks is None and wanted is not None:
            codebooks = min(most, int(wanted * most / self.bit_rate))
            if not codebooks:
                whose = (
                    f"`bit_rate` {wanted:g}" if bit_rate else f"recipe {self.model.recipe.name}: bit_rate {wanted:g}"
                )
                raise CodesError(f"{whose}: the lowest of {self.path} is {self.bit_rate / most:g} bit/s")
        if codebooks is not None and codebooks > most:
            raise CodesError(f"`codebooks` {codebooks}: {self.path} has {most}")
        return codebooks or most

    def pack(self, codes: Codes) -> bytes:
        """codes -> the bytes of a `.sqc` file. Raises CodesError: the codes do not fit the model."""
        return sqc.pack(codes, self.space)

    def unpack(self, content: bytes) -> Codes:
        """The bytes of a `.sqc` file -> codes. Raises CodesError: another model's, or damaged."""
        return sqc.unpack(content, self.space, where="codes")

    def decode_blocks(
        self, codes: Codes, *, speaker: str | None = None, vocoder: str | None = None, where: str = "codes"
    ) -> Iterator[_Samples]:
        """As `decode`, in pieces [n] of about 10 s and not limited to -1 to 1; errors name `where`."""
        self._check(codes, where)
        voice = self.speaker_index(self.speaker_of(codes, speaker, where))
        return self._rendered(codes, voice, self.vocoder(vocoder).vocoder)

    def vocoder(self, name: str | None) -> FoundVocoder:
        """The vocoder of a kind, file or run, None for the best: see `pipeline.vocoders`. Raises VocoderError."""
        if name not in self._vocoders:  # its weights are read once, not for each file of a folder
            settings, features = self.model.recipe.vocoder, self.model.features
            self._vocoders[name] = find_vocoder(
                name, features, device=self.device, settings=settings, codec=self.fingerprint
            )
        return self._vocoders[name]

    def _rendered(self, codes: Codes, voice: int, vocoder: Vocoder) -> Iterator[_Samples]:
        samples = codes.samples_at(self.sample_rate)
        if codes.gain == 0.0:  # digital silence comes back as it was
            for start in range(0, samples, 1 << 18):
                yield np.zeros(min(1 << 18, samples - start), np.float32)
            return
        for sound in vocoder.render(decode_features(self.model, codes.indices, voice), samples):
            yield sound * np.float32(codes.gain)

    def _gain(self, statistics: Statistics) -> float:
        """What the sound is multiplied by: features without utterance statistics carry their level themselves."""
        if self.model.features.dynamic_range is None:
            return 1.0 if statistics.peak else 0.0
        return statistics.gain

    def _check(self, codes: Codes, where: str) -> None:
        quantizer, (books, length) = self.model.quantizer, codes.indices.shape
        if codes.fingerprint not in (None, self.fingerprint):
            raise ModelError(
                f"{where}: written with the model {codes.fingerprint}, got {self.fingerprint} ({self.path});"
                " name the model that wrote the codes"
            )
        if not 1 <= books <= quantizer.codebooks:
            known = "1 (the model has one codebook)" if quantizer.codebooks == 1 else f"1 to {quantizer.codebooks}"
            raise CodesError(f"{where}: got {books} rows of codes, expected {known}")
        if (highest := int(codes.indices.max())) >= quantizer.codewords:
            raise CodesError(
                f"{where}: got code {highest}, expected 0 to {quantizer.codewords - 1}; these are another model's codes"
            )
        expected = self.model.features.code_count(codes.samples, codes.sample_rate)
        if codes.fingerprint is not None and length != expected:
            raise CodesError(
                f"{where}: got {length} codes, expected {expected} for {codes.samples} samples"
                f" at {codes.sample_rate} Hz"
            )

    def speaker_of(self, codes: Codes, speaker: str | None, where: str = "codes") -> str | None:
        """The voice to decode with: `speaker`, else the one stored, else the model's only one; None with a model that
        takes any voice. Raises CodesError."""
        name = speaker or codes.speaker
        if name is None and self.speakers:
            if len(self.speakers) == 1:
                return self.speakers[0]
            raise CodesError(f"{where}: no speaker is stored; choose one with `speaker`: {_some(self.speakers)}")
        return name

    def speaker_index(self, speaker: str | None) -> int:
        """The number of a speaker as the model takes it. Raises CodesError: the model has no such speaker."""
        if not self.speakers:
            if speaker is not None:
                raise CodesError(
                    f"speaker {speaker!r}: the model {self.path} takes any voice and knows none by name; leave the"
                    " speaker out, or use a model that was trained with speakers"
                )
            return NO_SPEAKER
        assert speaker is not None
        if speaker in self.speakers:
            return self.model.speaker_index(speaker)
        near = difflib.get_close_matches(speaker, self.speakers, n=3)
        raise CodesError(
            f"speaker {speaker!r}: unknown to the model {self.path}"
            + (f"; did you mean {' or '.join(near)}?" if near else ".")
            + f" It knows {len(self.speakers)}: {_some(self.speakers)}"
        )

    def voice(self, speaker: str | None) -> int:
        """The name of `speaker_index` in release 0.1.0."""
        former_names.warn("Codec.voice", "Codec.speaker_index")
        return self.speaker_index(speaker)

    def encode_blocks(
        self,
        blocks: Callable[[], Iterable[_Samples]],
        *,
        samples: Callable[[], int],
        sample_rate: int,
        speaker: str | None,
        codebooks: int | None = None,
    ) -> Codes:
        """As in release 0.1.0: `blocks()` are at the model's rate, the recording had `samples()` at sample_rate."""
        former_names.warn("Codec.encode_blocks", "Codec.encode_recording")
        recording = ArrayRecording(np.concatenate(list(blocks())), self.sample_rate)
        codes = self.encode_recording(recording, speaker=speaker, codebooks=codebooks)
        return replace(codes, samples=samples(), sample_rate=sample_rate)


def _some(names: tuple[str, ...]) -> str:
    shown = 200
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")
