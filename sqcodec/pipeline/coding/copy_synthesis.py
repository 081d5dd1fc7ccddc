"""Copy synthesis, `sqcodec vocode`: a recording to features and back with a vocoder, without a codec."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sqcodec.corpus.audio import AudioSource
from sqcodec.features.mel import features_of
from sqcodec.pipeline.coding.notes import recording_notes
from sqcodec.pipeline.coding.sound_files import SOUND_FORMATS, clipping_note, write_sound
from sqcodec.pipeline.finding.vocoders import KINDS, find_vocoder, resolve_vocoder
from sqcodec.pipeline.paths import check_target, shown, spooled, written
from sqcodec.recording import Recording
from sqcodec.spectrogram import FEATURES, FeatureConfig, FeatureKind
from sqcodec.vocoder.interface import Vocoder
from sqcodec.vocoder.vocoder_header import read_header

_Samples = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Vocoded:
    """The result of `vocode_file`: samples at sample_rate (Hz)."""

    samples: int
    sample_rate: int
    vocoder: str
    features: FeatureKind
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Duration of the sound."""
        return self.samples / self.sample_rate


def vocode_file(
    source: Path, target: Path, *, vocoder: str | None = None, features: FeatureKind | None = None, device: str = "auto"
) -> Vocoded:
    """Turn a recording into features and those into a sound file at their rate. The file is complete or absent.

    vocoder: a kind, a file, a run folder or a run's name; None: the best for the features. features: None: those of
    the vocoder, or log-mel if no vocoder is named. Raises AudioError: the recording cannot be read; VocoderError: no
    such vocoder, or it takes other features; SqcodecError: the target cannot be written.
    """
    check_target(source, target, SOUND_FORMATS)
    config = _features(vocoder, features)
    found = find_vocoder(vocoder, config, device=device)
    with spooled(source) as path, written(target) as draft:
        audio = AudioSource(path)
        sound = vocode_recording(audio, found.vocoder)
        form = SOUND_FORMATS.get(target.suffix.lower(), SOUND_FORMATS[".wav"])  # a pipe has no suffix
        result = write_sound(draft, sound, config.sample_rate, form)
    notes = (found.note, *(note.text for note in recording_notes(audio, shown(source))))
    return Vocoded(
        samples=result.samples,
        sample_rate=config.sample_rate,
        vocoder=found.vocoder.kind,
        features=config.kind,
        notes=tuple(filter(None, (*notes, clipping_note(result, str(target))))),
    )


def vocode_recording(recording: Recording, vocoder: Vocoder) -> Iterator[_Samples]:
    """Copy synthesis of a recording: blocks [n] at the vocoder's rate, with the level and length of the recording.

    Digital silence stays silence.
    """
    statistics, features = features_of(recording, vocoder.features)
    gain = 1.0 if vocoder.features.dynamic_range is None and statistics.peak else statistics.gain
    for sound in vocoder.render(features, statistics.samples):
        yield sound * np.float32(gain)


def _features(vocoder: str | None, kind: FeatureKind | None) -> FeatureConfig:
    if kind is None and vocoder is not None and vocoder not in KINDS:
        return read_header(resolve_vocoder(vocoder)).features
    return FEATURES[kind or "log-mel"]
