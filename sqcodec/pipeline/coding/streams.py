"""Live coding: samples in, packets of 40 ms out; packets in, some of them lost, samples out."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream import packets
from sqcodec.bitstream.packets import PacketCoder
from sqcodec.errors import AudioError, CodesError, ModelError
from sqcodec.features.mel_stream import MelStream
from sqcodec.pipeline.coding.codec import Codec, load
from sqcodec.pipeline.coding.concealment import Concealment, Step
from sqcodec.pipeline.coding.modes import check, codebooks_of, mode_of, parse
from sqcodec.pipeline.coding.silence import SilenceDetector
from sqcodec.recording import check_level
from sqcodec.resampling import Resampler, check_rate
from sqcodec.runtime.istft_vocoder import NumpyIstftVocoder
from sqcodec.runtime.numpy_engine import NumpyEngine
from sqcodec.runtime.search import search
from sqcodec.runtime.streaming import StreamedDecoder, StreamedEncoder, StreamedInverseStft, StreamedIstftNetwork
from sqcodec.runtime.threads import one_thread

_Samples = NDArray[np.float32]
_FULL_SCALE = 32768.0


class StreamEncoder:
    """Samples as they come -> packets of 40 ms, each as soon as the model's look-ahead allows.

    model: a `Codec`, or what `load` takes. bitrate: nominal, bit/s; None: the model's default. mode: both in a word,
    `speech16k-2/1600`. sample_rate: Hz of the samples; None: the model's. The codes are those of `Codec.encode`,
    whatever the lengths of the pieces; the last packet repeats the last code where there is an odd number. Its state
    has a constant size, and an instance codes one recording. dtx: in silence packets are empty, and one in ten is a
    byte, the level. protect: each packet also has the first stage of the one so many before it; 0: none. Raises
    ModelError: a model whose networks or features cannot be streamed; CodesError: no such bitrate, mode or protect;
    AudioError: no such rate.

    >>> encoder = sqcodec.StreamEncoder("speech16k", bitrate=1600)
    >>> [len(packet) for packet in encoder.push(numpy.zeros(6400, numpy.float32))]
    [8, 8, 8, 8, 8, 8, 8]
    """

    def __init__(
        self,
        model: "Codec | str | None" = None,
        *,
        bitrate: float | None = None,
        mode: str | None = None,
        sample_rate: int | None = None,
        dtx: bool = False,
        protect: int = 0,
    ) -> None:
        if mode is not None and bitrate is not None:
            raise CodesError(f"mode {mode!r}: names the rate, got bitrate {bitrate} as well; leave one of them out")
        codec, engine, agreed = _streamable(model, mode)
        self.codec, self._count = codec, codebooks_of(codec, agreed or bitrate)
        self.sample_rate = codec.sample_rate if sample_rate is None else sample_rate
        self._features, self._resampler = MelStream(codec.features), _resampler(self.sample_rate, codec.sample_rate)
        self._codebook = engine.codebook[: self._count]
        self._encoder = StreamedEncoder(engine.encoder)
        self._last: _Samples | None = None  # the last frame [1, F]
        self._frames, self._ended = 0, False
        self._codes = np.zeros((self._count, 0), np.uint16)
        self._coder = PacketCoder(engine.codebook)
        self._silence = SilenceDetector(codec.features) if dtx else None
        self._sent = deque(
            [np.zeros((self._count, packets.CODES), np.uint16)] * _checked_protect(protect), maxlen=protect
        )

    @property
    def mode(self) -> str:
        """Model and nominal rate, which a receiver must have as well: `speech16k-2/1600`."""
        return str(mode_of(self.codec, self._count))

    @property
    def packet_bytes(self) -> int:
        """Bytes of each packet that is not of silence."""
        return packets.CODES * (self._count + (self._sent.maxlen != 0))

    @property
    def packet_samples(self) -> int:
        """Samples at `sample_rate` that each packet stands for."""
        return packets.CODES * self.codec.features.samples_per_code * self.sample_rate // self.codec.sample_rate

    @property
    def delay(self) -> int:
        """Samples, at the model's rate, behind those of a packet that it waits for."""
        return self.codec.features.samples_per_code * self._encoder.ahead + self._features.ahead

    def push(self, samples: NDArray[np.float32] | NDArray[np.int16]) -> list[bytes]:
        """Samples [n], floats in -1 to 1 or int16 -> the packets that are certain by now.

        Raises AudioError: another type or shape, or values that are not finite or no sound; the stream can go on.
        """
        self._check()
        floats = _checked(samples)
        with one_thread():
            self._add(self._features.push(self._resampler.push(floats)))
        return list(self._packets())

    def flush(self) -> list[bytes]:
        """The packets of the rest; the encoder has ended then."""
        self._check()
        self._ended = True
        with one_thread():
            self._add(self._features.push(self._resampler.flush()))
            self._add(self._features.flush())
            if self._last is None:
                return []
            per_code = self.codec.features.frames_per_code
            repeated = -self._frames % per_code + 1
            self._search(self._encoder.push(np.repeat(self._last, repeated, axis=0)))
            self._search(self._encoder.flush())
        missing = -self._codes.shape[1] % packets.CODES
        self._codes = np.concatenate([self._codes, self._codes[:, -1:].repeat(missing, axis=1)], axis=1)
        return list(self._packets())

    def _check(self) -> None:
        if self._ended:
            raise CodesError("the stream has ended; make another StreamEncoder for the next recording")

    def _add(self, features: _Samples) -> None:
        """features [F, t]: the next frames of the recording."""
        frames = np.ascontiguousarray(features.T)
        if not len(frames):
            return
        if self._silence is not None:
            self._silence.add(frames)
        first = self._last is None
        self._last, self._frames = frames[-1:], self._frames + len(frames)
        self._search(self._encoder.push(np.concatenate([frames[:1], frames]) if first else frames))

    def _search(self, latents: _Samples) -> None:
        if len(latents):
            self._codes = np.concatenate([self._codes, search(latents, self._codebook)], axis=1)

    def _packets(self) -> Iterator[bytes]:
        while self._codes.shape[1] >= packets.CODES:
            yield self._packet(self._codes[:, : packets.CODES])
            self._codes = self._codes[:, packets.CODES :]

    def _packet(self, codes: NDArray[np.uint16]) -> bytes:
        copied = self._sent[0] if self._sent else None
        self._sent.append(codes)
        silent = None if self._silence is None else self._silence.packet()
        return self._coder.pack(codes, copied) if silent is None else silent


