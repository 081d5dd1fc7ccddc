"""Files of codes: their formats, the model that wrote them, and what is in them, intact or not."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sqcodec.bitstream import npy, recovery, sqc
from sqcodec.bitstream.exported_row import codes_of, read_meta
from sqcodec.bitstream.shard_file import SUFFIXES, is_shard, read_row
from sqcodec.bitstream.sqc_header import MAGIC, read_header
from sqcodec.codes import Codes
from sqcodec.errors import CodesError
from sqcodec.model import model_header
from sqcodec.pipeline.coding.codec import Codec
from sqcodec.pipeline.coding.excerpts import Excerpt, window
from sqcodec.pipeline.coding.outcomes import Span, merged
from sqcodec.pipeline.finding.models import (
    FoundModel,
    find_for_decoding,
    find_for_encoding,
    find_for_programs,
    model_name,
)
from sqcodec.pipeline.paths import shown, spooled


class CodesFile(NamedTuple):
    """The bytes of a codes file, and its name for messages.

    identity: of the model that wrote it; None: a bare array. codes: of an `.npy`; None for a `.sqc`, which needs the
    model to be read.
    """

    content: bytes
    where: str
    identity: str | None
    codes: Codes | None


class Opened(NamedTuple):
    """Codes with their model, and the parts of the recording that are lost. begins: where in it the codes begin, s."""

    codec: Codec
    codes: Codes
    lost: tuple[Span, ...]
    begins: int = 0


def identify(content: bytes, where: str) -> CodesFile:
    """Find the format (by its first bytes) and the model's identity. Raises CodesError: no codes file, or damaged."""
    if content.startswith(MAGIC):
        return CodesFile(content, where, read_header(content, where=where).identity, None)
    codes = npy.unpack(content, where=where)
    return CodesFile(content, where, codes.fingerprint, codes)


def find_model(identity: str | None, model: str | None, *, program: bool = False) -> FoundModel:
    """The model that wrote a codes file; without an identity (a bare array), that `encode` would use, or a program that
    calls the library. Raises ModelError."""
    if identity is not None:
        return find_for_decoding(identity, model)
    return find_for_programs(model) if program else find_for_encoding(model)


def open_with(codec: Codec, file: CodesFile) -> Opened:
    """The codes of a file, with their open model. Raises CodesError: the model cannot read them."""
    if file.codes is None:
        return Opened(codec, sqc.unpack(file.content, codec.space, where=file.where), ())
    if file.identity is None:  # a bare array: its length follows from the model's rates
        return Opened(codec, npy.unpack(file.content, where=file.where, features=codec.features), ())
    return Opened(codec, file.codes, ())


def open_excerpt(codec: Codec, file: CodesFile, excerpt: Excerpt, *, recover: bool) -> Opened:
    """The codes of a part of a file's recording and of what is around it. recover: as `recovered` reads them.

    Raises CodesError: the recording has no such part, or the model cannot read it.
    """
    if file.codes is None and not recover:
        header = read_header(file.content, where=file.where)
        part = window(excerpt, header.samples, header.sample_rate, codec.features, where=file.where)
        some = sqc.unpack_between(file.content, codec.space, part.first, part.stop, part.samples, where=file.where)
        return Opened(codec, some, (), part.begins)
    _, codes, lost, _ = recovered(codec, file) if file.codes is None else open_with(codec, file)
    part = window(excerpt, codes.samples, codes.sample_rate, codec.features, where=file.where)
    end = codes.seconds if excerpt.duration is None else excerpt.offset + excerpt.duration
    within = [Span(max(start, excerpt.offset), min(stop, end)) for start, stop in lost]
    some = codes.between(part.first, part.stop, part.samples)
    return Opened(codec, some, tuple(span for span in within if span.start < span.stop), part.begins)


def read_together(codec: Codec, files: Sequence[CodesFile]) -> list[Codes | CodesError | None]:
    """The codes of those of several files that need the model to be read, or why one cannot; None: of the others."""
    each = [number for number, file in enumerate(files) if file.codes is None]
    read = sqc.unpack_each(
        [files[number].content for number in each], codec.space, names=[files[number].where for number in each]
    )
    found = dict(zip(each, read, strict=True))
    return [found.get(number) for number in range(len(files))]


def recovered(codec: Codec, file: CodesFile) -> Opened:
    """As `open_with`, of a damaged `.sqc`: its intact blocks. Raises CodesError: there is none."""
    intact = recovery.recover(file.content, codec.space, where=file.where)
    rate, seconds = codec.features.code_rate, intact.codes.seconds
    lost = merged(Span(block.start / rate, min(seconds, block.stop / rate)) for block in intact.lost)
    return Opened(codec, intact.codes, lost)


def spooled_codes(source: Path) -> CodesFile:
    """Read a codes file, or a pipe, and find its format. Raises CodesError: it cannot be read, or is no codes file."""
    with spooled(source) as path:
        return identify(npy.read_bytes(path), shown(source))


def exported_row(source: Path, row: str | None) -> CodesFile:
    """A row of an export, whose `meta.json` lies beside it."""
    if not is_shard(source):
        raise CodesError(
            f"{source}: `row` {row}: expected a shard of 'sqcodec export' ({', '.join(SUFFIXES.values())})"
        )
    where = f"{source}, row {0 if row is None else row}"
    meta = read_meta(source.parent)
    return CodesFile(b"", where, meta.fingerprint, codes_of(read_row(source, row), meta, where))


def bare_array_note(file: CodesFile, found: FoundModel) -> str:
    """The note on a bare array: what it lacks, and what is assumed; "" for any other file."""
    if file.identity is not None:
        return ""
    samples = model_header.read_header(found.path).features.samples_per_code
    return (
        f"{file.where}: a bare array, without the model's fingerprint, length, loudness and speaker:"
        f" taken as codes of {model_name(found.path)}, {samples} samples per code, gain 1"
    )
