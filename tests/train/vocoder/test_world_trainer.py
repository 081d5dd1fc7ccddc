"""The WORLD vocoder, trained for a moment on the speech that ships: pitch and voicing of its round trip."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from sqcodec.corpus.store import open_store
from sqcodec.errors import TrainingError
from sqcodec.features.mel import extract
from sqcodec.metrics import pitch
from sqcodec.pipeline.training.prepare import prepare
from sqcodec.pipeline.training.train_vocoder import train_vocoder
from sqcodec.recipe import load_recipe
from sqcodec.spectrogram import FEATURES
from sqcodec.train.vocoder.world_targets import chosen_rows, world_targets
from sqcodec.vocoder.vocoder_file import load_vocoder
from sqcodec.vocoder.world import analyse, synthesise
from tests.train.conftest import make_store

pytestmark = pytest.mark.slow  # most of them need the training

SPEECH = Path(__file__).parents[3] / "recipes/tiny/speech/VCTK-Corpus-0.92/wav48_silence_trimmed"
BRIEFLY = (
    "vocoder.dim=96", "vocoder.hidden=192", "vocoder.layers=3", "vocoder.lookahead=12", "vocoder.minutes=2",
    "vocoder.train.steps=500", "vocoder.train.batch=8", "vocoder.train.frames=100", "vocoder.train.evaluate_every=500",
    "vocoder.train.evaluate_files=1", "vocoder.train.averaging=0.98", "vocoder.train.learning_rate=2e-3",
    "vocoder.train.precision=32-true", "vocoder.train.save_every=500", "corpus.test_fraction=0.15",
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The store of the speech that ships, and a vocoder trained on it."""
    folder = tmp_path_factory.mktemp("world")
    prepare("world", data=SPEECH, out=folder / "store", overrides=BRIEFLY)
    recipe = load_recipe("world", BRIEFLY)
    done = train_vocoder(
        recipe, folder / "store", folder / "run", device="cpu", resume=False, report=lambda entry: None
    )
    return open_store(folder / "store"), load_vocoder(done.folder / "vocoder.safetensors", FEATURES["log-mel"])


def test_the_round_trip_keeps_pitch_and_voicing(trained, record_property) -> None:
    store, vocoder = trained
    split, errors = store.splits["test"], {"network": [], "pyworld": []}
    for row in split.rows:
        x = split.audio[row.sample : row.sample + row.samples].astype(np.float32) * np.float32(row.gain / 32767)
        features = extract(torch.from_numpy(x), FEATURES["log-mel"])
        made = np.concatenate(list(vocoder.render([features], len(x))))
        errors["network"].append(compared(x, made))
        errors["pyworld"].append(
            compared(
                x, np.resize(synthesise(analyse(x, FEATURES["log-mel"], envelope=40), FEATURES["log-mel"]), len(x))
            )
        )
    cents = {name: float(np.median(np.concatenate([one for one, _ in pairs]))) for name, pairs in errors.items()}
    voicing = {name: float(100 * np.mean([two for _, two in pairs])) for name, pairs in errors.items()}
    record_property("median F0 error, cents", cents)
    record_property("voicing error, %", voicing)
    print(cents, voicing)
    assert cents["network"] <= 25
    assert cents["pyworld"] <= 10
    assert voicing["network"] <= voicing["pyworld"] + 10


def compared(x, made):
    """|F0 error| in cents of frames voiced in both, and the share of frames whose voicing differs (dio's opinion)."""
    one, other = pitch.f0_track(x), pitch.f0_track(made)
    both = (one > 0) & (other > 0)
    return np.abs(1200 * np.log2(other[both] / one[both])), ((one > 0) != (other > 0)).mean()


def test_targets_are_computed_once(trained, monkeypatch) -> None:
    store, _ = trained
    rows = chosen_rows(store.splits["train"], 2, 100.0)
    kept = world_targets(store, rows, envelope=40)
    monkeypatch.setattr("sqcodec.train.vocoder.world_targets._in_processes", None)  # what is kept needs no analysis
    assert all(np.array_equal(a, b) for a, b in zip(kept, world_targets(store, rows, envelope=40), strict=True))
    assert all(values.shape == (row.frames, 42) for row, values in zip(rows, kept, strict=True))


def end_early(*_: object) -> None:
    os._exit(9)


def test_a_process_that_ends_early_is_an_error(tmp_path, monkeypatch) -> None:
    store = open_store(make_store(tmp_path / "corpus"))
    monkeypatch.setattr("sqcodec.train.vocoder.world_targets._analysed", end_early)
    with pytest.raises(TrainingError, match="^WORLD analysis: one of its processes ended early"):
        world_targets(store, store.splits["train"].rows, envelope=40)


def test_rows_are_chosen_evenly_to_fit_the_minutes(trained) -> None:
    split = trained[0].splits["train"]
    minutes = sum(row.frames for row in split.rows) / 6000
    assert chosen_rows(split, minutes + 1, 100.0) == list(split.rows)
    half = chosen_rows(split, minutes / 2, 100.0)
    assert half in (list(split.rows[::2]), list(split.rows[::3]))
    assert chosen_rows(split, 1e-6, 100.0) == [split.rows[0]]