class StreamDecoder:
    """Packets as they come -> sound; None stands for a lost packet, which is concealed.

    model: as `StreamEncoder`. mode: as there; packets of another rate are refused then, else each may have its own.
    sample_rate: Hz of the sound; None: the model's. The sound is that of `Codec.decode` by
    the model's vocoder without refinement, which would wait for more frames. A lost packet repeats the last codes, and
    from the second one in a row on the sound fades by 4 dB a packet. An empty packet or one of one byte is silence with
    comfort noise. protect: as the sender's; the sound comes so many packets later, and copies stand for lost packets.

    >>> decoder = sqcodec.StreamDecoder("speech16k")
    >>> len(decoder.push(bytes(8))), len(decoder.push(None))
    (0, 0)
    """

    def __init__(
        self,
        model: "Codec | str | None" = None,
        *,
        mode: str | None = None,
        sample_rate: int | None = None,
        protect: int = 0,
    ) -> None:
        codec, engine, agreed = _streamable(model, mode)
        self._mode, self._size = mode, agreed and packets.CODES * (codebooks_of(codec, agreed) + (protect > 0))
        vocoder = codec.vocoder(None).vocoder
        if not isinstance(vocoder, NumpyIstftVocoder):
            raise ModelError(f"{codec.path}: its vocoder is {vocoder.kind}, only istft can be streamed")
        self.codec, self.sample_rate = codec, codec.sample_rate if sample_rate is None else sample_rate
        self._resampler = _resampler(codec.sample_rate, self.sample_rate)
        self._received = Concealment(engine.codebook, protect=_checked_protect(protect))
        self._decoder = StreamedDecoder(engine.decoder)
        self._vocoder = StreamedIstftNetwork(vocoder.network)
        self._inverse = StreamedInverseStft(vocoder.n_fft, codec.features.hop_length)
        self._early = codec.features.hop_length // 2  # samples before the first one, which is in the middle of a hop
        self._none = np.zeros((0, engine.codebook.shape[2]), np.float32)  # latents of no packet
        self._steps: deque[Step] = deque()  # of each code whose features are not decoded yet
        self._last = np.zeros((0, codec.features.n_mels), np.float32)
        self._ended = False

    @property
    def delay(self) -> int:
        """Samples, at the model's rate, that the sound so far lacks of that of the packets so far."""
        features, inverse = self.codec.features, self._inverse.ahead + self.codec.features.hop_length // 2
        codes = self._decoder.ahead + packets.CODES * self._received.protect
        return features.samples_per_code * codes + features.hop_length * self._vocoder.ahead + inverse

    def push(self, packet: bytes | None) -> _Samples:
        """The samples [n] that are certain now. Raises CodesError: a packet of another size."""
        return self.push_all([packet])

    def push_all(self, received: Iterable[bytes | None]) -> _Samples:
        """As `push`, for several packets at once, which is quicker. With one of another size, none of them is taken."""
        self._check()
        received = list(received)
        for packet in received:
            self._received.check(packet)
            if self._size and packet is not None and len(packet) not in (0, 1, self._size):
                raise CodesError(f"got a packet of {len(packet)} bytes, those of mode {self._mode} have {self._size}")
        with one_thread():
            steps = [step for packet in received for step in self._received.push(packet)]
            return self._out(self._rendered(self._features(steps)))

    def flush(self) -> _Samples:
        """The rest; the decoder has ended then."""
        self._check()
        self._ended = True
        with one_thread():
            features = np.concatenate(
                [self._features([*self._received.flush()]), self._levelled(self._decoder.flush())]
            )
            last = np.concatenate([self._last, features])[-1:]  # makes what lies more than half a hop behind the last
            parts = [self._rendered(np.concatenate([features, last])), self._inverse.push(self._vocoder.flush())]
            return self._out(np.concatenate([*parts, self._inverse.flush()]), last=True)

    def _check(self) -> None:
        if self._ended:
            raise CodesError("the stream has ended; make another StreamDecoder for the next recording")

    def _features(self, steps: Sequence[Step]) -> _Samples:
        """Features [t, F] that are certain with some packets more."""
        self._steps.extend(step for step in steps for _ in range(packets.CODES))
        return self._levelled(self._decoder.push(np.concatenate([self._none, *(step.z for step in steps)])))

    def _levelled(self, features: _Samples) -> _Samples:
        """Features [t, F] of the next codes, lowered where packets were lost, at the level of a silence."""
        per_code, floor = self.codec.features.frames_per_code, math.log(self.codec.features.floor)
        for first in range(0, len(features), per_code):
            step, code = self._steps.popleft(), features[first : first + per_code]
            if step.fade or step.level is not None:
                change = -step.fade if step.level is None else floor + step.level - float(code.mean())
                features[first : first + per_code] = np.maximum(code + np.float32(change), np.float32(floor))
        self._last = features[-1:] if len(features) else self._last
        return features

    def _rendered(self, features: _Samples) -> _Samples:
        return self._inverse.push(self._vocoder.push(features))

    def _out(self, sound: _Samples, *, last: bool = False) -> _Samples:
        early = min(self._early, len(sound))
        self._early -= early
        pieces = [self._resampler.push(sound[early:]), *([self._resampler.flush()] if last else [])]
        return np.concatenate(pieces).clip(-1.0, 1.0)


