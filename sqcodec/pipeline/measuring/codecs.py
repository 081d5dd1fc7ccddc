"""The codecs that `evaluate` compares: models of sqcodec, and baselines that are separate programs."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from sqcodec.errors import SqcodecError
from sqcodec.features.mel import extract
from sqcodec.metrics.mel_error import SquaredError, squared_error
from sqcodec.metrics.signals import METRIC_RATE
from sqcodec.model.model_header import model_files
from sqcodec.pipeline.coding.codec import Codec
from sqcodec.pipeline.coding.open_codecs import cached_codec
from sqcodec.pipeline.coding.rate_control import Goal
from sqcodec.recording import ArrayRecording
from sqcodec.resampling import resample
from sqcodec.stamps import stamp_of

Signal = NDArray[np.float32]
CODEC2_MODES = ("3200", "2400", "1600", "1400", "1300", "1200", "700C")  # bit/s
_SHORTEST_SCORED = 4  # frames: the dB^2 protocol scores frames 1 to T - 2


@dataclass(frozen=True, kw_only=True)
class Coded:
    """The output of a codec: sound at its rate, the bits of its payload, and what only models have.

    payload bits leave the container out. codes: the file as it is written; error: the dB^2 protocol's, or None, in
    feature units of which each stands for `decibels`. note: where the bit rate could not be had; "": it could.
    """

    sound: Signal
    bits: int
    codes: bytes | None = None
    error: SquaredError | None = None
    decibels: float = 80.0
    note: str = ""


class CodecUnderTest(Protocol):
    """A codec under test; `identity` changes whenever its output may change. One `family` has several rates."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def family(self) -> str: ...  # noqa: D102
    @property
    def identity(self) -> str: ...  # noqa: D102
    @property
    def sample_rate(self) -> int: ...  # noqa: D102

    def encode_decode(self, samples: Signal, speaker: str | None) -> Coded:
        """Encode and decode a recording [N] at sample_rate. Raises SqcodecError: it cannot."""
        ...


@dataclass(frozen=True)
class OriginalUnderTest:
    """The recordings themselves, as 16-bit samples: what a perfect codec would score."""

    name: str = "original"
    family: str = "original"
    identity: str = "original"
    sample_rate: int = METRIC_RATE

    def encode_decode(self, samples: Signal, speaker: str | None) -> Coded:
        """[N] as it is."""
        del speaker
        return Coded(sound=samples, bits=16 * len(samples))


@dataclass(frozen=True, kw_only=True)
class ModelUnderTest:
    """A model file with a vocoder (`griffin-lim`, or a file), by the first `codebooks` of its codebooks, or by a goal.

    goal: a true bit rate; None: whole codebooks. family: its name without the rate. Unknown speakers get the nearest
    known speaker.
    """

    name: str
    family: str
    path: Path
    fingerprint: str
    codebooks: int
    vocoder: str
    device: str
    goal: Goal | None = None

    @property
    def identity(self) -> str:
        """Fingerprint, sizes and times of the files (a decoder can change under one fingerprint), and vocoder."""
        files = (stamp_of(path) for path in (*model_files(self.path), Path(self.vocoder)))
        stamps = [f"{stamp.size} {stamp.mtime_ns}" for stamp in files if stamp]
        return " ".join([self.fingerprint, str(self.goal or self.codebooks), self.vocoder, *stamps])

    @property
    def sample_rate(self) -> int:
        """Hz, the model's."""
        return cached_codec(self.path, self.device).sample_rate

    def encode_decode(self, samples: Signal, speaker: str | None) -> Coded:
        """Encode and decode [N] at sample_rate, as the nearest speaker if `speaker` is unknown to the model.

        bits: with a goal, of the whole file; of whole codebooks, of codes of fixed length.
        """
        codec = cached_codec(self.path, self.device)
        known = speaker if speaker in codec.speakers else None
        recording = ArrayRecording(samples, codec.sample_rate)
        if self.goal is not None:
            codes, content, note = codec.encode_for(recording, self.goal, speaker=known)
            sound = codec.decode(codes, vocoder=self.vocoder)
            return Coded(sound=sound, bits=8 * len(content), codes=content, note=note)
        codes = codec.encode_recording(recording, speaker=known, codebooks=self.codebooks)
        sound = codec.decode(codes, vocoder=self.vocoder)
        bits = codes.indices.shape[1] * sum((size - 1).bit_length() for size in codec.space.codewords[: self.codebooks])
        return Coded(
            sound=sound,
            bits=bits,
            codes=codec.pack(codes),
            error=_spectral_error(codec, samples, codec.speaker_of(codes, None), self.codebooks),
            decibels=codec.features.decibels_per_unit,
        )


