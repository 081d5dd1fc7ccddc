"""A tiny store of synthetic spectrograms and a recipe small enough to train in a second."""

import numpy as np
import pytest

from sqcodec.corpus.store import StoredUtterance, assemble, write_shard
from sqcodec.recipe import load_recipe
from sqcodec.spectrogram import FEATURES

SMALL = (
    "network.channels=16", "network.gru=8", "network.speaker_dim=4", "quantizer.codewords=16", "quantizer.dim=4",
    "train.batch=4", "train.frames=8", "train.steps=20", "train.log_every=5", "train.save_every=10",
    "train.evaluate_every=10", "train.milestones=[12]", "train.temperature_rate=0.01",
)  # fmt: skip


def make_store(folder, *, samples=(4000, 9000, 16000), level=1.0, kind="paper-mel"):
    """Three utterances of two speakers to train on, two to test on, one of them of an unseen speaker."""
    random = np.random.default_rng(0)

    def utterance(name, speaker, length):
        frames = FEATURES[kind].frame_count(length)
        slow = np.cumsum(random.normal(size=(80, frames)), axis=1) * 0.05
        return StoredUtterance(name, speaker, (level * slow).astype(np.float32), np.zeros(length, np.float32), 0.5)

    shards = {"train": [folder / "a"], "test": [folder / "b"]}
    folder.mkdir()
    train = [utterance(f"t{i}", f"s{i % 2}", length) for i, length in enumerate(samples)]
    write_shard(folder / "a", train, [])
    write_shard(folder / "b", [utterance("u0", "s1", 8123), utterance("u1", "stranger", 5000)], [])
    assemble(
        folder / "store", shards, config=FEATURES[kind], digest=f"tiny {samples} {level}", section={"kind": "folder"},
        reports=[], report_text="",
    )  # fmt: skip
    return folder / "store"


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "corpus")


@pytest.fixture
def recipe():
    return load_recipe("zerospeech2019", SMALL)
