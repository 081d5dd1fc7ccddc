"""What `sqcodec` offers beside `load`: models, files, pictures; by default with the model that ships."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqcodec.codes import Codes
from sqcodec.errors import AudioError
from sqcodec.extras import required
from sqcodec.pipeline.coding import files
from sqcodec.pipeline.coding.excerpts import Excerpt
from sqcodec.pipeline.coding.inputs import Audio, recording_of
from sqcodec.pipeline.coding.outcomes import Decoded, Encoded
from sqcodec.pipeline.finding.models import find_for_programs
from sqcodec.pipeline.finding.shipped import ModelSummary, shipped_models
from sqcodec.spectrogram import FEATURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_Path = str | os.PathLike[str]
_LOG_MEL = FEATURES["log-mel"]


def models() -> list[ModelSummary]:
    """The models that ship: name, bit rates, look-ahead, size, model card. The default comes first.

    Examples:
        >>> sqcodec.models()[0].name
        'speech16k'
    """
    return list(shipped_models())


def encode_file(
    source: _Path,
    target: _Path,
    *,
    model: _Path | None = None,
    speaker: str | None = None,
    codebooks: int | None = None,
    bitrate: float | None = None,
    device: str = "auto",
) -> Encoded:
    """Encode a recording to a `.sqc` or, for NumPy, a `.npy` file, as `sqcodec encode` does.

    model: as `load` takes it; None: the one that ships. speaker, codebooks, bitrate: as `Codec.encode` takes them.
    Raises AudioError: the recording cannot be read; ModelError: no model; CodesError: no such speaker, or fewer
    codebooks; SqcodecError: the target cannot be written.

    Examples:
        >>> round(sqcodec.encode_file("in.wav", "out.sqc", bitrate=800).seconds, 2)
        2.63
    """
    found = find_for_programs(None if model is None else Path(model))
    encoded = files.encode_file(
        Path(source), Path(target), model=str(found.path), speaker=speaker, codebooks=codebooks, bit_rate=bitrate,
        device=device,
    )  # fmt: skip
    return replace(encoded, model_reason=found.reason)


def decode_file(
    source: _Path,
    target: _Path,
    *,
    model: _Path | None = None,
    speaker: str | None = None,
    vocoder: str | None = None,
    sample_rate: int | None = None,
    recover: bool = False,
    row: int | str | None = None,
    offset: float = 0.0,
    duration: float | None = None,
    device: str = "auto",
) -> Decoded:
    """Decode a codes file to a `.wav`, `.flac` or `.ogg` file, as `sqcodec decode` does. No messages (`.bin`).

    model: None: the one that wrote the codes, which is found by its fingerprint. sample_rate: Hz; None: the model's.
    recover: decode the intact blocks of a damaged `.sqc`; the others become silence. row: number or name of a row, of a
    shard of `sqcodec export`; None: its only one. offset, duration: seconds, of a part of the recording (None: to its
    end): the samples that the whole has there, decoded from the codes around it alone. Raises CodesError: the codes
    cannot be read or do not fit the model, or there is no such part; ModelError: their model is missing; VocoderError:
    no such vocoder; SqcodecError: the target cannot be written.

    Examples:
        >>> sqcodec.decode_file("out.sqc", "out.wav").sample_rate
        16000
    """
    return files.decode_file(
        Path(source), Path(target), model=None if model is None else str(model), speaker=speaker, vocoder=vocoder,
        rate=sample_rate, recover=recover, device=device, program=True,
        row=None if row is None else str(row), excerpt=Excerpt(offset, duration),
    )  # fmt: skip


def plot(
    sounds: Audio | Codes | Mapping[str, Any], sample_rate: int | None = None, *, path: _Path | None = None
) -> "Figure":
    """Draw spectrograms of recordings, and codes over time, one above the other.

    sounds: a recording as `Codec.encode` takes it, or `Codes`, or several of them by title. sample_rate: Hz, of arrays.
    path: a file to write (`.png`, `.pdf`, `.svg`). Returns the figure, which a notebook shows. Raises AudioError: not a
    recording; SqcodecError: the file cannot be written, or matplotlib is missing.

    Examples:
        >>> figure = sqcodec.plot({"in": "in.wav", "codes": codec.encode("in.wav")}, path="in.png")
    """
    import numpy as np

    with required():
        from sqcodec.report.figure import write_figure
        from sqcodec.report.timelines import Timeline, draw_timelines

    if isinstance(sounds, Mapping) and not sounds:
        raise AudioError("got no sounds to plot, expected a recording, codes, or several of them by title")
    named = sounds if isinstance(sounds, Mapping) and "array" not in sounds else {"": sounds}
    timelines = []
    for title, sound in named.items():
        if isinstance(sound, Codes):
            rate = sound.indices.shape[1] / sound.seconds
            used = np.ma.masked_less(sound.used, 0)
            timelines.append(Timeline(str(title), used, rate, "codebook"))
        else:
            timelines.append(Timeline(str(title), _spectrogram(sound, sample_rate), _LOG_MEL.frame_rate, "mel band"))
    figure = draw_timelines(timelines)
    if path is not None:
        write_figure(figure, Path(path))
    return figure


def _spectrogram(sound: Audio, sample_rate: int | None) -> Any:
    import numpy as np

    from sqcodec.features.mel import extract

    own_rate = isinstance(sound, str | os.PathLike | Mapping) or hasattr(sound, "blocks")
    recording = recording_of(sound, None if own_rate else sample_rate)
    return extract(np.concatenate(list(recording.blocks(_LOG_MEL.sample_rate))), _LOG_MEL)