def _spectral_error(codec: Codec, samples: Signal, speaker: str | None, codebooks: int) -> SquaredError | None:
    """The dB^2 protocol of DESIGN on one file: T as librosa counts, odd last frame dropped, no replicated edges."""
    config = codec.features
    frames = 2 + (len(samples) // config.hop_length - 1) // config.frames_per_code * config.frames_per_code
    if frames < _SHORTEST_SCORED or not samples.any():
        return None
    device = next(codec.model.parameters()).device
    features = extract(torch.from_numpy(samples), config)[:, :frames].to(device)
    voice = torch.tensor([codec.speaker_index(speaker)], device=device)
    decoded = codec.model.decode(codec.model.encode(features[None], codebooks=codebooks), voice)[0]
    return squared_error(features[:, 1:-1], decoded)


@dataclass(frozen=True)
class Codec2UnderTest:
    """Codec 2 (Rowe, 2010) by `c2enc` and `c2dec`: it works at 8 kHz, so input and output are resampled."""

    mode: str
    sample_rate: int = METRIC_RATE
    family: str = "codec2"

    @property
    def name(self) -> str:
        """codec2-3200 and so on."""
        return f"codec2-{self.mode}"

    identity = name

    def encode_decode(self, samples: Signal, speaker: str | None) -> Coded:
        """Encode and decode [N] at sample_rate; bits are those of its frames, which are padded to whole bytes."""
        del speaker
        coded = codec2_encoded(samples, self.sample_rate, self.mode)
        return Coded(sound=codec2_decoded(coded, self.sample_rate, self.mode), bits=8 * len(coded))


def codec2_encoded(samples: Signal, sample_rate: int, mode: str) -> bytes:
    """The frames of [N] at sample_rate, one after the other."""
    with tempfile.TemporaryDirectory(prefix="sqcodec-") as name:
        folder = Path(name)
        _to_int16(resample(samples, sample_rate, 8000)).tofile(folder / "in.raw")
        _run(["c2enc", mode, "in.raw", "coded.bin"], folder)  # no .c2: that suffix adds a header
        return (folder / "coded.bin").read_bytes()


def codec2_decoded(coded: bytes, sample_rate: int, mode: str) -> Signal:
    """The sound of frames, at sample_rate."""
    with tempfile.TemporaryDirectory(prefix="sqcodec-") as name:
        folder = Path(name)
        (folder / "coded.bin").write_bytes(coded)
        _run(["c2dec", mode, "coded.bin", "out.raw"], folder)
        sound = np.fromfile(folder / "out.raw", np.int16).astype(np.float32) / 32768.0
    return resample(sound, 8000, sample_rate)


@dataclass(frozen=True)
class OpusUnderTest:
    """Opus (RFC 6716) by `opusenc` and `opusdec` at a target rate in kbit/s, in frames of 60 ms.

    The longest frames are what it needs at its lowest rates: at 6 kbit/s they cost 8 % less than the usual 20 ms.
    """

    kilobits: str
    sample_rate: int = METRIC_RATE
    family: str = "opus"

    @property
    def name(self) -> str:
        """opus-6 and so on."""
        return f"opus-{self.kilobits}"

    @property
    def identity(self) -> str:
        """The rate and the length of the frames."""
        return f"{self.name} in frames of 60 ms"

    def encode_decode(self, samples: Signal, speaker: str | None) -> Coded:
        """Encode and decode [N] at sample_rate; bits are those of the audio packets, without the Ogg container."""
        del speaker
        with tempfile.TemporaryDirectory(prefix="sqcodec-") as name:
            folder = Path(name)
            soundfile.write(folder / "in.wav", _to_int16(samples), self.sample_rate)
            options = ["--quiet", "--bitrate", self.kilobits, "--framesize", "60"]
            _run(["opusenc", *options, "in.wav", "coded.opus"], folder)
            _run(["opusdec", "--quiet", "--rate", str(self.sample_rate), "coded.opus", "out.wav"], folder)
            sound = soundfile.read(folder / "out.wav", dtype="float32", always_2d=True)[0][:, 0]
            bits = 8 * sum(ogg_packets((folder / "coded.opus").read_bytes())[2:])  # after OpusHead and OpusTags
        return Coded(sound=np.ascontiguousarray(sound), bits=bits)


def ogg_packets(content: bytes) -> list[int]:
    """Bytes of each packet of an Ogg file of one stream (RFC 3533): lacing values of 255 go on in the next."""
    packets, held, start = [], 0, 0
    while content.startswith(b"OggS", start):
        segments = content[start + 26]
        lacing = content[start + 27 : start + 27 + segments]
        for value in lacing:
            held += value
            if value < 255:
                packets.append(held)
                held = 0
        start += 27 + segments + sum(lacing)
    return packets


def find_baselines(names: Sequence[str]) -> tuple[list[CodecUnderTest], list[str]]:
    """The systems of names such as codec2-700C and opus-6 whose programs are installed, and a note on each other.

    Raises SqcodecError: a name that is none of these.
    """
    systems: list[CodecUnderTest] = []
    notes = []
    for name in names:
        system, programs, package = _baseline(name)
        if lost := [program for program in programs if shutil.which(program) is None]:
            notes.append(
                f"{name}: left out, {' and '.join(lost)} not installed (Debian, Ubuntu: apt install {package})"
            )
        else:
            systems.append(system)
    return systems, notes


def _baseline(name: str) -> tuple[CodecUnderTest, tuple[str, str], str]:
    """The system of a name, the programs that it needs, and Debian's package of them."""
    kind, _, rate = name.partition("-")
    if kind == "codec2" and rate in CODEC2_MODES:
        return Codec2UnderTest(rate), ("c2enc", "c2dec"), "codec2"
    if kind == "opus" and rate.isdigit() and 6 <= int(rate) <= 256:
        return OpusUnderTest(rate), ("opusenc", "opusdec"), "opus-tools"
    modes = ", ".join(CODEC2_MODES)
    raise SqcodecError(f"baseline {name!r}: expected codec2-MODE ({modes}) or opus-KBPS (6 to 256)")


def _to_int16(samples: Signal) -> NDArray[np.int16]:
    return np.clip(np.round(samples * 32768.0), -32768, 32767).astype(np.int16)


def _run(command: list[str], folder: Path) -> None:
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if finished.returncode:
        last = (finished.stderr.strip().splitlines() or ["no message"])[-1]
        raise SqcodecError(f"{command[0]}: exit status {finished.returncode}: {last}")
