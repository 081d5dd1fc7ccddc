"""The verb `score`: every metric of a pair of recordings, and of two folders of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sqcodec.corpus.audio import AudioSource
from sqcodec.corpus.folder import find_recordings
from sqcodec.errors import AudioError, CorpusError, MetricError
from sqcodec.metrics import external, recogniser, speaker_encoder
from sqcodec.metrics.alignment import MAX_DELAY, locate, remove_delay
from sqcodec.metrics.bootstrap import Mean, bootstrap_mean
from sqcodec.metrics.mcd import McdDefinition
from sqcodec.metrics.pair_scores import PACKAGES, Group, installed_groups, is_installed
from sqcodec.metrics.signals import METRIC_RATE
from sqcodec.metrics.wer import word_error_rate, words
from sqcodec.pipeline.parallel import in_parallel
from sqcodec.report.table import Column, Figure, figure_text, plain

Signal = NDArray[np.float32]

_STRANGE = 0.4  # agreement: codecs have .8 or more at 400 bit/s, other recordings and late ones .35 or less
_PART, _SPARE = 0.1, METRIC_RATE // 2  # of the longer signal, and samples, by which lengths may differ without a note

COLUMNS = {
    column.key: column
    for column in (
        Column("bit_rate", "Bit rate", "bit/s", None, 0),
        Column("db2", "Spectral error", "dB²", "lower", 2),
        Column("pesq", "PESQ wb", "", "higher", 2),
        Column("stoi", "STOI", "", "higher", 3),
        Column("estoi", "ESTOI", "", "higher", 3),
        Column("dnsmos", "DNSMOS", "", "higher", 2),
        Column("dnsmos_p808", "DNSMOS P.808", "", "higher", 2),
        Column("distillmos", "DistillMOS", "", "higher", 2),
        Column("mcd", "MCD", "dB", "lower", 2),
        Column("f0_rmse", "F0 RMSE", "Hz", "lower", 1),
        Column("f0_cents", "F0 RMSE", "cent", "lower", 0),
        Column("gross_pitch", "Gross pitch error", "%", "lower", 1),
        Column("voicing", "Voicing error", "%", "lower", 1),
        Column("lsd", "Log-spectral distance", "dB", "lower", 2),
        Column("mr_stft", "Multi-res. STFT", "", "lower", 3),
        Column("si_sdr", "SI-SDR", "dB", "higher", 1),
        Column("level", "Level", "dB", None, 1),
        Column("mos", "Predicted MOS", "", "higher", 2),
        Column("wer", "Word error rate", "%", "lower", 1),
        Column("speaker", "Speaker similarity", "", "higher", 3),
        Column("delay", "Delay", "ms", None, 2),
    )
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to compute: the definition of MCD, whether delays are removed, the user's recogniser, speaker encoder and
    predictor of quality.

    asr, sv, mos: a command or an ONNX model. only: the columns that are wanted; None: all.
    """

    mcd: McdDefinition
    align: bool
    asr: str | None
    sv: str | None
    mos: str | None
    only: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class FileScores:
    """Scores of one file by column, why others could not be computed, and its delay in samples (None: not looked for).

    words: of the transcript, where they were compared. aligned: the degraded signal as it was scored. lengths: samples
    of reference and degraded signal. agreement: of the two at this delay, as of `metrics.alignment`; None: not known.
    """

    scores: dict[str, float]
    failed: dict[str, str]
    delay: int | None
    words: int
    aligned: Signal = field(repr=False)
    lengths: tuple[int, int] = (0, 0)
    agreement: float | None = None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Of many files: mean and interval by column, for how many files each failed, and notes for the user.

    unread: why recordings could not be read, by name; `files` does not count them.
    """

    means: dict[str, Mean]
    failed: dict[str, int]
    files: int
    notes: tuple[str, ...]
    unread: dict[str, str]


def score_signals(reference: Signal, degraded: Signal, settings: Settings, *, text: str | None = None) -> FileScores:
    """Every metric of [N] and [M] at 16 kHz. text: the transcript; None: the recogniser's for the reference."""
    found = locate(reference, degraded) if settings.align else None
    delay = (found.samples if found else 0) if settings.align else None
    aligned = remove_delay(degraded, delay or 0, len(reference))
    scores: dict[str, float] = {} if delay is None else {"delay": 1e3 * delay / METRIC_RATE}
    failed: dict[str, str] = {}
    for keys, group in _groups(settings, text):
        try:
            scores |= group(reference, aligned)
        except MetricError as error:
            failed |= dict.fromkeys(keys, str(error))
    count = int(scores.pop("words", 0))
    lengths = len(reference), len(degraded)
    return FileScores(
        scores=scores, failed=failed, delay=delay, words=count, aligned=aligned, lengths=lengths,
        agreement=found.agreement if found else None,
    )  # fmt: skip