def _resampler(rate: int, to_rate: int) -> Resampler:
    """Raises AudioError: no such rates."""
    return Resampler(check_rate(rate), check_rate(to_rate))


def _checked(samples: NDArray[Any]) -> _Samples:
    """Samples [n] in -1 to 1. Raises AudioError: no such array, or no sound."""
    if not isinstance(samples, np.ndarray) or samples.ndim != 1:
        what = f"an array {[*samples.shape]}" if isinstance(samples, np.ndarray) else type(samples).__name__
        raise AudioError(f"got {what}, expected one channel of samples [n] as an array of NumPy")
    is_int16 = samples.dtype.newbyteorder("=") == np.int16
    if samples.dtype.kind != "f" and not is_int16:
        raise AudioError(f"got samples of {samples.dtype}, expected floats in -1 to 1, or int16")
    if is_int16:
        return np.asarray(samples / np.float32(_FULL_SCALE), np.float32)
    if not np.isfinite(samples).all():
        raise AudioError("got samples that are not finite; expected -1 to 1: send zeros instead")
    check_level(samples)
    return np.asarray(samples, np.float32)


def _checked_protect(protect: int) -> int:
    if not isinstance(protect, int) or protect < 0:
        raise CodesError(f"`protect` {protect!r}: expected a number of packets, 0 for none")
    return protect


def _streamable(model: "Codec | str | None", mode: str | None) -> tuple[Codec, NumpyEngine, int | None]:
    """The model that is given or named by a mode, its networks, and the mode's rate (bit/s).

    Raises ModelError: networks, features or codebooks that cannot be streamed; CodesError: no mode of the model, or
    both are given.
    """
    agreed = None if mode is None else parse(mode)
    if agreed and model is not None:
        raise CodesError(f"mode {mode!r}: names the model, got {model!r} as well; leave one of them out")
    codec = model if isinstance(model, Codec) else load(agreed.model if agreed else model)
    if agreed:
        check(agreed, codec)
    if not isinstance(codec.engine, NumpyEngine) or set(codec.header.codewords) != {packets.CODEWORDS}:
        raise ModelError(
            f"{codec.path}: cannot be streamed, expected a model with ConvNeXt networks and residual codebooks of"
            f" {packets.CODEWORDS} codewords on the CPU; speech16k is one"
        )
    return codec, codec.engine, agreed.bit_rate if agreed else None
