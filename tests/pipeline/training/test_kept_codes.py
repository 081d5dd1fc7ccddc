"""Codes that trainings learn from: found once, kept, and gone on with after a stop."""

import os
import signal

import numpy as np
import pytest
import torch

from sqcodec.bitstream.context_model import ContextModel
from sqcodec.corpus.store import FeatureStore, open_store
from sqcodec.errors import StoppedError, TrainingError
from sqcodec.model.assembly import build_codec
from sqcodec.model.blockwise import with_context
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.pipeline.training import kept_codes
from sqcodec.pipeline.training.kept_codes import prefix_codes, searched_codes
from sqcodec.train.context_network import ContextNetwork, integer_grid, to_integers
from tests.train.vocoder.conftest import make_sound_store
from tests.train.vocoder.test_joint_trainer import recipe_of

LENGTHS = (16000, 24240, 170_080)  # samples, 1.0 and 1.5 s, and more than a block; frames: 101, 152, 1064
CODES = [51, 76, 532]


@pytest.fixture
def store(tmp_path) -> FeatureStore:
    return open_store(make_sound_store(tmp_path / "corpus", lengths=LENGTHS))


@pytest.fixture
def codec() -> SpectrogramCodec:
    torch.manual_seed(0)
    return build_codec(recipe_of()).eval()


@pytest.fixture
def model(codec) -> ContextModel:
    torch.manual_seed(1)
    return to_integers(ContextNetwork(integer_grid(codec.quantizer.effective_codebook), hidden=6, width=5))


def test_the_codes_of_a_store_are_those_that_the_codec_finds_with_any_number_of_stages(store, codec, tmp_path):
    found = prefix_codes(codec, store, "train", tmp_path)
    assert found.lengths == CODES
    first = 0
    for row, length in zip(store.splits["train"].rows, found.lengths, strict=True):
        padded = with_context(codec, torch.from_numpy(store.splits["train"].features_of(row)))
        for stages in (1, 2, 3):
            alone = codec.encode(padded[None], codebooks=stages)[0].numpy()
            cut = found.cut(slice(first, first + length), np.full(length, stages))
            np.testing.assert_array_equal(cut[:stages], alone)
            assert (cut[stages:] == -1).all()
        first += length
    assert (np.diff(found.errors.astype(float), axis=1).mean(axis=0) < 0).all()


def test_they_are_found_once(store, codec, model, tmp_path):
    seen: list[tuple[int, int]] = []

    def finding(done, total):
        seen.append((done, total))

    prefixes = [prefix_codes(codec, store, "train", tmp_path, finding) for _ in range(2)]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    searched = [searched_codes(codec, store, "train", model, tmp_path, finding) for _ in range(2)]
    assert seen == 2 * [(1, 3), (2, 3), (3, 3)]
    for one, other in (prefixes, searched):
        assert one.lengths == other.lengths
        assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(one[:2], other[:2], strict=True))
    assert searched[0].lengths == np.repeat(CODES, 2).tolist()  # at two prices
    prefix_codes(codec, store, "test", tmp_path, finding)  # another split
    with torch.no_grad():
        next(codec.encoder.parameters()).mul_(1.5)
    others = prefix_codes(codec, store, "train", tmp_path, finding)  # of another encoder, with the same codewords
    assert seen[6:] == [(1, 1), (1, 3), (2, 3), (3, 3)]
    assert not np.array_equal(others.codes, prefixes[0].codes)
    names = sorted(path.name.partition("-")[0] for path in (tmp_path / "codes").iterdir())
    assert names == ["test", "train"]  # what nobody needs any more is gone


@pytest.mark.parametrize("searching", [False, True])
def test_a_stop_keeps_those_that_are_found(store, codec, model, tmp_path, searching):
    seen: list[int] = []

    def find(folder, stop_at):
        def finding(done, _total):
            seen.append(done)
            if done == stop_at:
                os.kill(os.getpid(), signal.SIGTERM)

        if searching:
            return searched_codes(codec, store, "train", model, folder, finding)
        return prefix_codes(codec, store, "train", folder, finding)

    folder = tmp_path / "stopped"
    for stop_at in (1, 2, 3):  # asked to at the last one, it stops all the same
        text = rf"^stopped at utterance {stop_at} of 3, their codes are saved in .*; the same command goes on from here"
        with pytest.raises(StoppedError, match=text):
            find(folder, stop_at)
    parts, whole = find(folder, None), find(tmp_path / "whole", None)
    assert seen == [1, 2, 3, 1, 2, 3]
    assert parts.lengths == whole.lengths
    for one, other in zip(parts[:2], whole[:2], strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert len(list(folder.rglob("*.npz"))) == 1  # what was kept for a while is gone


def test_now_and_then_those_that_are_found_are_saved(store, codec, tmp_path, monkeypatch):
    """So that a process that is killed has lost minutes."""
    monkeypatch.setattr(kept_codes, "_EVERY", 0.0)
    there = []

    def finding(done, _total):
        there.append(len(list(tmp_path.rglob("*.first.npz"))))
        if done == 3:
            raise MemoryError

    with pytest.raises(MemoryError):
        prefix_codes(codec, store, "train", tmp_path, finding)
    assert there == [0, 1, 1]
    seen: list[int] = []
    prefix_codes(codec, store, "train", tmp_path, lambda done, _total: seen.append(done))
    assert seen == [3]


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut", None])
@pytest.mark.parametrize("suffix", [".npz", ".first.npz"])
def test_a_damaged_file_is_named(store, codec, tmp_path, content, suffix):
    prefix_codes(codec, store, "train", tmp_path)
    path = next(tmp_path.rglob("*.npz"))
    path.unlink()
    damaged = path.with_suffix(suffix)
    if content is None:
        np.savez(damaged, others=np.zeros(3))
    else:
        damaged.write_bytes(content)
    with pytest.raises(
        TrainingError, match=rf"^{damaged}: damaged, or not of sqcodec \(.+\); remove it, it is made anew$"
    ):
        prefix_codes(codec, store, "train", tmp_path)
    damaged.unlink()
    assert prefix_codes(codec, store, "train", tmp_path).lengths == CODES
