import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sqcodec.corpus import store
from sqcodec.corpus.store import Report, StoredUtterance, StoreRow
from sqcodec.errors import CorpusError
from sqcodec.spectrogram import FEATURES

CONFIG = FEATURES["paper-mel"]


def utterance(name: str, frames: int) -> StoredUtterance:
    random = np.random.default_rng(frames)
    features = random.random((80, frames), dtype=np.float32)
    audio = random.uniform(-0.999, 0.999, frames * 160 - 3).astype(np.float32)
    return StoredUtterance(name, f"speaker of {name}", features, audio, 0.5)


def build(folder: Path, digest: str = "d") -> list[StoredUtterance]:
    items = [utterance("a", 3), utterance("b", 5), utterance("c", 4)]
    shards = [store.partial_folder(folder) / "shards" / str(n) for n in range(3)]
    store.write_shard(shards[0], items[:2], [Report("x", "silent", "got nothing", True)])
    store.write_shard(shards[1], [], [])
    store.write_shard(shards[2], items[2:], [])
    store.assemble(
        folder, {"train": shards[:], "test": [shards[1]]}, config=CONFIG, digest=digest, section={"kind": "folder"},
        reports=store.read_reports(shards[0]), report_text="text\n",
    )  # fmt: skip
    return items


def test_a_row_gives_its_features_and_its_sound(tmp_path: Path) -> None:
    second = build(tmp_path / "s")[1]
    split = store.open_store(tmp_path / "s").splits["train"]
    row = split.rows[1]
    # float16 keeps 11 bits of numbers below 1, int16 steps of 1 / 32767
    np.testing.assert_allclose(split.features_of(row), second.features, rtol=0, atol=2**-11)
    np.testing.assert_allclose(split.sound(row), second.audio, rtol=0, atol=0.5 / 32767 + 1e-7)
    assert np.array_equal(split.features_of(row, 1, 3), split.features_of(row)[:, 1:4])
    assert np.array_equal(split.sound(row, 100, 50), split.sound(row)[100:150])
    assert split.sound(row, gain=row.gain) == pytest.approx(0.5 * split.sound(row), rel=1e-6)
    assert (split.features_of(row).dtype, split.sound(row).dtype) == (np.float32, np.float32)


def test_a_store_carries_its_whole_configuration(tmp_path: Path) -> None:
    """At 16 kHz its header is as it was; another rate is written and read."""
    build(tmp_path / "s")
    assert "sample_rate" not in json.loads((tmp_path / "s" / "store.json").read_text("utf-8"))["features"]
    config = replace(CONFIG, sample_rate=24000, hop_length=240)
    store.write_shard(tmp_path / "shard", [utterance("a", 3)], [])
    store.assemble(
        tmp_path / "other", {"train": [tmp_path / "shard"]}, config=config, digest="d", section={"kind": "folder"},
        reports=[], report_text="",
    )  # fmt: skip
    assert store.open_store(tmp_path / "other").features == config


def test_round_trip(tmp_path: Path) -> None:
    items = build(tmp_path / "s")
    opened = store.open_store(tmp_path / "s")
    assert (opened.folder, opened.features, opened.digest) == (tmp_path / "s", CONFIG, "d")
    assert opened.corpus == "folder"
    assert list(opened.splits) == ["train"]  # a split without utterances is left out
    split = opened.splits["train"]
    assert split.rows[2] == StoreRow("c", "speaker of c", 8, 4, 477 + 797, 637, 0.5)
    for item, row in zip(items, split.rows, strict=True):
        features = split.features[row.frame : row.frame + row.frames]
        audio = split.audio[row.sample : row.sample + row.samples]
        np.testing.assert_array_equal(features, item.features.T.astype(np.float16))
        np.testing.assert_array_equal(audio, np.round(item.audio * 32767).astype(np.int16))
    assert isinstance(split.features, np.memmap)
    assert isinstance(split.audio, np.memmap)
    assert not store.partial_folder(tmp_path / "s").exists()
    assert store.read_reports(tmp_path / "s") == [Report("x", "silent", "got nothing", True)]


def test_a_new_store_replaces_an_older_one(tmp_path: Path) -> None:
    build(tmp_path / "s", "old")
    build(tmp_path / "s", "new")
    assert store.store_digest(tmp_path / "s") == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_store_digest_of_nothing_and_of_something_else(tmp_path: Path) -> None:
    assert store.store_digest(tmp_path / "absent") is None
    assert store.store_digest(tmp_path) is None
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(
        CorpusError, match=r"got other files, expected a feature store \(store.json\); 'sqcodec prep RECIPE'"
    ):
        store.store_digest(tmp_path)


def test_open_store_names_the_folder_and_the_command(tmp_path: Path) -> None:
    with pytest.raises(CorpusError) as error:
        store.open_store(tmp_path / "s")
    assert str(error.value) == (
        f"{tmp_path / 's'}: got nothing, expected a feature store (store.json);"
        f" 'sqcodec prep RECIPE' with `data` CORPUS and `out` {tmp_path / 's'} makes one"
    )


def test_open_store_refuses_what_does_not_fit(tmp_path: Path) -> None:
    build(tmp_path / "s")
    header = tmp_path / "s" / "store.json"
    good = header.read_text()
    header.write_text(json.dumps({**json.loads(good), "format": 99}))
    with pytest.raises(CorpusError, match=r"got store format 99, expected 1; remove .* and make it again"):
        store.open_store(tmp_path / "s")
    header.write_text("[]")
    with pytest.raises(CorpusError, match="not the header of a feature store"):
        store.open_store(tmp_path / "s")
    header.write_text(good)
    np.save(tmp_path / "s" / "train" / "audio.npy", np.zeros(5, np.int16))
    with pytest.raises(CorpusError, match=r"got arrays \(12, 80\) and \(5,\), the index says \(12, 80\) and \(1911,\)"):
        store.open_store(tmp_path / "s")
    (tmp_path / "s" / "train" / "features.npy").write_bytes(b"")
    with pytest.raises(CorpusError, match=r"train: broken \("):
        store.open_store(tmp_path / "s")


def test_a_store_that_is_replaced_while_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "s", "old")
    opened = store._open_split

    def open_and_replace(folder: Path, *others: object) -> object:
        split = opened(folder, *others)  # type: ignore[arg-type]
        build(tmp_path / "s", "new")
        return split

    monkeypatch.setattr(store, "_open_split", open_and_replace)
    with pytest.raises(CorpusError, match="s: replaced by another store while it was opened; run the command again"):
        store.open_store(tmp_path / "s")
    monkeypatch.undo()
    assert store.open_store(tmp_path / "s").digest == "new"
