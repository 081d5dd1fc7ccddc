"""ABX against loops over every triple, and its value for known units."""

import time
from pathlib import Path

import numpy as np
import pytest

from sqcodec.corpus.abx_task import read_task
from sqcodec.errors import MetricError
from sqcodec.metrics.abx import Triples, abx_error
from sqcodec.metrics.distance import KINDS, pair_distances
from sqcodec.metrics.dtw import warp_path
from sqcodec.metrics.zerospeech import unit_rates
from tests import reference

ORACLES = {
    "cosine": lambda x, y: reference.warped_distance(x, y, reference.angle),
    "kl": lambda x, y: reference.warped_distance(x, y, reference.symmetric_kl),
    "levenshtein": lambda x, y: reference.edits([tuple(v) for v in x], [tuple(v) for v in y]),
    "levenshtein-normalised": lambda x, y: (
        reference.edits([tuple(v) for v in x], [tuple(v) for v in y]) / max(len(x), len(y))
    ),
}


def units(rng: np.random.Generator, count: int, *, books: int = 6, dim: int = 5, longest: int = 9) -> list[np.ndarray]:
    """Sequences [T, dim] of a few non-negative codewords, so that ties occur; one codeword is zero but for kl."""
    codebook = rng.random((books, dim))
    return [codebook[rng.integers(0, books, size=rng.integers(1, longest))] for _ in range(count)]


def task_of(tmp_path: Path, phones, contexts, speakers, rng, count):
    """An item file of `count` items of random labels, and the labels."""
    labels = [tuple(str(rng.choice(list(of))) for of in (phones, contexts, speakers)) for _ in range(count)]
    lines = [f"f{n} 0 1 {phone} {context} z {speaker}" for n, (phone, context, speaker) in enumerate(labels)]
    path = tmp_path / "task.item"
    path.write_text("#file onset offset #phone prev-phone next-phone speaker\n" + "\n".join(lines) + "\n")
    return read_task(path), labels


def contexts_of(task):
    return [[Triples(*cell[1:]) for cell in cells] for cells in task.contexts]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_distances_are_the_oracle_s(kind) -> None:
    rng = np.random.default_rng(1)
    sequences = units(rng, 12)
    if kind != "kl":
        sequences[3] = sequences[3] * 0.0  # frames of zeros
    pairs = np.array([(i, j) for i in range(12) for j in range(12)])
    got = pair_distances(sequences, pairs, kind)
    expected = [ORACLES[kind](sequences[i], sequences[j]) for i, j in pairs]
    # float64 sums; near 0 the angle's slope is infinite: 1e-16 in the cosine is 1e-8 in the angle
    assert got == pytest.approx(expected, abs=1e-7 if kind == "cosine" else 1e-12)
    assert not got[pairs[:, 0] == pairs[:, 1]].any()  # a sequence is at 0 from itself, exactly


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_error_is_the_oracle_s(kind, tmp_path) -> None:
    rng = np.random.default_rng(2)
    for _ in range(3):
        task, labels = task_of(tmp_path, "pqr", "uv", "stw", rng, 26)
        sequences = units(rng, 26)
        items = [(*label, sequence) for label, sequence in zip(labels, sequences, strict=True)]
        expected = reference.abx_error(items, ORACLES[kind])
        got = abx_error(sequences, contexts_of(task), kind)
        assert got.error == pytest.approx(expected, abs=1e-9)  # the same decisions; means of float64
        assert got.low <= got.error <= got.high


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_random_codes_are_at_chance(kind, tmp_path) -> None:
    rng = np.random.default_rng(3)
    task, _ = task_of(tmp_path, "pqrmnk", "uvwxy", "stw", rng, 1500)
    got = abx_error(units(rng, 1500, books=50), contexts_of(task), kind)
    assert got.low <= 50.0 <= got.high
    assert got.high - got.low < 3.0  # an interval of a few percent, or the test says nothing


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_identical_items_are_never_confused(kind, tmp_path) -> None:
    rng = np.random.default_rng(4)
    task, labels = task_of(tmp_path, "pqrm", "uv", "stw", rng, 200)
    said = dict(zip("pqrm", units(rng, 4), strict=True))
    assert abx_error([said[phone] for phone, _, _ in labels], contexts_of(task), kind).error == 0.0


