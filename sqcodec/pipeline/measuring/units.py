"""Discrete units as vectors: the verbs `abx` and `bitrate`, on files of vectors or straight from a model.

A file of vectors is text, one vector per line, numbers separated by spaces (ZeroSpeech 2019), or `.npy` [T, D].
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from sqcodec.corpus.abx_task import Item, read_task
from sqcodec.corpus.audio import AudioSource
from sqcodec.corpus.folder import find_recordings
from sqcodec.corpus.leaderboard import place
from sqcodec.corpus.recordings import files_below
from sqcodec.errors import CorpusError
from sqcodec.metrics.abx import AbxError, Triples, abx_error
from sqcodec.metrics.distance import Kind
from sqcodec.metrics.zerospeech import UnitRates, unit_rates
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.finding.models import find_for_encoding
from sqcodec.report.table import number, plain

FILE_RATE = 50.0  # vectors per second of files, which do not say, as of the challenge's baseline and our 16 kHz models
Vectors = NDArray[np.float64]


@dataclass(frozen=True)
class _Folder:
    """Vectors in files below a folder, by their paths without suffix."""

    root: Path
    paths: dict[str, Path]
    rate: float = FILE_RATE

    def read(self, name: str) -> Vectors:
        """The vectors [T, D] of a file. Raises CorpusError: there is none, or it cannot be read."""
        path = self.find(name)
        if path is None:
            raise CorpusError(f"{self.root}: got no {name}.txt or {name}.npy, expected one for each file of the task")
        return read_vectors(path)

    def find(self, name: str) -> Path | None:
        """The file of this name; or, where it or the name has more folders, the one whose last folders are the same, so
        that `test/S002` and `S002` are one and `s1/001` and `s2/001` are two. None: there is none, or several."""
        if name in self.paths:
            return self.paths[name]
        wanted = PurePath(name).parts
        found = [path for parts, path in self._by_stem.get(wanted[-1], ()) if _end_alike(parts, wanted)]
        return found[0] if len(found) == 1 else None

    @cached_property
    def _by_stem(self) -> dict[str, list[tuple[tuple[str, ...], Path]]]:
        stems: dict[str, list[tuple[tuple[str, ...], Path]]] = {}
        for name, path in self.paths.items():
            parts = PurePath(name).parts
            stems.setdefault(parts[-1], []).append((parts, path))
        return stems


def _end_alike(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """Whether one is the end of the other."""
    least = min(len(first), len(second))
    return first[-least:] == second[-least:]


@dataclass(frozen=True)
class _Model:
    """Codewords of a model for recordings below a folder."""

    codec: Codec
    root: Path
    paths: dict[str, Path]

    @property
    def rate(self) -> float:
        """Vectors per second."""
        return self.codec.features.code_rate

    def read(self, name: str) -> Vectors:
        """The codewords [T, D] of a recording. Raises CorpusError: there is none of this name."""
        if name not in self.paths:
            raise CorpusError(f"{self.root}: got no recording {name}, expected one for each file of the task")
        return codewords_of(self.codec, AudioSource(self.paths[name]).read(self.codec.sample_rate))


def codewords_of(codec: Codec, samples: NDArray[np.float32]) -> Vectors:
    """The codewords [T, D] of a recording [N] at the codec's rate; of several codebooks their sum."""
    codes = codec.encode(
        samples, codec.sample_rate, speaker=codec.speakers[0] if codec.speakers else None
    )  # it changes no code
    with torch.inference_mode():
        indices = torch.from_numpy(codes.used)[None]
        device = next(codec.model.parameters()).device
        vectors: Vectors = codec.model.quantizer.decode(indices.to(device))[0].cpu().double().numpy()
    return vectors


def read_vectors(path: Path) -> Vectors:
    """Vectors [T, D] of a text file or an `.npy`. Raises CorpusError: unreadable, empty, or lines of unlike lengths."""
    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as file:
                values = np.load(file, allow_pickle=False).astype(np.float64)
                if file.read(1):
                    raise ValueError("more behind the array, as in codes of 'sqcodec encode'; `bitrate` takes vectors")
        else:
            lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
            values = np.array(lines, dtype=np.float64) if lines else np.empty((0, 0))
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path}: cannot be read ({error}); expected a vector a line, all of one length") from None
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise CorpusError(f"{path}: got {values.shape} numbers, expected finite vectors [T, D], at least one")
    return cast("Vectors", values)


def find_vectors(root: Path) -> dict[str, Path]:
    """Files of vectors below a folder by path without suffix. Raises CorpusError: none, or two of one name."""
    paths = files_below(root, (".txt", ".npy"))
    if not paths:
        raise CorpusError(f"{root}: got no files of vectors, expected .txt or .npy in it or below it")
    found: dict[str, Path] = {}
    for path in paths:
        other = found.setdefault(path.relative_to(root).with_suffix("").as_posix(), path)
        if other is not path:
            raise CorpusError(f"{path}: has the same name as {other}; names count without suffix, remove one")
    return found


