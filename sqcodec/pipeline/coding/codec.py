"""`Codec`: encode and decode arrays and recordings, block by block."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from sqcodec import former_names
from sqcodec.bitstream import sqc
from sqcodec.bitstream.code_space import CodeSpace
from sqcodec.bitstream.sqc_header import BLOCK
from sqcodec.codes import Codes
from sqcodec.engine import Engine
from sqcodec.errors import CodesError
from sqcodec.model.model_header import ModelHeader, read_model
from sqcodec.pipeline.coding.encoder import Encoder
from sqcodec.pipeline.coding.engines import open_engine, open_network
from sqcodec.pipeline.coding.fitting import check_codes, index_of, speaker_for
from sqcodec.pipeline.coding.inputs import Audio, Tensor, check_several, codes_of, file_bytes, recording_of
from sqcodec.pipeline.coding.rate_control import Fitted, Goal
from sqcodec.pipeline.coding.synthesis import Said, synthesise
from sqcodec.pipeline.finding.code_spaces import space_of
from sqcodec.pipeline.finding.models import RUNS, find_for_programs, model_name
from sqcodec.pipeline.finding.publication import publish
from sqcodec.pipeline.finding.vocoders import FoundVocoder, find_vocoder, runs_of
from sqcodec.recording import ArrayRecording, Recording
from sqcodec.resampling import check_rate, resampled
from sqcodec.runtime.threads import one_thread
from sqcodec.stamps import Stamp, stamp_of
from sqcodec.vocoder.interface import VocoderPrecision

if TYPE_CHECKING:
    import torch

    from sqcodec.model.spectrogram_codec import SpectrogramCodec

_Samples = NDArray[np.float32]


def load(model: str | Path | None = None, *, device: str = "auto") -> "Codec":
    """The codec of a model file, a run folder, or the name of a run or of a model that ships.

    None: the model of SQCODEC_MODEL, else the one that ships, in whatever folder the program runs; what was trained
    there must be named. device: `auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:N`. Raises ModelError: it is
    missing or damaged.
    """
    return open_codec(find_for_programs(model).path, device, program=True)


def open_codec(path: Path, device: str, precision: VocoderPrecision = "float32", *, program: bool = False) -> "Codec":
    """The codec of a model file; precision: of its vocoder's network. program: vocoders that were trained count where
    they lie in the runs/ of the model, not where they lie in that of the working folder.

    Raises ModelError: it is missing or damaged; SqcodecError: no such device.
    """
    contents = read_model(path)
    space = space_of(contents.header, contents.tables, contents.context)
    return Codec(contents.header, space, open_engine(contents, device), device, precision, program=program)


class Codec:
    """A trained model for encoding and decoding. It works in blocks: memory does not grow with the length."""

    def __init__(
        self,
        header: ModelHeader,
        space: CodeSpace,
        engine: Engine,
        device: str,
        precision: VocoderPrecision = "float32",
        *,
        program: bool = False,
    ) -> None:
        self._precision, self._program = precision, program
        self.header, self.space, self.engine, self.path = header, space, engine, header.path
        self.features, self.speakers, self.fingerprint = header.features, header.speakers, header.fingerprint
        self.sample_rate = header.features.sample_rate  # Hz, of the networks' input and output
        self.bit_rate = header.bit_rate(len(header.codewords))
        self.encoder = Encoder(header, space, engine, lambda: self.model)
        self._device, self._vocoders = device, dict[str | None, _Loaded]()
        self._folder = Path() if self.path.is_absolute() else Path.cwd()

    def __reduce__(self) -> Any:
        """For other processes: they open the model file themselves."""
        open_alike = partial(open_codec, program=self._program)
        return open_alike, (self._folder / self.path, self._device, self._precision)

    @cached_property
    def model(self) -> "SpectrogramCodec":
        """The networks in torch. Raises SqcodecError: torch is not installed."""
        return open_network(self.engine, self._place, self._device, self.fingerprint)

    @property
    def _place(self) -> Path:
        """The model file's path, also where the program has gone to another folder."""
        return self.path if self.path.is_absolute() or Path.cwd() == self._folder else self._folder / self.path

    @property
    def device(self) -> "torch.device":
        """The device of `model`."""
        return next(self.model.parameters()).device

    def __repr__(self) -> str:
        lowest, highest = (self.nominal_bitrates or (0,))[0], round(self.bit_rate)
        rates = f"{highest} bit/s" if lowest == highest else f"{lowest} to {highest} bit/s"
        speakers = f"{len(self.speakers)} speakers" if self.speakers else "any speaker"
        return (
            f"<Codec {model_name(self.path)}: {self.sample_rate} Hz, {self.codebooks} codebooks, {self.frame_rate:g}"
            f" codes/s each, {rates} ({self.header.default_bit_rate:.0f} by default), {speakers}>"
        )

    @property
    def frame_rate(self) -> float:
        """Codes per second, in each codebook."""
        return self.features.code_rate

    @property
    def codebooks(self) -> int:
        """Number of codebooks K; 0 for a plain VAE."""
        return len(self.header.codewords)

    @property
    def nominal_bitrates(self) -> tuple[int, ...]:
        """Bit/s at fixed width with 1, 2, ... codebooks; files are entropy-coded and smaller."""
        return self.header.bit_rates

    def embeddings(self) -> _Samples:
        """The codewords [K, V, D] float32; what the decoder takes is the sum over the codebooks."""
        return self.engine.embeddings()

    @overload
    def encode(
        self,
        audio: Audio,
        sample_rate: int | None = None,
        *,
        speaker: str | None = None,
        codebooks: int | None = None,
        bitrate: float | None = None,
    ) -> Codes: ...

    @overload
    def encode(
        self,
        audio: list[Any],
        sample_rate: int | None = None,
        *,
        speaker: str | None = None,
        codebooks: int | None = None,
        bitrate: float | None = None,
    ) -> list[Codes]: ...

    def encode(
        self,
        audio: Audio | list[Any],
        sample_rate: int | None = None,
        *,
        speaker: str | None = None,
        codebooks: int | None = None,
        bitrate: float | None = None,
    ) -> Codes | list[Codes]:
        """Encode a recording: an array of NumPy or torch with its sample_rate (Hz), or a path. A list gives a list.

        audio: [N], [C, N] or [N, C], where an axis of at most 8 is the channels, which are mixed down to one; floats in
        -1 to 1, int16 or int32; or a path, or a data set's row with `array` and `sampling_rate`. speaker: a name; None:
        the nearest speaker of the model. codebooks: how many codebooks to use. bitrate: bit/s of the `.sqc` that `pack`
        makes, where the model has true rates (`has_true_rates`), else nominal, of whole codebooks. Without both: as
        `sqcodec encode`, 4 codebooks of speech16k.

        A list is read and coded part by part; in torch, several recordings at once. Its codes are those of the items
        one by one: all of them in NumPy, and in torch but where two codewords tie within rounding.

        Raises AudioError: no recording, no sample rate, empty, or not finite; CodesError: no such speaker, or fewer
        codebooks; ModelError: the model is a plain VAE.

        Examples:
            >>> codec = sqcodec.load()
            >>> codec.encode("in.wav").indices.shape
            (4, 132)
            >>> codec.encode(numpy.zeros(16000), 16000, codebooks=2).indices.shape
            (2, 51)
            >>> 8 * len(codec.pack(codec.encode("in.wav", bitrate=800))) / codec.encode("in.wav").seconds < 820
            True
        """
        if isinstance(audio, list | tuple):
            several = [recording_of(item, sample_rate) for item in audio]
        else:
            several = [recording_of(audio, sample_rate)]
        if bitrate is not None and codebooks is None and self.has_true_rates:
            fitted = self.encoder.encode_for(several, Goal(bit_rate=bitrate), speaker=speaker, block=BLOCK)
            codes = [each.codes for each in fitted]
        else:
            codes = list(self.encoder.encode(several, speaker=speaker, codebooks=codebooks, bit_rate=bitrate))
        return codes if isinstance(audio, list | tuple) else codes[0]

    def encode_recording(
        self,
        recording: Recording,
        *,
        speaker: str | None = None,
        codebooks: int | None = None,
    ) -> Codes:
        """As `encode` with whole codebooks, for a recording that is read block by block; a long one is read twice."""
        return next(self.encoder.encode([recording], speaker=speaker, codebooks=codebooks, bit_rate=None))

    def encode_for(self, recording: Recording, goal: Goal, *, speaker: str | None = None, block: int = BLOCK) -> Fitted:
        """As `encode_recording`, with the codes that fit a bit rate, a quality or a size in bytes.

        block: codes a book in a block of the file. Memory grows with the recording, by 350 MB an hour. Raises
        CodesError: the model has no context model, or no file is as small; otherwise as `encode_recording`.
        """
        return next(self.encoder.encode_for([recording], goal, speaker=speaker, block=block))

    @property
    def has_true_rates(self) -> bool:
        """Whether files of any bit rate can be made: with a context model."""
        return self.encoder.has_true_rates

    def codebooks_for(self, *, codebooks: int | None, bit_rate: float | None) -> int:
        """Number of codebooks to use: `codebooks`, else by a nominal bit_rate (bit/s), else by the recipe, else all.

        Raises CodesError: both are given, the model has fewer, or one codebook exceeds the bit rate.
        """
        return self.encoder.codebooks_for(codebooks=codebooks, bit_rate=bit_rate)

    @overload
    def decode(
        self,
        codes: Codes | NDArray[Any] | Tensor,
        sample_rate: int | None = None,
        *,
        speaker: str | None = None,
        vocoder: str | None = None,
    ) -> _Samples: ...

    @overload
    def decode(
        self,
        codes: list[Any],
        sample_rate: int | None = None,
        *,
        speaker: str | None = None,
        vocoder: str | None = None,
    ) -> list[_Samples]: ...

    def decode(
        self,
        codes: Codes | NDArray[Any] | Tensor | list[Any],
        sample_rate: int | None = None,
        *,
        speaker: str | None = None,
        vocoder: str | None = None,
    ) -> _Samples | list[_Samples]:
        """Decode to sound [codes.samples_at(sample_rate)] float32 in -1 to 1, at the stored level. A list gives a list.

        A list is decoded part by part; in torch, several at once, within 1e-4 of full scale of the items one by one.

        codes: `Codes`, or bare indices [K, T] or [T] (length of whole codes, gain 1). sample_rate: Hz; None: the
        model's. speaker: a name; None: the one stored. vocoder: a kind, a file or a run; None: the best one with
        weights.

        Raises CodesError: the codes do not fit the model, or no such speaker; ModelError: another model wrote the
        codes; VocoderError: no such vocoder, or it takes other features.

        Examples:
            >>> codec.decode(codec.encode("in.wav")).shape
            (42059,)
        """
        several = codes if isinstance(codes, list | tuple) else [codes]
        if several is codes:
            check_several(several, self.codebooks)
        rate = check_rate(self.sample_rate if sample_rate is None else sample_rate)
        stored = [codes_of(each, self.features) for each in several]
        made = self.decode_each(stored, speaker=speaker, vocoder=vocoder)
        sounds = [self._whole(blocks, each, rate) for blocks, each in zip(made, stored, strict=True)]
        return sounds if several is codes else sounds[0]

    def _whole(self, blocks: Iterable[_Samples], codes: Codes, rate: int) -> _Samples:
        """The sound of the codes at `rate`, clipped; blocks: as of `decode_blocks`."""
        sound: _Samples = np.concatenate(list(resampled(blocks, self.sample_rate, rate)))
        return sound[: codes.samples_at(rate)].clip(-1.0, 1.0)

    def pack(self, codes: Codes) -> bytes:
        """The bytes of a `.sqc` file. Raises CodesError: the codes do not fit the model; ModelError: another model made
        them."""
        if not isinstance(codes, Codes):
            raise CodesError(
                f"pack: got {type(codes).__name__}, expected the Codes of one recording, as `encode` gives"
            )
        check_codes(codes, self.header, "codes")
        with one_thread():
            return sqc.pack(codes, self.space)

    @overload
    def unpack(self, content: bytes) -> Codes: ...

    @overload
    def unpack(self, content: Sequence[bytes]) -> list[Codes]: ...

    def unpack(self, content: bytes | Sequence[bytes]) -> Codes | list[Codes]:
        """The codes in the bytes of a `.sqc` file. A list gives a list, which is read more quickly than one by one.

        Raises CodesError: one is damaged, or another model wrote it.
        """
        if not isinstance(content, list | tuple):
            return sqc.unpack(file_bytes(content), self.space, where="codes")
        contents, found = [file_bytes(one) for one in content], list[Codes]()
        names = [f"codes[{number}]" for number in range(len(contents))]
        for one in sqc.unpack_each(contents, self.space, names=names):
            if isinstance(one, CodesError):
                raise one
            found.append(one)
        return found

    def decode_blocks(
        self, codes: Codes, *, speaker: str | None = None, vocoder: str | None = None, where: str = "codes"
    ) -> Iterator[_Samples]:
        """As `decode`, in blocks [n] of 10 or 20 s that are not clipped to -1 to 1. Errors name `where`."""
        return chain.from_iterable(self.decode_each([codes], speaker=speaker, vocoder=vocoder, where=where))

    def decode_each(
        self, several: Sequence[Codes], *, speaker: str | None = None, vocoder: str | None = None, where: str = "codes"
    ) -> Iterator[Iterator[_Samples]]:
        """As `decode_blocks`, of each of several; the blocks of one must be taken before those of the next."""
        for codes in several:
            check_codes(codes, self.header, where)
        speakers = [self.speaker_index(self.speaker_of(codes, speaker, where)) for codes in several]
        return synthesise(list(map(Said, several, speakers)), self.engine, self.vocoder(vocoder).vocoder)

    def vocoder(self, name: str | None) -> FoundVocoder:
        """The vocoder of a kind, a file or a run; None: the best. See `find_vocoder`. Raises VocoderError.

        Its weights are read once, and again when its file is another one; without the file those that were read stay.
        """
        loaded = self._vocoders.get(name)
        if loaded is None or loaded.is_replaced:
            found = find_vocoder(
                name,
                self.features,
                device=self._device,
                settings=self.header.recipe.get("vocoder"),
                codec=self.fingerprint,
                beside=self._place,
                runs=runs_of(self._place) if self._program else RUNS,
                precision=self._precision,
            )
            path = found.path and found.path.absolute()
            loaded = self._vocoders[name] = _Loaded(found, path, stamp_of(path) if path else None)
        return loaded.found

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        licence: str | None = None,
        language: str | None = None,
        datasets: Sequence[str] = (),
    ) -> None:
        """Write the model to a folder in the manner of the Hugging Face Hub: weights, vocoder, config.json, model card.

        `sqcodec.load` opens it wherever it lies. The other arguments are for the card's metadata; None: as a card
        beside the model has them. folder: that of the model itself gets what it lacks. Raises ModelError: it cannot be
        written.
        """
        publish(
            self._place, self.vocoder(None).path, Path(folder), licence=licence, language=language, datasets=datasets
        )

    def speaker_of(self, codes: Codes, speaker: str | None, where: str = "codes") -> str | None:
        """The speaker to decode with, as `speaker_for`. Raises CodesError: none is given, and the model has several."""
        return speaker_for(codes, speaker, self.header, where)

    def speaker_index(self, speaker: str | None) -> int:
        """The model's index of a speaker. Raises CodesError: the model has no such speaker."""
        return index_of(speaker, self.header)

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


class _Loaded(NamedTuple):
    """A vocoder whose weights were read, and the file that they are from, if any."""

    found: FoundVocoder
    path: Path | None
    stamp: Stamp | None

    @property
    def is_replaced(self) -> bool:
        """Whether the file is another one by now."""
        now = stamp_of(self.path) if self.path else None
        return now is not None and now != self.stamp