def test_equal_items_everywhere_are_ties(tmp_path) -> None:
    rng = np.random.default_rng(5)
    task, _ = task_of(tmp_path, "pq", "u", "st", rng, 30)
    constant = np.full((1, 7), 0.3)
    sequences = [constant.repeat(length, 0) for length in rng.integers(1, 12, size=30)]
    for kind in ("cosine", "kl"):  # lengths differ, distances do not: warping takes them up
        assert abx_error(sequences, contexts_of(task), kind).error == 50.0


def test_a_path_is_the_cheapest() -> None:
    distance = np.array([[0.0, 9.0, 9.0], [9.0, 0.0, 0.0], [9.0, 9.0, 0.0]])
    assert warp_path(distance).tolist() == [[0, 0], [1, 1], [2, 2]]  # as cheap as over (1, 2), and shorter


@pytest.mark.slow
def test_ten_thousand_pairs_of_fifty_frames_take_less_than_a_minute() -> None:
    rng = np.random.default_rng(6)
    sequences = [rng.normal(size=(50, 64)) for _ in range(200)]
    pairs = rng.integers(0, 200, size=(10_000, 2))
    pair_distances(sequences, pairs[:2], "cosine")  # compile
    start = time.process_time()
    pair_distances(sequences, pairs, "cosine")
    assert time.process_time() - start < 60  # seconds of all cores together: other work on the machine does not count


@pytest.mark.parametrize(
    ("sequences", "kind", "text"),
    [
        ([np.ones((2, 3)), np.ones((2, 4))], "cosine",
         "got frames of sizes [(3,), (4,)], expected sequences [T, D] of one D"),
        ([np.ones((2, 3)), np.ones((0, 3))], "cosine", "got a sequence without frames, expected at least one"),
        ([np.ones((2, 3)), np.full((1, 3), np.nan)], "cosine", "got frames that are not finite"),
        ([np.ones((2, 3)), -np.ones((1, 3))], "kl",
         "kl: got negative numbers or frames of zeros, expected probabilities; use cosine"),
    ],
)  # fmt: skip
def test_units_that_cannot_be_compared_are_refused(sequences, kind, text) -> None:
    with pytest.raises(MetricError) as error:
        pair_distances(sequences, np.array([[0, 1]]), kind)
    assert str(error.value) == text


def test_the_challenge_s_rate_and_a_decoder_s() -> None:
    got = unit_rates([np.array([0, 1, 0, 1]), np.array([2, 0])], seconds=0.5)
    share = np.array([3, 2, 1]) / 6
    assert got.challenge == pytest.approx(6 * -(share * np.log2(share)).sum() / 0.5)
    # Krichevsky-Trofimov by hand: each symbol costs -log2((seen + 1/2) / (coded + 3/2))
    chances = [(0.5, 1.5), (0.5, 2.5), (1.5, 3.5), (1.5, 4.5), (0.5, 5.5), (2.5, 6.5)]
    assert got.adaptive == pytest.approx(-sum(np.log2(a / b) for a, b in chances) / 0.5)
    assert got.fixed == 6 * 2 / 0.5
    assert (got.vectors, got.distinct, got.seconds) == (6, 3, 0.5)
    assert got.challenge < got.adaptive


def test_one_vector_costs_nothing() -> None:
    got = unit_rates([np.zeros(9, np.int64)], seconds=1.0)
    assert (got.challenge, got.fixed) == (0.0, 0.0)
    assert got.adaptive == pytest.approx(0.0, abs=1e-9)  # logarithms of gamma functions that cancel