def _groups(settings: Settings, text: str | None) -> list[tuple[tuple[str, ...], Group]]:
    """Metrics that are computed together, with the columns they fill; those whose package is missing left out."""
    groups = installed_groups(settings.mcd)
    if asr := settings.asr:
        groups.append((("wer",), lambda first, second: _word_errors(first, second, asr, text)))
    if sv := settings.sv:
        groups.append((("speaker",), lambda first, second: {"speaker": external.similarity(first, second, sv)}))
    if mos := settings.mos:
        groups.append((("mos",), lambda _, second: {"mos": external.predict_quality(second, mos)}))
    return [(keys, group) for keys, group in groups if settings.only is None or set(keys) & set(settings.only)]


def _word_errors(reference: Signal, degraded: Signal, asr: str, text: str | None) -> dict[str, float]:
    """The word error rate, and the number of words that it is of."""
    expected = external.transcribe(reference, asr) if text is None else text
    return {"wer": word_error_rate(expected, external.transcribe(degraded, asr)), "words": len(words(expected))}


def left_out(settings: Settings) -> tuple[str, ...]:
    """A note for each figure that is left out with these settings and this installation."""
    notes = [
        f"{', '.join(COLUMNS[key].title for key in keys)}: left out, the package {package} is not installed;"
        " install sqcodec[eval]"
        for package, keys in PACKAGES.items()
        if not is_installed(package) and (settings.only is None or set(keys) & set(settings.only))
    ]
    if settings.asr is None:
        notes.append("Word error rate: left out, no recogniser was named (`asr` pocketsphinx, COMMAND or MODEL.onnx)")
    if settings.sv is None:
        notes.append(
            "Speaker similarity: left out, no speaker encoder was named (`sv` resemblyzer, COMMAND or MODEL.onnx)"
        )
    if settings.mos is None:
        notes.append("Predicted MOS: left out, no predictor was named (`mos` COMMAND or MODEL.onnx)")
    return tuple(notes)


def columns_of(settings: Settings) -> dict[str, Column]:
    """The columns as they are shown: MCD names its definition, a predicted MOS the ONNX model that gives it."""
    mcd = COLUMNS["mcd"]._replace(title=f"MCD ({settings.mcd})")
    predictor = Path(settings.mos or "")
    mos = COLUMNS["mos"]._replace(title=f"MOS ({predictor.stem})") if predictor.suffix == ".onnx" else COLUMNS["mos"]
    return COLUMNS | {"mcd": mcd, "mos": mos}


def summarise(files: Sequence[FileScores]) -> tuple[dict[str, Mean], dict[str, int]]:
    """Means with intervals of what could be computed, and for how many files each column could not.

    The word error rate is of all words together.
    """
    keys = [key for key in COLUMNS if any(key in file.scores or key in file.failed for file in files)]
    means = {key: _mean([file for file in files if key in file.scores], key) for key in keys}
    failed = {key: count for key in keys if (count := sum(key in file.failed for file in files))}
    return means, failed


def _mean(files: Sequence[FileScores], key: str) -> Mean:
    weights = [file.words for file in files] if key == "wer" else None
    return bootstrap_mean([file.scores[key] for file in files], weights=weights)


def make_settings(
    *, mcd: str, align: bool, asr: str | None = None, sv: str | None = None, mos: str | None = None
) -> Settings:
    """`Settings` of words from the command line. Raises MetricError: no such recogniser, encoder or predictor."""
    for name, package in ((asr, recogniser.PACKAGE), (sv, speaker_encoder.PACKAGE), (mos, None)):
        if name is not None:
            external.check(name, package)
    return Settings(mcd=cast("McdDefinition", mcd), align=align, asr=asr, sv=sv, mos=mos)


def as_tree(summary: Summary) -> dict[str, Any]:
    """For JSON: by column mean, interval, files with a figure and files without."""
    columns = {
        key: {**mean._asdict(), "failed": summary.failed.get(key, 0), "unit": COLUMNS[key].unit}
        for key, mean in summary.means.items()
    }
    return {"files": summary.files, "columns": columns, "notes": list(summary.notes), "unread": summary.unread}


def as_text(summary: Summary, settings: Settings) -> str:
    """A table of a line a column, for a terminal."""
    columns = columns_of(settings)
    rows = [("", "mean [95 % interval]", "files")]
    for key, mean in summary.means.items():
        cell = Figure(*mean, failed=summary.failed.get(key, 0))
        rows.append((columns[key].heading, figure_text(cell, columns[key]), str(mean.files)))
    return plain(rows)