def abx(
    task_file: Path,
    *,
    features: Path | None,
    model: str | None,
    data: Path | None,
    distance: str,
    frequency: float | None = None,
    device: str = "cpu",
) -> AbxError:
    """ABX error of files of vectors (`features`), or of a model's codewords for recordings in `data`.

    frequency: vectors per second, for items that are cut out of files; None: the model's, or 50.
    Raises CorpusError: task, vectors or recordings are missing or wrong; MetricError: vectors that the distance cannot
    compare.
    """
    task = read_task(task_file)
    source = _source(features, model, data, device)
    frequency = source.rate if frequency is None else frequency
    known: dict[str, Vectors] = {}
    sequences = []
    for item in task.items:
        if item.file not in known:
            known[item.file] = source.read(item.file)
        sequences.append(cut(known[item.file], item, frequency))
    contexts = ([Triples(*cell[1:]) for cell in cells] for cells in task.contexts)
    return abx_error(sequences, contexts, cast("Kind", distance))


def _source(features: Path | None, model: str | None, data: Path | None, device: str) -> _Folder | _Model:
    if (features is None) == (data is None):
        raise CorpusError("got both or neither of files of vectors and recordings, expected FEATURES or `data` DIR")
    if features is not None:
        return _Folder(features, find_vectors(features))
    assert data is not None
    return _Model(open_codec(find_for_encoding(model).path, device), data, find_recordings(data))


def cut(vectors: Vectors, part: Item, frequency: float) -> Vectors:
    """The vectors whose centres (t + 1/2) / frequency lie from onset to offset; the nearest one where none does."""
    if part.onset is None or part.offset is None:
        return vectors
    first = int(np.ceil(part.onset * frequency - 0.5))
    last = int(np.floor(part.offset * frequency - 0.5))
    if first > last:
        first = last = round((part.onset + part.offset) / 2 * frequency - 0.5)
    first = min(max(0, first), len(vectors) - 1)
    return vectors[first : max(first, min(last, len(vectors) - 1)) + 1]


def bit_rate(features: Path, *, data: Path | None, list_file: Path | None) -> UnitRates:
    """Bit rates of files of vectors: of those that a list names (`name seconds` per line), or of all with a recording.

    Raises CorpusError: neither or both of list and recordings, a file that is missing, or one that cannot be read.
    """
    if (data is None) == (list_file is None):
        raise CorpusError("got both or neither of recordings and a list, expected `data` DIR or `list_file` FILE")
    source = _Folder(features, find_vectors(features))
    seconds = _listed(list_file) if list_file is not None else _durations(source, cast("Path", data))
    if not seconds:
        raise CorpusError(f"{data}: got no recording of the name of a file in {features}, expected at least one")
    vectors = [source.read(name) for name in seconds]
    if len({rows.shape[1] for rows in vectors}) > 1:
        raise CorpusError(f"{features}: got vectors of different lengths, expected one length in all files")
    numbers = np.unique(np.concatenate(vectors), axis=0, return_inverse=True)[1].astype(np.int64).ravel()
    ends = np.cumsum([len(rows) for rows in vectors])[:-1]
    return unit_rates(np.split(numbers, ends), sum(seconds.values()))


def _listed(path: Path) -> dict[str, float]:
    """Names without suffix and seconds, of lines such as `test/S002_0379088085.txt 4.25`."""
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        listed = {str(Path(name).with_suffix("")): float(seconds) for name, seconds in lines}
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path}: cannot be read ({error}); expected lines of a name and seconds") from None
    for name, seconds in listed.items():
        if not 0 < seconds < math.inf:
            raise CorpusError(f"{path}: {name}: got {seconds:g} s, expected the length of a recording")
    return listed


def _durations(source: _Folder, data: Path) -> dict[str, float]:
    """Seconds of the recordings that have vectors. Raises CorpusError: two have the same ones."""
    seconds, owners = dict[str, float](), dict[Path, Path]()
    for name, path in sorted(find_recordings(data).items()):
        if (vectors := source.find(name)) is None:
            continue
        if vectors in owners:
            raise CorpusError(f"{vectors}: of {owners[vectors]} or of {path}; name it as the recording, folders too")
        owners[vectors], seconds[name] = path, AudioSource(path).seconds
    return seconds


def leaderboard(name: str, *, abx: float | None, bit_rate: float | None) -> str:
    """A table of the published entries with a result among them, marked by an arrow."""
    rows: list[Sequence[Any]] = [("", "system", "year", "ABX %", "bit/s", "CER", "MOS", "similarity")]
    for entry in place(name, abx=abx, bit_rate=bit_rate):
        mark = "->" if entry.year is None else ""
        figures = zip(entry[2:], (2, 1, 2, 2, 2), strict=True)
        rows.append(
            (mark, entry.system, str(entry.year or "now"), *(number(value, places) for value, places in figures))
        )
    width = max(len(row[1]) for row in rows)
    return plain([(row[0], row[1].ljust(width), *row[2:]) for row in rows])
