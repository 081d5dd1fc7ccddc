"""Crops of codes with their features and sound: what belongs together, at one level."""

import numpy as np
import pytest
import torch

from sqcodec.recipe import load_recipe
from sqcodec.train.prefix_codes import PrefixCodes
from sqcodec.train.vocoder.code_crops import CodeCrops, rates
from tests.train.vocoder.conftest import ISTFT

BOOKS, BEFORE, AFTER, FRAMES = 3, 5, 2, 16


@pytest.fixture
def crops(opened):
    """Crops of codes, and the split that they are of."""
    return crops_of(opened)


def crops_of(opened, *overrides):
    """Codes that name their utterance and place: in the first book code t of utterance u is 1000 u + t."""
    split = opened.splits["train"]
    lengths = [-(-row.frames // 2) for row in split.rows]
    first = np.concatenate([1000 * u + np.arange(length) for u, length in enumerate(lengths)])
    columns = np.concatenate([np.arange(n) for n in range(1, BOOKS + 1)])  # of 1 stage, of 2 stages, ...
    loud = np.where(first % 7 < 3, 40.0, 0.1)  # what is left of loud frames is worth more stages
    errors = loud[:, None] * 0.25 ** np.arange(BOOKS)
    coded = PrefixCodes((first[:, None] + columns).astype(np.uint16), errors.astype(np.float16), lengths)
    config = load_recipe("istft", (*ISTFT, "vocoder.train.batch=8", *overrides)).vocoder
    return CodeCrops(
        split, coded, opened.features, config.train, torch.device("cpu"), before=BEFORE, after=AFTER
    ), split


def test_codes_features_and_sound_are_of_one_place(crops):
    crops, split = crops
    stored = {}  # frame of features -> utterance and frame
    for number, row in enumerate(split.rows):
        for frame in range(row.frames):
            stored[split.features_of(row, frame, 1).astype(np.float16).tobytes()] = (number, frame)
    checked = 0
    for seed in range(4):
        batch = crops.draw(seed)
        assert batch.codes.shape == (8, BOOKS, BEFORE + FRAMES // 2 + 1 + AFTER)
        assert batch.features.shape == (8, 80, FRAMES)
        assert batch.sound.shape == (8, 160 * FRAMES)
        for row in range(8):
            first = (batch.features[row, :, 0] - batch.louder[row]).half().numpy()
            number, frame = stored.get(first.tobytes(), (None, None))
            if number is None:  # a band at the floor, or rounded
                continue
            skipped = int(batch.skipped[row])
            code = int(batch.codes[row, 0, skipped // 2])
            assert code == 1000 * number + frame // 2
            assert skipped % 2 == frame % 2
            checked += 1
    assert checked > 3


def test_half_of_the_crops_have_whole_books_and_half_have_stages_that_follow_the_errors(crops):
    crops, split = crops
    used, mixed, crops_seen = set(), 0, 0
    for seed in range(8):
        batch = crops.draw(seed)
        for row, mean in zip(batch.codes.numpy(), batch.stages, strict=True):
            inside = row[0] >= 0
            assert (np.diff(row[0][inside]) == 1).all()  # one piece of one utterance
            assert row[0][inside].max() % 1000 < -(-max(r.frames for r in split.rows) // 2)
            present = row[:, inside] >= 0
            assert (np.diff(present.astype(int), axis=0) <= 0).all()  # no stage without those before it
            assert (row[:, inside] == np.where(present, row[0][inside] + np.arange(BOOKS)[:, None], -1)).all()
            stages, loud = present.sum(axis=0), row[0][inside] % 7 < 3
            crops_seen += 1
            assert stages.min() <= mean <= stages.max()  # of the utterance, whose frames are like those of the crop
            if len(set(stages.tolist())) == 1:
                used.add(int(stages[0]))
            else:
                mixed += 1
                assert stages[loud].min() >= stages[~loud].max()
    assert used == {1, 2, 3}
    assert 0.2 < mixed / crops_seen < 0.6  # some means leave no choice


def test_a_seed_decides(crops):
    crops, _ = crops
    one, other, third = crops.draw(1), crops.draw(1), crops.draw(2)
    assert all(torch.equal(a, b) for a, b in zip(one[:-1], other[:-1], strict=True))
    assert one.stages == other.stages != third.stages
    assert not torch.equal(one.codes, third.codes)


def test_features_are_as_recorded_where_those_of_a_vocoder_alone_are_blurred(opened, crops):
    plain, smoothing = (made for made, _ in (crops, crops_of(opened, "vocoder.train.smoothing=1.0")))
    assert torch.equal(plain.draw(1).features, smoothing.draw(1).features)


def test_every_octave_of_the_rate_is_as_likely():
    books, means = rates(np.random.default_rng(0), 20_000, 10)
    drawn = means[means > 0]
    assert len(drawn) / len(means) == pytest.approx(0.5, abs=0.02)
    assert (books.min(), books.max()) == (1, 10)
    assert (books == 1).mean() == pytest.approx(np.log(2) / np.log(11), abs=0.02)
    assert (drawn >= 1).all()
    assert (drawn <= 10).all()
    assert np.quantile(np.log10(drawn), (0.25, 0.5, 0.75)) == pytest.approx((0.25, 0.5, 0.75), abs=0.02)
