"""What a process does with files of a folder: encode or decode them, one after the other; what fails stops no other."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sqcodec.bitstream import npy
from sqcodec.codes import Codes
from sqcodec.corpus.audio import AudioSource
from sqcodec.errors import CodesError, SqcodecError
from sqcodec.pipeline.coding.codec import Codec
from sqcodec.pipeline.coding.codes_files import (
    CodesFile,
    Opened,
    bare_array_note,
    find_model,
    identify,
    open_with,
    read_together,
)
from sqcodec.pipeline.coding.files import CodesFormat, decode_with, encode_with
from sqcodec.pipeline.coding.folder_tasks import Task
from sqcodec.pipeline.coding.notes import Note, note, recording_notes
from sqcodec.pipeline.coding.open_codecs import cached_codec
from sqcodec.pipeline.coding.rate_control import Options
from sqcodec.pipeline.coding.sound_files import clipping_note
from sqcodec.stamps import Stamp
from sqcodec.vocoder.interface import VocoderPrecision

Group = Sequence[tuple[int, Task]]  # files with their numbers
_Codes = dict[str, tuple[bytes, Codes | CodesError]]


class Done(NamedTuple):
    """What a worker returns. number: of the file; identity: of the model of a codes file; reason: why it failed; stamp:
    of the output."""

    number: int
    identity: str | None = None
    seconds: float = 0.0
    size: int = 0
    notes: tuple[Note, ...] = ()
    reason: str | None = None
    stamp: Stamp | None = None


class Encoding(NamedTuple):
    """How files are encoded: as `encode_with` takes it."""

    model: Path
    device: str
    speaker: str | None
    form: CodesFormat
    options: Options
    dtype: npy.Dtype | None
    block: float | None


class Decoding(NamedTuple):
    """How files are decoded: as `decode_file` takes it."""

    model: str | None
    device: str
    precision: VocoderPrecision
    speaker: str | None
    vocoder: str | None
    rate: int | None


def encode_each(how: Encoding, group: Group) -> Iterator[Done]:
    """Encode files one by one."""
    return _each(partial(_encode, how), group)


def _encode(how: Encoding, task: Task) -> Done:
    audio = AudioSource(task.source)
    codec = cached_codec(how.model, how.device)
    result = encode_with(
        codec, audio, task.target, speaker=how.speaker, form=how.form, options=how.options, dtype=how.dtype,
        block=how.block,
    )  # fmt: skip
    notes = (*result.notes, *recording_notes(audio, str(task.shown)))
    return Done(0, None, result.seconds, result.size, notes, stamp=result.stamp)


def decode_each(how: Decoding, group: Group) -> Iterator[Done]:
    """Decode files whose codes are read side by side."""
    try:
        read = _read(how, [task for _, task in group]) if len(group) > 1 else {}
    except Exception:  # each file says below what is wrong with it
        read = {}
    return _each(partial(_decode, how, read), group)


def _read(how: Decoding, tasks: Sequence[Task]) -> _Codes:
    """The files that need a model to be read, or why they cannot, by their paths."""
    files = defaultdict[Codec, list[CodesFile]](list)
    for task in tasks:
        with suppress(SqcodecError, OSError):  # its own turn says why
            file = identify(npy.read_bytes(task.source), str(task.source))
            files[cached_codec(find_model(file.identity, how.model).path, how.device, how.precision)].append(file)
    found = {}
    for codec, several in files.items():
        for file, codes in zip(several, read_together(codec, several), strict=True):
            if codes is not None:
                found[file.where] = file.content, codes
    return found


def _decode(how: Decoding, read: _Codes, task: Task) -> Done:
    file = identify(npy.read_bytes(task.source), str(task.source))
    found = find_model(file.identity, how.model)
    codec = cached_codec(found.path, how.device, how.precision)
    rate = how.rate or codec.sample_rate
    content, codes = read.get(file.where, (None, None))
    if content != file.content:  # it was not read, or changed meanwhile
        opened = open_with(codec, file)
    elif isinstance(codes, CodesError):
        raise codes
    else:
        assert codes is not None
        opened = Opened(codec, codes, ())
    result = decode_with(opened, task.target, where=file.where, speaker=how.speaker, vocoder=how.vocoder, rate=rate)
    shown = str(task.shown)
    notes = (
        *note("model", found.note),
        *note("bare array", bare_array_note(file._replace(where=shown), found)),
        *note("vocoder", codec.vocoder(how.vocoder).note),
        *note("limited", clipping_note(result, shown)),
    )
    return Done(0, file.identity, result.samples / rate, len(file.content), notes, stamp=result.stamp)


def _each(function: Callable[[Task], Done], group: Group) -> Iterator[Done]:
    """Process files one by one."""
    return map(partial(_attempt, function), group)


def _attempt(function: Callable[[Task], Done], work: tuple[int, Task]) -> Done:
    """Process one file. Its errors, whatever they are, do not stop the other files."""
    number, task = work
    try:
        task.target.parent.mkdir(parents=True, exist_ok=True)
        return function(task)._replace(number=number)
    except BrokenPipeError:
        raise
    except OSError as error:  # a folder that cannot be made or read
        return Done(number, reason=f"{task.shown}: {error.filename or task.output}: {error.strerror or error}")
    except Exception as error:
        reason = str(error) if isinstance(error, SqcodecError) else f"{task.source}: {type(error).__name__}: {error}"
        return Done(number, reason=reason.replace(str(task.source), str(task.shown)))
