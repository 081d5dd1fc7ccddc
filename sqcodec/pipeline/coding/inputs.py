"""What `Codec.encode` and `Codec.decode` take: arrays of NumPy and torch, paths, data sets' rows, bare codes."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.foreign import LONGEST_MARK, marked
from sqcodec.codes import Codes
from sqcodec.corpus.audio import CANCELLED, AudioSource, RawFormat
from sqcodec.errors import AudioError, CodesError, SqcodecError
from sqcodec.recording import ArrayRecording, Recording, check_level
from sqcodec.resampling import check_rate
from sqcodec.spectrogram import FeatureConfig


class Tensor(Protocol):
    """A tensor of torch, which is known by its methods: torch itself is not needed."""

    def detach(self) -> Any:
        """The tensor without its gradient."""


Audio = str | os.PathLike[str] | NDArray[Any] | Tensor | Mapping[str, Any] | Recording
_MAX_CHANNELS = 8


def recording_of(audio: Audio, sample_rate: int | None) -> Recording:
    """A recording to encode: a path, a row of a data set (`array`, `sampling_rate`), an array or a tensor.

    An array is [N], [C, N] or [N, C], where an axis of at most 8 is the channels; of floats in -1 to 1, int16 or int32.
    sample_rate: Hz, of arrays alone. Raises AudioError: none of these, no rate or two, empty, or not finite.
    """
    if isinstance(audio, str | os.PathLike):
        return _of_own_rate(AudioSource(Path(audio)), sample_rate, str(audio))
    if isinstance(audio, Mapping):
        if not {"array", "sampling_rate"} <= audio.keys():
            raise AudioError(f"got a mapping of {', '.join(map(str, audio))}; expected `array` and `sampling_rate`")
        recording = ArrayRecording(_mono(_array(audio["array"])), check_rate(audio["sampling_rate"]))
        return _of_own_rate(recording, sample_rate, "a row of a data set")
    if hasattr(audio, "blocks") and hasattr(audio, "rate"):
        return _of_own_rate(cast("Recording", audio), sample_rate, "a recording")
    samples = _mono(_array(audio))
    if sample_rate is None:
        raise AudioError("the sample rate of the array is missing; give it in Hz: codec.encode(samples, 16000)")
    return ArrayRecording(samples, check_rate(sample_rate))


def codes_of(codes: Codes | NDArray[Any] | Tensor, features: FeatureConfig) -> Codes:
    """Codes to decode: `Codes`, or bare indices [K, T] or [T], taken as whole codes at gain 1.

    Raises CodesError: neither.
    """
    if isinstance(codes, Codes):
        return codes
    values = _array(codes, CodesError, "codes")
    if values.dtype.kind not in "iu" or values.ndim not in (1, 2) or not values.size:
        raise CodesError(f"got an array {[*values.shape]} of {values.dtype}, expected codes: integers [K, T] or [T]")
    if values.min() < 0 or values.max() > 65535:
        raise CodesError(f"got codes {values.min()} to {values.max()}, expected them within 0 to 65535")
    indices = np.ascontiguousarray(np.atleast_2d(values), dtype=np.uint16)
    samples = features.samples_per_code * indices.shape[1]
    return Codes(
        indices=indices, samples=samples, sample_rate=features.sample_rate, gain=1.0, speaker=None, fingerprint=None
    )


def file_bytes(content: object) -> bytes:
    """What is to be unpacked, as bytes. Raises CodesError: it is something else."""
    if not isinstance(content, bytes | bytearray | memoryview):
        raise CodesError(f"unpack: got {type(content).__name__}, expected the bytes of a .sqc file")
    return bytes(content)


def check_several(several: Sequence[Any], codebooks: int) -> None:
    """Raise CodesError where a list holds the rows of one recording's codes: each would be decoded by the first
    codebook."""
    for item in several:
        of_lists = isinstance(item, list | tuple)
        if of_lists or (codebooks > 1 and getattr(item, "ndim", 0) == 1):
            raise CodesError(
                f"got a list of {'lists' if of_lists else 'arrays [T]'}, which would be several recordings; for one"
                " recording give an array [K, T], as numpy.array makes of its rows, for several a list of those"
            )


def refuse_header(path: Path, raw: RawFormat | None) -> None:
    """Raises AudioError: the recording is said to have no header, and begins with one, which would be taken for
    sound."""
    if raw is None or not path.is_file():  # what is missing is for the reader to say
        return
    with path.open("rb") as file:
        what = marked(file.read(LONGEST_MARK))
    if what:
        raise AudioError(
            f"{path}: begins as {what} does, which is no raw samples; leave out `raw`, the header says all"
        )


def _of_own_rate(recording: Recording, sample_rate: int | None, name: str) -> Recording:
    if sample_rate is not None and check_rate(sample_rate) != recording.rate:
        raise AudioError(
            f"{name}: got {sample_rate} Hz, but its own rate is {recording.rate} Hz; leave sample_rate out"
        )
    return recording


def _array(values: Any, error: type[SqcodecError] = AudioError, what: str = "samples") -> NDArray[Any]:
    """An array of NumPy or a tensor, in NumPy."""
    if hasattr(values, "detach") and hasattr(values, "cpu"):  # files can be detached, too
        tensor = values.detach().cpu()
        values = tensor.float().numpy() if tensor.is_floating_point() else tensor.numpy()  # bfloat16 is unknown there
    if isinstance(values, list | tuple) and values and isinstance(values[0], int | float):
        values = np.asarray(values)
    if not hasattr(values, "dtype"):
        raise error(
            f"got {type(values).__name__}, expected {what} as an array of NumPy or a tensor of torch"
            + (", or a path" if what == "samples" else "; decode_file takes files, unpack their bytes")
        )
    return np.asarray(values)


def _mono(values: NDArray[Any]) -> NDArray[np.float32]:
    """[N], [C, N] or [N, C] of any type -> one channel [N] float32 in -1 to 1."""
    shape, kind = [*values.shape], values.dtype
    if kind.kind != "f" and kind.newbyteorder("=") not in (np.int16, np.int32):
        raise AudioError(
            f"got samples of {kind}, expected floats in -1 to 1, int16 or int32; divide by the value of full scale"
        )
    if not values.ndim:
        raise AudioError(
            "got a number, expected samples [N]; a list is several recordings: make an array of its numbers"
        )
    if not values.size:
        raise AudioError(f"got an array {shape}: empty; expected at least one sample")
    channels = values[None] if values.ndim == 1 else _channels_first(values)
    scale = np.float32(1.0 if kind.kind == "f" else 2.0 ** (8 * kind.itemsize - 1))
    if not np.isfinite(channels).all():
        raise AudioError("got samples that are not finite: NaN or infinity; repair or leave out the recording")
    if kind.kind == "f":
        check_level(channels)
    return _mixed(channels.astype(np.float32) / scale)


def _channels_first(values: NDArray[Any]) -> NDArray[Any]:
    """[C, N] or [N, C] -> [C, N]."""
    shape = [*values.shape]
    if values.ndim != 2:
        raise AudioError(
            f"got an array {shape}, expected [N], [C, N] or [N, C]; several recordings are a list of arrays"
        )
    few = [size <= _MAX_CHANNELS for size in shape]
    if all(few) or not any(few):
        which = "both axes are" if all(few) else "neither axis is"
        raise AudioError(
            f"got an array {shape}: {which} at most {_MAX_CHANNELS} long, so the channels cannot be known; give one"
            " channel [N], or several recordings as a list"
        )
    return values if few[0] else values.T


def _mixed(channels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of channels [C, N]; the loudest one where they cancel each other, as `AudioSource` has it."""
    mixed: NDArray[np.float32] = channels.mean(axis=0, dtype=np.float32)
    powers = np.square(channels, dtype=np.float64).sum(axis=1)
    loudest = int(powers.argmax())
    cancelled = np.square(mixed, dtype=np.float64).sum() < CANCELLED * powers[loudest] / len(channels) ** 2
    return np.ascontiguousarray(channels[loudest] if cancelled else mixed)