def score_folders(
    reference: Path, degraded: Path, settings: Settings, *, jobs: int = 1, backend: str = "local"
) -> Summary:
    """Score every recording below `degraded` (or the one file) against the one of its name below `reference`.

    Names count without suffix. Recordings that cannot be read are left out and listed in `unread`.
    Raises CorpusError: nothing to compare, or a recording without its reference; AudioError: no such folder.
    """
    pairs = _pairs(reference, degraded)
    missing = len(_named(reference)) - len(pairs) if reference.is_dir() else 0
    score = partial(_score_pair, settings=settings)
    scored = dict(in_parallel(score, list(pairs.items()), jobs=jobs, backend=backend))
    read = [file for name in pairs if isinstance(file := scored[name], FileScores)]
    means, failed = summarise(read)
    unpaired = (f"{missing} of the reference recordings have nothing to compare in {degraded}",) if missing else ()
    return Summary(
        means=means,
        failed=failed,
        files=len(read),
        notes=(
            *unpaired,
            *_unlike(pairs, scored),
            *_strange(pairs, scored),
            *reasons(file.failed for file in read),
            *left_out(settings),
        ),
        unread={name: reason for name in pairs if isinstance(reason := scored[name], str)},
    )


def _unlike(names: Iterable[str], scored: Mapping[str, FileScores | str]) -> list[str]:
    """A note on recordings that are far shorter or longer than their references, which lowers their figures."""
    pairs = [(name, file.lengths) for name in names if isinstance(file := scored[name], FileScores)]
    unlike = [(name, pair) for name, pair in pairs if max(pair) - min(pair) > max(_SPARE, _PART * max(pair))]
    if not unlike:
        return []
    name, (one, other) = unlike[0]
    text = f"{name} has {other / METRIC_RATE:.2f} s, its reference {one / METRIC_RATE:.2f} s"
    more = f", and {len(unlike) - 1} more are as unlike" if len(unlike) > 1 else ""
    return [f"{text}{more}: the reference's length is scored, what is missing counts as silence"]


def _strange(names: Iterable[str], scored: Mapping[str, FileScores | str]) -> list[str]:
    """A note on recordings that agree with their references at no delay: figures of others mean nothing."""
    files = [(name, file) for name in names if isinstance(file := scored[name], FileScores)]
    strange = [name for name, file in files if file.agreement is not None and file.agreement < _STRANGE]
    if not strange:
        return []
    more, within = f" and {len(strange) - 1} more" if len(strange) > 1 else "", 1000 * MAX_DELAY // METRIC_RATE
    return [
        f"{strange[0]}{more}: hardly like the reference at any delay within {within} ms: another recording, a longer"
        " delay, or noise; such figures say little"
    ]


def reasons(failed: Iterable[Mapping[str, str]]) -> list[str]:
    """For each column that could not be computed: for how many files, and the first reason. failed: of each file."""
    files = list(failed)
    found: dict[str, list[str]] = {}
    for file in files:
        for key, reason in file.items():
            found.setdefault(key, []).append(reason)
    counted = ((COLUMNS[key].title, f"{len(why)} of {len(files)}: {why[0]}") for key, why in found.items())
    texts = (f"{title}: not computed for {text}" for title, text in counted)
    return list(dict.fromkeys(texts))  # of F0 RMSE there are two, in Hz and cents


def _score_pair(pair: tuple[str, tuple[Path, Path]], *, settings: Settings) -> tuple[str, FileScores | str]:
    """The scores of a name's recordings, or why one cannot be read. pair: the name, (reference, degraded)."""
    name, (reference, degraded) = pair
    try:
        one, other = (AudioSource(path).read(METRIC_RATE) for path in (reference, degraded))
    except AudioError as error:
        return name, str(error)
    scored = score_signals(one, other, settings)
    return name, replace(scored, aligned=scored.aligned[:0].copy())  # a large folder's sound does not fit into memory


def _pairs(reference: Path, degraded: Path) -> dict[str, tuple[Path, Path]]:
    if not reference.is_dir() and not degraded.is_dir():
        return {degraded.stem: (reference, degraded)}
    first, second = _named(reference), _named(degraded)
    if lost := sorted(second.keys() - first.keys()):
        raise CorpusError(
            f"{degraded}: {len(lost)} recordings have no reference of their name in {reference} (the first: {lost[0]})"
        )
    return {name: (first[name], path) for name, path in second.items()}


def _named(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        found = "a file" if folder.exists() else "missing: no such folder"
        raise AudioError(f"{folder}: {found}; expected two folders, or two recordings")
    return find_recordings(folder)
