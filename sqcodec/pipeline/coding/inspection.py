"""`sqcodec inspect`: the contents of a codes file, without torch and without the model's weights."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream import message, npy, sqc
from sqcodec.bitstream.code_space import Coder, CodeSpace
from sqcodec.bitstream.context_coder import frame_bits
from sqcodec.bitstream.sqc_header import MAGIC, Header, read_header
from sqcodec.codes import Codes
from sqcodec.errors import CodesError, ModelError
from sqcodec.model.model_header import ModelHeader
from sqcodec.model.model_header import read_header as read_model_header
from sqcodec.pipeline.finding.code_spaces import read_space
from sqcodec.pipeline.finding.models import find_for_decoding, model_name, resolve
from sqcodec.pipeline.paths import shown, spooled
from sqcodec.spectrogram import FEATURES, PEAK

_BINS = 64
_ASSUMED = FEATURES["log-mel"]  # its rates are assumed while the model is not found


@dataclass(frozen=True, kw_only=True)
class CodebookUse:
    """The codes of one codebook. codes: how many there are, fewer than the file's frames where frames end early.

    entropy: bits per code by the frequencies in the file; histogram: counts of codewords, in bins.
    """

    codewords: int | None
    codes: int
    in_use: int
    entropy: float
    perplexity: float
    histogram: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """A codes file. Rates in bit/s. Fields that need the model are None if it is not found; `note` then says so.

    header_size: bytes before the first code; coder: of a `.sqc`; tables: whether that is the entropy tables; silent:
    whether it decodes to zeros; level: of the loudest sample in dB re full scale, None for silence and where the codes
    themselves hold the level. codes: that are used, over all codebooks. bits_over_time:
    bit/s of each second, of a file of the context model.
    """

    file: str
    format: str
    size: int
    header_size: int | None
    blocks: int | None
    coder: Coder | None
    tables: bool
    seconds: float
    samples: int
    sample_rate: int
    silent: bool
    level: float | None
    model: str | None
    fingerprint: str | None
    speaker: str | None
    codes: int
    books: tuple[CodebookUse, ...]
    nominal_bit_rate: float | None
    entropy_bit_rate: float | None
    bit_rate: float
    bits_over_time: tuple[float, ...]
    note: str

    def as_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)


class _Read(NamedTuple):
    """What could be read of a codes file. A `.sqc` gives codes only with its model; only a `.sqc` has a header."""

    codes: Codes | None
    codec_header: ModelHeader | None
    note: str
    header: Header | None
    bits_over_time: tuple[float, ...] = ()


def inspect_file(source: Path, *, model: str | None, plot: Path | None = None) -> Inspection:
    """Read a codes file. plot: a file for a figure of its codes over time and of their histogram.

    Raises CodesError: no codes file, or damaged; ModelError: `model` did not write the codes, or the figure needs
    a model and there is none; SqcodecError: the figure cannot be written.
    """
    with spooled(source) as path:
        content = npy.read_bytes(path)
    if source.suffix.lower() == message.SUFFIX and not content.startswith((MAGIC, npy.MAGIC)):
        raise CodesError(
            f"{source}: a message ({message.SUFFIX}) names neither model nor length, so there is nothing to inspect;"
            " 'sqcodec decode' reads it"
        )
    read = _read(content, shown(source), model)
    if plot and read.codes is None:
        raise ModelError(read.note)
    if plot and read.codes:
        _draw(read.codes.used, (read.codec_header.features if read.codec_header else _ASSUMED).code_rate, plot)
    return _inspection(content, shown(source), read)


def inspect_bytes(content: bytes, where: str, model: str | None) -> Inspection:
    """As `inspect_file`, for the bytes of a file, without a figure."""
    return _inspection(content, where, _read(content, where, model))


def _read(content: bytes, where: str, model: str | None) -> _Read:
    if not content.startswith(MAGIC):
        return _read_npy(content, where, model)
    header = read_header(content, where=where)
    codec_header, note = _find(header.identity, model)
    if codec_header is None:
        return _Read(None, None, note, header)
    space = read_space(codec_header.path)
    codes = sqc.unpack(content, space, where=where)
    return _Read(
        codes,
        codec_header,
        note,
        header,
        _bits_over_time(codes, space, header.block) if header.coder == "context" else (),
    )


def _bits_over_time(codes: Codes, space: CodeSpace, block: int) -> tuple[float, ...]:
    """What the context model makes of each second, without headers and checksums; the last second may be shorter."""
    assert space.context is not None
    parts = [sqc.part_of(codes, each) for each in sqc.blocks(codes.indices.shape[1], block)]
    bits = np.concatenate(frame_bits(parts, space.context, stops=codes.stages is not None))
    rate = space.features.code_rate
    seconds = (np.arange(len(bits)) / rate).astype(np.int64)
    lengths = np.bincount(seconds) / rate
    return tuple(round(float(value), 1) for value in np.bincount(seconds, bits) / lengths)


def _read_npy(content: bytes, where: str, model: str | None) -> _Read:
    codes = npy.unpack(content, where=where)
    if codes.fingerprint is not None:
        codec_header, note = _find(codes.fingerprint, model)
        if codec_header:
            npy.check_length(codes, codec_header.features, where)
        return _Read(codes, codec_header, note, None)
    codec_header = read_model_header(resolve(model)) if model else None
    codes = npy.unpack(content, where=where, features=codec_header.features if codec_header else _ASSUMED)
    return _Read(codes, codec_header, "a bare array: length and level are assumed", None)


def _find(fingerprint: str, model: str | None) -> tuple[ModelHeader | None, str]:
    """The model of the codes, or a note that there is none. Raises ModelError: `model` is given and is a wrong one."""
    try:
        return read_model_header(find_for_decoding(fingerprint, model).path), ""
    except ModelError as error:
        if model is not None:
            raise
        return None, str(error)


def _inspection(content: bytes, where: str, read: _Read) -> Inspection:
    codes, codec_header, note, header, _ = read
    described: Codes | Header | None = codes or header
    assert described is not None
    seconds, gain = described.samples / described.sample_rate, described.gain
    in_codes = codec_header.features.dynamic_range is None if codec_header else gain == 1
    codebooks = _codebook_use(codes, codec_header) if codes else ()
    number, length = codes.indices.shape if codes else (header.books, header.length(_ASSUMED)) if header else (0, 0)
    widths = [(size - 1).bit_length() for size in codec_header.codewords[:number]] if codec_header else []
    span = length / codec_header.features.code_rate if codec_header else seconds  # the last code reaches beyond the end
    fixed = sum(width * book.codes for width, book in zip(widths, codebooks, strict=False)) / span
    entropy = sum(codebook.entropy * codebook.codes for codebook in codebooks) / span
    return Inspection(
        file=where,
        format=f".sqc version {header.version}" if header else ".npy",
        size=len(content),
        header_size=header.size if header else None,
        blocks=sum(1 for _ in sqc.blocks(length, header.block)) if header and codes else None,
        coder=header.coder if header else None,
        tables=bool(header and header.coder == "tables"),
        seconds=seconds,
        samples=described.samples,
        sample_rate=described.sample_rate,
        silent=not gain,
        level=20 * float(np.log10(PEAK * gain)) if gain and not in_codes else None,
        model=model_name(codec_header.path) if codec_header else None,
        fingerprint=codes.fingerprint if codes else header.identity if header else None,
        speaker=codes.speaker if codes else None,
        codes=sum(codebook.codes for codebook in codebooks) if codebooks else number * length,
        books=codebooks,
        nominal_bit_rate=fixed if fixed else None,
        entropy_bit_rate=entropy if codebooks else None,
        bit_rate=8 * len(content) / seconds,
        bits_over_time=read.bits_over_time,
        note=note,
    )


def _codebook_use(codes: Codes, codec_header: ModelHeader | None) -> tuple[CodebookUse, ...]:
    codebooks = []
    for number, every in enumerate(codes.indices):
        row = every if codes.stages is None else every[codes.stages > number]
        size = codec_header.codewords[number] if codec_header and number < len(codec_header.codewords) else None
        counts = np.bincount(row, minlength=size or 0)
        probability = counts[counts > 0] / counts.sum()
        entropy = float(-(probability * np.log2(probability)).sum()) + 0.0
        parts = np.array_split(counts, max(1, min(_BINS, len(counts))))
        codebooks.append(
            CodebookUse(
                codewords=size,
                codes=len(row),
                in_use=int((counts > 0).sum()),
                entropy=entropy,
                perplexity=2**entropy if len(row) else 0.0,
                histogram=tuple(int(part.sum()) for part in parts),
            )
        )
    return tuple(codebooks)


def _draw(indices: NDArray[np.int64], rate: float, target: Path) -> None:
    """Draw codes [K, T], -1 where there is none, at `rate` per second, and their histogram.

    Raises SqcodecError: it cannot be written.
    """
    from matplotlib.figure import Figure

    from sqcodec.report.figure import write_figure

    figure = Figure(figsize=(11, 3 * len(indices)), layout="constrained")
    axes = figure.subplots(len(indices), 2, squeeze=False, width_ratios=(3, 1))
    for (left, right), row, number in zip(axes, indices, range(len(indices)), strict=True):
        there = np.flatnonzero(row >= 0)
        left.plot(there / rate, row[there], ".", markersize=2)
        left.set(xlabel="time, s", ylabel=f"code of codebook {number}")
        right.hist(row[there], bins=_BINS, orientation="horizontal")
        right.set(xlabel="count")
    write_figure(figure, target)
