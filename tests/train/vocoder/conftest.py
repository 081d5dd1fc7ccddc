"""A store of synthetic speech with real features, and vocoder recipes small enough to train in a second."""

import numpy as np
import pytest
import torch

from sqcodec.corpus.store import StoredUtterance, assemble, open_store, write_shard
from sqcodec.features.mel import extract
from sqcodec.spectrogram import FEATURES, PEAK
from tests.conftest import speech_like

TRAIN = (
    "vocoder.train.steps=8", "vocoder.train.batch=2", "vocoder.train.frames=16", "vocoder.train.log_every=2",
    "vocoder.train.save_every=4", "vocoder.train.evaluate_every=4", "vocoder.train.evaluate_files=1",
    "vocoder.train.precision=32-true",
)  # fmt: skip
ISTFT = (
    *TRAIN, "vocoder.dim=16", "vocoder.hidden=24", "vocoder.layers=2", "vocoder.refinement.iterations=1",
    "vocoder.losses.resolutions=[512, 128]", "vocoder.discriminators.start=2", "vocoder.discriminators.frames=10",
    "vocoder.discriminators.periods.members=[2, 3]", "vocoder.discriminators.periods.channels=[2, 4]",
    "vocoder.discriminators.resolutions.members=[512]", "vocoder.discriminators.resolutions.channels=[2, 2]",
)  # fmt: skip
WORLD = (
    *TRAIN, "vocoder.dim=16", "vocoder.hidden=24", "vocoder.layers=2", "vocoder.lookahead=5", "vocoder.envelope=24",
    "vocoder.minutes=0.05",
)  # fmt: skip


def make_sound_store(folder, *, kind="log-mel", lengths=(16000, 24000, 40000)):
    """Utterances of `lengths` samples to train on, at several levels, and one of 2 s to test on."""
    config = FEATURES[kind]

    def utterance(name, samples, seed, gain):
        sound = speech_like(samples, seed=seed)
        sound *= np.float32(gain * PEAK / np.abs(sound).max())
        features = extract(torch.from_numpy(sound), config).numpy()
        return StoredUtterance(name, "someone", features, sound / np.float32(gain), gain)

    folder.mkdir(parents=True)
    train = [utterance(f"t{i}", samples, i, 0.5 / (i + 1)) for i, samples in enumerate(lengths)]
    write_shard(folder / "a", train, [])
    write_shard(folder / "b", [utterance("u", 32000, 9, 0.7)], [])
    assemble(
        folder / "store", {"train": [folder / "a"], "test": [folder / "b"]}, config=config,
        digest=f"sound {kind} {lengths}", section={"kind": "folder"}, reports=[], report_text="",
    )  # fmt: skip
    return folder / "store"


@pytest.fixture
def sound_store(tmp_path):
    return make_sound_store(tmp_path / "corpus")


@pytest.fixture
def opened(sound_store):
    return open_store(sound_store)
