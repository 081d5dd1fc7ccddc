"""The feature store: for each split one array of features, one of audio, and an index; complete or absent.

    <store>/store.json              format, feature configuration, digest of what it was made from, counts
    <store>/<split>/features.npy    float16 [T, F], all utterances one after the other
    <store>/<split>/audio.npy       int16 [N], at the features' sample rate, each utterance divided by its gain
    <store>/<split>/index.jsonl     one `StoreRow` a line

It is made of shards in `<store>.partial/`; each of them, and the store itself, appears by one rename.
"""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import CorpusError
from sqcodec.spectrogram import FeatureConfig
from sqcodec.storage import write_json, written_folder

FORMAT = 1
_HEADER = "store.json"
_FULL_SCALE = 32767


@dataclass(frozen=True)
class StoreRow:
    """Where one utterance lies: `frames` from row `frame` of the features, `samples` from `sample` of the audio.

    gain: what a decoder multiplies its peak-normalised output by (the recording's peak / 0.999).
    """

    name: str
    speaker: str
    frame: int
    frames: int
    sample: int
    samples: int
    gain: float


@dataclass(frozen=True, eq=False)
class StoreSplit:
    """One split: features float16 [T, F], audio int16 [N] (peak-normalised), one row per utterance."""

    features: NDArray[np.float16]
    audio: NDArray[np.int16]
    rows: tuple[StoreRow, ...]

    def features_of(self, row: StoreRow, start: int = 0, frames: int | None = None) -> NDArray[np.float32]:
        """Features [F, t] of an utterance: `frames` of them (None: all that follow) from frame `start` on."""
        first, stop = row.frame + start, row.frame + (row.frames if frames is None else start + frames)
        return self.features[first:stop].astype(np.float32).T

    def sound(
        self, row: StoreRow, start: int = 0, samples: int | None = None, *, gain: float = 1.0
    ) -> NDArray[np.float32]:
        """Sound [n] of an utterance times gain: `samples` (None: all that follow) from sample `start` on.

        Its peak is 1 with a gain of 1; `row.gain` brings it to the level of the recording.
        """
        first, stop = row.sample + start, row.sample + (row.samples if samples is None else start + samples)
        return self.audio[first:stop].astype(np.float32) * np.float32(gain / _FULL_SCALE)


@dataclass(frozen=True, eq=False)
class FeatureStore:
    """An opened store; its arrays are memory-mapped. digest: of the recordings and settings it was made from.

    corpus: the kind of corpus it holds (`vctk`, ...), None if the store has no such entry.
    """

    folder: Path
    features: FeatureConfig
    splits: dict[str, StoreSplit]
    digest: str
    corpus: str | None


class StoredUtterance(NamedTuple):
    """What a store keeps of one recording: features [F, T] and audio [N] divided by gain."""

    name: str
    speaker: str
    features: NDArray[np.float32]
    audio: NDArray[np.float32]
    gain: float


class Report(NamedTuple):
    """A remark on one recording: its reason, which is counted, and details."""

    name: str
    reason: str
    detail: str
    skipped: bool


def open_store(folder: Path) -> FeatureStore:
    """Open a store that `sqcodec prep` made.

    Raises CorpusError: there is none in `folder`, it is of another format, its files do not fit each other, or a `prep`
    replaced it meanwhile.
    """
    header = _read_header(folder)
    splits = {name: _open_split(folder, name, header) for name in header["splits"]}
    if _read_header(folder) != header:
        raise CorpusError(f"{folder}: replaced by another store while it was opened; run the command again")
    return FeatureStore(
        folder=folder,
        features=_configuration(folder, header),
        splits=splits,
        digest=str(header["digest"]),
        corpus=header.get("corpus"),
    )


