"""The costs that a search sees are nearly those that the context model has."""

from pathlib import Path

import numpy as np
import pytest

import sqcodec
from sqcodec.bitstream.context_coder import Part, states_of
from sqcodec.bitstream.context_costs import ContextCosts
from sqcodec.bitstream.context_model import STATE_BITS
from sqcodec.bitstream.entropy_tables import TOTAL
from tests.bitstream.examples import make_context, walk

LENGTHS = (60, 41)
SHIPPED = Path(sqcodec.__file__).parent / "models" / "speech16k" / "model.safetensors"


def parts_of(books: int, size: int) -> list[Part]:
    rng = np.random.default_rng(3)
    parts = []
    for length in LENGTHS:
        stages = rng.integers(1, books + 1, length).astype(np.uint8)
        codes = walk(length, books, size, length)
        codes[np.arange(books)[:, None] >= stages] = 0
        parts.append(Part(codes, stages))
    return parts


def test_costs_of_the_model_that_ships() -> None:
    model = sqcodec.load(SHIPPED, device="cpu").space.context
    assert model is not None
    parts, costs = parts_of(model.books, model.size), ContextCosts(model)
    for part, exact, state in zip(parts, states_of(parts, model), costs.states(parts), strict=True):
        assert np.abs(exact / 2.0**STATE_BITS - state).max() < 0.04  # steps of 1/128 at each of the gates' inputs
        layers, given = model.layers(exact, model.books), costs.layers(state, model.books)
        sums, seen = np.zeros((len(state), model.dim), np.int32), np.zeros((len(state), 1, model.dim), np.float32)
        for stage in range(model.books):
            frequencies = model.frequencies(stage, layers[:, stage], sums, ends=stage > 0)
            probabilities = frequencies / TOTAL
            nats = costs.nats(stage, given[stage], seen, ends=stage > 0)[:, 0]
            assert nats.shape == frequencies.shape
            wrong = (probabilities * (nats + np.log(probabilities))).sum(axis=1)  # of what a code costs, in the mean
            assert np.abs(wrong).mean() < 0.001  # of some 3 nats
            sums = model.add(sums, stage, part.codes[stage])
            seen = seen + costs.words(stage, part.codes[stage])[:, None]


def test_several_sums_of_a_frame_and_one_frame_after_another() -> None:
    costs = ContextCosts(make_context(3, 16))
    (part, _), rng = parts_of(3, 16), np.random.default_rng(4)
    (states,) = costs.states([part])
    state = np.zeros((1, costs.hidden), np.float32)
    for time in range(5):
        assert state[0] == pytest.approx(states[time], abs=1e-5)
        sums = sum(costs.words(k, part.codes[k, time]) for k in range(part.stages[time]))
        state = costs.advance(state, sums[None], part.stages[time : time + 1])
    sums = rng.normal(size=(len(states), 3, costs.dim)).astype(np.float32)
    layer = costs.layers(states, 2)[1]
    together = costs.nats(1, layer, sums, ends=True)
    assert together.shape == (len(states), 3, 17)
    for number in range(3):
        alone = costs.nats(1, layer, sums[:, number : number + 1], ends=True)
        assert together[:, number] == pytest.approx(alone[:, 0], abs=1e-4)
