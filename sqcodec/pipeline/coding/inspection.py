"""The verb `inspect`: what a codes file holds, without torch and without the model's weights."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream import npy, sqc
from sqcodec.bitstream.sqc_header import MAGIC, VERSION, Header, read_header
from sqcodec.codes import Codes
from sqcodec.errors import ModelError, SqcodecError
from sqcodec.model.model_header import ModelHeader
from sqcodec.model.model_header import read_header as read_model_header
from sqcodec.pipeline.finding.code_spaces import read_space
from sqcodec.pipeline.finding.models import find_for_decoding, resolve
from sqcodec.pipeline.paths import shown, spooled
from sqcodec.spectrogram import FEATURES, PEAK

_BINS = 64
_USUAL = FEATURES["log-mel"]  # whose rates codes are taken to have while their model is not found


@dataclass(frozen=True, kw_only=True)
class Book:
    """One codebook of a file. entropy: bits a code by the file's own frequencies; histogram: counts over codewords."""

    codewords: int | None
    in_use: int
    entropy: float
    perplexity: float
    histogram: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """A codes file. Rates in bit/s; what only the model can tell is None where it was not found (then `note` says so).

    header_size: bytes before the first code; level: dB that the loudest sample has of full scale, None for silence.
    """

    file: str
    format: str
    size: int
    header_size: int | None
    blocks: int | None
    tables: bool
    seconds: float
    samples: int
    sample_rate: int
    level: float | None
    model: str | None
    fingerprint: str | None
    speaker: str | None
    codes: int
    books: tuple[Book, ...]
    nominal_bit_rate: float | None
    entropy_bit_rate: float | None
    bit_rate: float
    note: str

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


class _Read(NamedTuple):
    """What could be read of a codes file: its codes need the model if it is a `.sqc`, which alone has a header."""

    codes: Codes | None
    found: ModelHeader | None
    note: str
    header: Header | None


def inspect_file(source: Path, *, model: str | None, plot: Path | None = None) -> Inspection:
    """Read a codes file. plot: where to draw its codes over time and how often each comes.

    Raises CodesError: no codes file, or damaged; ModelError: `model` is not that of the codes, or there is none to draw
    them by; SqcodecError: the drawing cannot be written.
    """
    with spooled(source) as path:
        content = npy.read_bytes(path)
    read = _read(content, shown(source), model)
    if plot and read.codes is None:
        raise ModelError(read.note)
    if plot and read.codes:
        _draw(read.codes.indices, (read.found.features if read.found else _USUAL).code_rate, plot)
    return _inspection(content, shown(source), read)


def inspect_bytes(content: bytes, where: str, model: str | None) -> Inspection:
    """As `inspect_file`, without a drawing."""
    return _inspection(content, where, _read(content, where, model))


def _read(content: bytes, where: str, model: str | None) -> _Read:
    if not content.startswith(MAGIC):
        return _read_npy(content, where, model)
    header = read_header(content, where=where)
    found, note = _find(header.identity, model)
    codes = sqc.unpack(content, read_space(found.path), where=where) if found else None
    return _Read(codes, found, note, header)


def _read_npy(content: bytes, where: str, model: str | None) -> _Read:
    codes = npy.unpack(content, where=where)
    if codes.fingerprint is not None:
        return _Read(codes, *_find(codes.fingerprint, model), None)
    found = read_model_header(resolve(model)) if model else None
    codes = npy.unpack(content, where=where, features=found.features if found else _USUAL)
    return _Read(codes, found, "a bare array: length and level are assumed", None)


def _find(fingerprint: str, model: str | None) -> tuple[ModelHeader | None, str]:
    """The model of the codes, if it is anywhere; a wrong one that was named is an error."""
    try:
        return read_model_header(find_for_decoding(fingerprint, model).path), ""
    except ModelError as error:
        if model is not None:
            raise
        return None, str(error)


def _inspection(content: bytes, where: str, read: _Read) -> Inspection:
    codes, found, note, header = read
    told: Codes | Header | None = codes or header
    assert told is not None
    seconds, gain = told.samples / told.sample_rate, told.gain
    books = _books(codes.indices, found) if codes else ()
    number, length = codes.indices.shape if codes else (header.books, header.length(_USUAL)) if header else (0, 0)
    rate = length / seconds
    widths = [(size - 1).bit_length() for size in found.codewords[:number]] if found else []
    return Inspection(
        file=where,
        format=f".sqc version {VERSION}" if header else ".npy",
        size=len(content),
        header_size=header.size if header else None,
        blocks=sum(1 for _ in sqc.blocks(length)) if header and codes else None,
        tables=bool(header and header.tables),
        seconds=seconds,
        samples=told.samples,
        sample_rate=told.sample_rate,
        level=20 * float(np.log10(PEAK * gain)) if gain else None,
        model=str(found.path) if found else None,
        fingerprint=codes.fingerprint if codes else header.identity if header else None,
        speaker=codes.speaker if codes else None,
        codes=number * length,
        books=books,
        nominal_bit_rate=rate * sum(widths) if widths else None,
        entropy_bit_rate=rate * sum(book.entropy for book in books) if books else None,
        bit_rate=8 * len(content) / seconds,
        note=note,
    )


def _books(indices: NDArray[np.uint16], found: ModelHeader | None) -> tuple[Book, ...]:
    books = []
    for number, row in enumerate(indices):
        size = found.codewords[number] if found and number < len(found.codewords) else None
        counts = np.bincount(row, minlength=size or 0)
        share = counts[counts > 0] / counts.sum()
        entropy = float(-(share * np.log2(share)).sum()) + 0.0
        parts = np.array_split(counts, min(_BINS, len(counts)))
        books.append(
            Book(
                codewords=size,
                in_use=int((counts > 0).sum()),
                entropy=entropy,
                perplexity=2**entropy,
                histogram=tuple(int(part.sum()) for part in parts),
            )
        )
    return tuple(books)


def _draw(indices: NDArray[np.uint16], rate: float, target: Path) -> None:
    """Draw codes [K, T], `rate` per second, and how often each comes. Raises SqcodecError: cannot be written."""
    from matplotlib.figure import Figure

    from sqcodec.report.figure import write_figure

    figure = Figure(figsize=(11, 3 * len(indices)), layout="constrained")
    axes = figure.subplots(len(indices), 2, squeeze=False, width_ratios=(3, 1))
    for (left, right), row, number in zip(axes, indices, range(len(indices)), strict=True):
        left.plot(np.arange(len(row)) / rate, row, ".", markersize=2)
        left.set(xlabel="time, s", ylabel=f"code of book {number}")
        right.hist(row, bins=_BINS, orientation="horizontal")
        right.set(xlabel="times")
    try:
        write_figure(figure, target)
    except (OSError, ValueError) as error:
        raise SqcodecError(f"{target}: cannot be written: {error}") from error