def store_digest(folder: Path) -> str | None:
    """The digest of the store in `folder`; None if there is none.

    Raises CorpusError: `folder` holds something else.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    return str(_read_header(folder)["digest"])


def corpus_section(folder: Path) -> dict[str, Any] | None:
    """The section `corpus` of the recipe that the store in `folder` was made with; None: no store, or one of an earlier
    version. Raises CorpusError: `folder` holds something else."""
    if store_digest(folder) is None:
        return None
    section: dict[str, Any] | None = _read_header(folder).get("section")
    return section


def record_section(folder: Path, section: Mapping[str, Any]) -> None:
    """Keep in the store the section `corpus` that it is of. Raises CorpusError: no store, or it cannot be written."""
    if (header := _read_header(folder)).get("section") != dict(section):
        write_json(folder / _HEADER, header | {"section": dict(section)}, error=CorpusError)


def read_reports(folder: Path) -> list[Report]:
    """The reports of a shard or a store."""
    lines = (folder / "reports.jsonl").read_text(encoding="utf-8").splitlines()
    return [Report(**json.loads(line)) for line in lines]


def write_shard(shard: Path, utterances: Iterable[StoredUtterance], reports: Sequence[Report]) -> None:
    """Write some utterances of one split to the folder `shard`, which appears complete or not at all."""
    with written_folder(shard, replace=True, error=CorpusError) as draft:
        rows, frame, sample = [], 0, 0
        with (draft / "features.f16").open("wb") as features, (draft / "audio.i16").open("wb") as audio:
            for item in utterances:
                features.write(np.ascontiguousarray(item.features.T, dtype="<f2").tobytes())
                audio.write(np.round(item.audio * _FULL_SCALE).clip(-_FULL_SCALE, _FULL_SCALE).astype("<i2").tobytes())
                frames, samples = item.features.shape[1], len(item.audio)
                rows.append(StoreRow(item.name, item.speaker, frame, frames, sample, samples, item.gain))
                frame, sample = frame + frames, sample + samples
        _write_lines(draft / "index.jsonl", [asdict(row) for row in rows])
        _write_lines(draft / "reports.jsonl", [report._asdict() for report in reports])


def assemble(
    store: Path,
    shards: dict[str, list[Path]],
    *,
    config: FeatureConfig,
    digest: str,
    section: Mapping[str, Any],
    reports: Sequence[Report],
    report_text: str,
) -> None:
    """Join the shards of each split and let the finished store appear as the folder `store`, in place of an older one.

    section: `corpus` of the recipe. Splits without an utterance are left out. The shards' folder, `<store>.partial/`,
    is gone at the end.
    """
    with written_folder(store, replace=True, error=CorpusError) as draft:  # `store_digest` has refused a foreign folder
        counts = {split: _join(draft / split, folders, config.n_mels) for split, folders in shards.items()}
        header = {
            "format": FORMAT,
            "features": config.as_dict(),
            "digest": digest,
            "corpus": section["kind"],
            "splits": {split: count for split, count in counts.items() if count["utterances"]},
            "section": dict(section),
        }
        _write_lines(draft / "reports.jsonl", [report._asdict() for report in reports])
        (draft / "report.txt").write_text(report_text, encoding="utf-8", errors="surrogateescape")
        (draft / _HEADER).write_text(json.dumps(header, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(partial_folder(store), ignore_errors=True)  # not there, where the shards lay elsewhere


def partial_folder(store: Path) -> Path:
    """Where the shards of a store are made."""
    return store.with_name(f"{store.name}.partial")


def shard_counts(shard: Path) -> int:
    """Number of utterances in a shard."""
    return len((shard / "index.jsonl").read_text(encoding="utf-8").splitlines())


def _join(folder: Path, shards: Sequence[Path], n_mels: int) -> dict[str, Any]:
    """Write one split; the arrays are copied file by file, so that memory does not grow with the corpus."""
    rows: list[StoreRow] = []
    frame = sample = 0
    for shard in shards:
        for row in _read_rows(shard / "index.jsonl"):
            rows.append(StoreRow(row.name, row.speaker, frame, row.frames, sample, row.samples, row.gain))
            frame, sample = frame + row.frames, sample + row.samples
    if rows:
        folder.mkdir(parents=True)
        _join_arrays(folder / "features.npy", [shard / "features.f16" for shard in shards], "<f2", (frame, n_mels))
        _join_arrays(folder / "audio.npy", [shard / "audio.i16" for shard in shards], "<i2", (sample,))
        _write_lines(folder / "index.jsonl", [asdict(row) for row in rows])
    speakers = sorted({row.speaker for row in rows})
    return {"utterances": len(rows), "speakers": speakers, "frames": frame, "samples": sample}


def _join_arrays(path: Path, parts: Sequence[Path], dtype: str, shape: tuple[int, ...]) -> None:
    with path.open("wb") as out:
        _write_npy_header(out, dtype, shape)
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, out, 1 << 20)


def _write_npy_header(out: BinaryIO, dtype: str, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(out, {"descr": dtype, "fortran_order": False, "shape": shape})


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _read_rows(path: Path) -> list[StoreRow]:
    return [StoreRow(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _read_header(folder: Path) -> dict[str, Any]:
    path = folder / _HEADER
    if not path.is_file():
        got = "other files" if folder.is_dir() and any(folder.iterdir()) else "nothing"
        raise CorpusError(
            f"{folder}: got {got}, expected a feature store (store.json);"
            f" 'sqcodec prep RECIPE' with `data` CORPUS and `out` {folder} makes one"
        )
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
        found = header["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise CorpusError(
            f"{path}: not the header of a feature store ({error!r}); remove {folder} and make it again"
        ) from error
    if found != FORMAT:
        raise CorpusError(f"{path}: got store format {found}, expected {FORMAT}; remove {folder} and make it again")
    assert isinstance(header, dict)
    return header


def _configuration(folder: Path, header: dict[str, Any]) -> FeatureConfig:
    try:
        return FeatureConfig(**header["features"])
    except (TypeError, KeyError) as error:
        raise CorpusError(
            f"{folder / 'store.json'}: its features cannot be read ({error}); remove {folder} and make it again"
        ) from error


def _open_split(folder: Path, name: str, header: dict[str, Any]) -> StoreSplit:
    try:
        rows = tuple(_read_rows(folder / name / "index.jsonl"))
        features = np.load(folder / name / "features.npy", mmap_mode="r", allow_pickle=False)
        audio = np.load(folder / name / "audio.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise CorpusError(f"{folder / name}: broken ({error}); remove {folder} and make it again") from error
    expected = ((sum(row.frames for row in rows), header["features"]["n_mels"]), (sum(row.samples for row in rows),))
    if (features.shape, audio.shape) != expected or (features.dtype, audio.dtype) != (np.float16, np.int16):
        raise CorpusError(
            f"{folder / name}: got arrays {features.shape} and {audio.shape}, the index says {expected[0]} and"
            f" {expected[1]}; remove {folder} and make it again"
        )
    return StoreSplit(features=features, audio=audio, rows=rows)
