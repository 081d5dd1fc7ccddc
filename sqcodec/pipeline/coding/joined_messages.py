"""Voice messages to one sound: those that `messages` made of a recording, also where some are damaged or missing."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sqcodec.bitstream import message, npy
from sqcodec.codes import Codes
from sqcodec.corpus.audio import RawEncoding
from sqcodec.errors import CodesError
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.coding.codes_files import Opened
from sqcodec.pipeline.coding.files import decode_with
from sqcodec.pipeline.coding.messages import DIGITS, numbered
from sqcodec.pipeline.coding.notes import Note, note
from sqcodec.pipeline.coding.outcomes import Decoded, Span, merged
from sqcodec.pipeline.coding.sound_files import SOUND_FORMATS, clipping_note
from sqcodec.pipeline.finding.models import find_for_message
from sqcodec.pipeline.paths import check_target

_MOST_MISSING = 1000  # between two numbers, beyond which they are not of one recording


class _Heard(NamedTuple):
    """The codes of several messages, the spans of those that are lost, and texts on what is lost."""

    codes: Codes
    lost: tuple[Span, ...]
    lacks: list[str]


def decode_messages(
    sources: Sequence[Path],
    target: Path,
    *,
    model: str | None = None,
    vocoder: str | None = None,
    rate: int | None = None,
    device: str = "auto",
    raw: RawEncoding | None = None,
    recover: bool = False,
) -> Decoded:
    """Decode messages, in the order in which they are given, to one sound.

    model: None: one that the first byte of the messages may mean, which is all that they name it by. recover: messages
    that are damaged, or missing between two numbers or before the first of several, become silence as long as the
    message before, or after where there is none, and `lost` lists them. Raises as `decode_file`.
    """
    check_target(sources[0], target, (".raw", ".pcm") if raw else SOUND_FORMATS)
    codec = open_codec(find_for_message(_first_byte(sources), model).path, device)
    codes, lost, lacks = _recovered(sources, codec) if recover else _intact(sources, codec)
    rate = rate or codec.sample_rate
    where = str(sources[0])
    result = decode_with(
        Opened(codec, codes, lost), target, where=where, speaker=None, vocoder=vocoder, rate=rate, raw=raw
    )
    notes = (
        *(Note("lost", lack) for lack in lacks),
        *note("vocoder", codec.vocoder(vocoder).note),
        *note("limited", clipping_note(result, str(target))),
    )
    return Decoded(samples=result.samples, sample_rate=rate, speaker=None, model=codec.path, notes=notes, lost=lost)


def _intact(sources: Sequence[Path], codec: Codec) -> _Heard:
    """All that are there. Raises CodesError: one cannot be read."""
    lacks = filter(None, map(_lack, sources, _missing(sources)))
    texts = [f"{lack}; the sound goes on without, `recover` puts silence there" for lack in lacks]
    try:
        return _Heard(joined([_unpacked(path, codec) for path in sources], codec), (), texts)
    except CodesError as error:
        hint = "; or `recover` puts silence in its place" if len(sources) > 1 else ""
        raise CodesError(f"{error}{hint}") from None


def _recovered(sources: Sequence[Path], codec: Codec) -> _Heard:
    """Stand-ins, which are to be silent, for those that are damaged or missing. Raises CodesError: none can be read."""
    found, lacks = list[Codes | None](), list[str]()
    for path, number in zip(sources, _missing(sources), strict=True):
        found += [None] * number
        lacks += filter(None, [_lack(path, number)])
        try:
            found.append(_unpacked(path, codec))
        except CodesError as error:
            found.append(None)
            lacks.append(str(error))
    near = next((codes for codes in found if codes), None)
    if near is None:
        raise CodesError(f"nothing is intact: {lacks[0]}")
    parts, spans, stop = list[Codes](), list[Span](), 0.0
    for codes in found:
        near = codes or _stand_in(near)
        parts.append(near)
        start, stop = stop, stop + near.indices.shape[1] / codec.features.code_rate
        spans += [] if codes else [Span(start, stop)]
    return _Heard(joined(parts, codec), merged(spans), lacks)


def _missing(sources: Sequence[Path]) -> list[int]:
    """Before each message, how many numbers there are between its own, NAME-007.bin, and that before, NAME-003.bin; 0
    before the first of several is that before NAME-001.bin."""
    missing, last = list[int](), ("", 0)
    for path in sources:
        name, _, digits = path.stem.rpartition("-")
        number = int(digits) if name and digits.isdecimal() and len(digits) >= DIGITS else 0
        follows = name == last[0] if missing else len(sources) > 1
        between = number - last[1] - 1 if number and follows else 0
        missing.append(between if 0 < between <= _MOST_MISSING else 0)
        last = (name, number)
    return missing


def _lack(path: Path, number: int) -> str:
    """A text where messages before a path are missing, else ""."""
    return f"missing before {path}: {number} message{'s' if number > 1 else ''}" if number else ""


def _stand_in(near: Codes) -> Codes:
    """The last code of a message, as long as it is."""
    length, stages = near.indices.shape[1], near.stages
    return replace(
        near,
        indices=near.indices[:, -1:].repeat(length, axis=1),
        stages=None if stages is None else stages[-1:].repeat(length),
    )


def _first_byte(sources: Sequence[Path]) -> int:
    """That which begins most of the messages that can be read; 0: none can."""
    begun = Counter[int]()
    for path in sources:
        with suppress(CodesError):  # whoever decodes it says why
            begun.update(_read(path)[:1])
    return begun.most_common(1)[0][0] if begun else 0


def _unpacked(path: Path, codec: Codec) -> Codes:
    return message.unpack(_read(path), codec.space, where=str(path))


def _read(path: Path) -> bytes:
    """A message's bytes. Raises CodesError: it cannot be read, or there are several of that name."""
    firsts = (numbered(path, 1, digits) for digits in range(DIGITS, 2 * DIGITS))
    if not path.exists() and (first := next((each for each in firsts if each.exists()), None)):
        every = path.with_name(f"{path.stem}-*{path.suffix}")
        raise CodesError(f"{path}: is not there, but {first} is: decode all of them, {every}")
    return npy.read_bytes(path)


def joined(parts: Sequence[Codes], codec: Codec) -> Codes:
    """The codes of several messages, one after the other. Raises CodesError: there are none."""
    if not parts:
        raise CodesError("got no messages")
    books, lengths = max(len(part.indices) for part in parts), [part.indices.shape[1] for part in parts]
    stages = np.concatenate([
        np.full(length, len(part.indices), np.uint8) if part.stages is None else part.stages
        for part, length in zip(parts, lengths, strict=True)
    ])  # fmt: skip
    rows = [np.pad(part.indices, ((0, books - len(part.indices)), (0, 0))) for part in parts]
    return replace(
        parts[0],
        indices=np.concatenate(rows, axis=1),
        samples=message.samples_of(sum(lengths), codec.features),
        gain=max(part.gain for part in parts),
        stages=stages,
    )
