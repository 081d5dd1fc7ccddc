"""True bit rates: what is asked is what the file takes, the better search costs less, and limits are said."""

from pathlib import Path

import numpy as np
import pytest
import torch

import sqcodec
from sqcodec.bitstream import sqc
from sqcodec.bitstream.context_coder import Part, frame_bits
from sqcodec.bitstream.context_costs import ContextCosts
from sqcodec.bitstream.equal_prices import nearest_prefixes, priced
from sqcodec.bitstream.rate_search import Codewords, Latents, Search, Sweep
from sqcodec.codes import Codes
from sqcodec.errors import CodesError
from sqcodec.features.loudness import code_weights, frame_powers
from sqcodec.pipeline.coding.rate_control import Goal, Options
from sqcodec.recording import ArrayRecording
from sqcodec.spectrogram import FEATURES
from tests.bitstream.examples import make_context
from tests.conftest import speech_like

SHIPPED = Path(sqcodec.__file__).parent / "models" / "speech16k" / "model.safetensors"


@pytest.fixture(scope="module")
def codec() -> sqcodec.Codec:
    return sqcodec.load(SHIPPED, device="cpu")


@pytest.fixture(scope="module")
def recording() -> ArrayRecording:
    """A minute of a sound with pauses."""
    return ArrayRecording(speech_like(16000 * 60), 16000)


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "effort"), [(450, 1), (600, 1), (800, 1), (1600, 1), (800, 2)])
def test_a_minute_has_its_bit_rate_within_2_per_cent(codec, recording, rate, effort) -> None:
    fitted = codec.encode_for(recording, Goal(bit_rate=rate, effort=effort))
    content = codec.pack(fitted.codes)
    assert content == fitted.content
    assert fitted.note == ""
    assert abs(8 * len(content) / 60 / rate - 1) < 0.02
    got = codec.unpack(content)
    assert np.array_equal(got.indices, fitted.codes.indices)
    assert np.array_equal(got.stages, fitted.codes.stages)


def test_beyond_the_limits_a_note_says_what_there_is(codec) -> None:
    short = ArrayRecording(speech_like(16000 * 4), 16000)
    most = codec.encode_for(short, Goal(bit_rate=9000))
    assert most.codes.stages is None
    assert most.content == codec.pack(most.codes)
    assert len(most.codes.indices) == 10
    assert most.note.startswith("`bitrate` 9000: all codebooks take ")
    least = codec.encode_for(short, Goal(bit_rate=20))
    assert least.note.startswith("`bitrate` 20: the least is ")
    assert least.codes.stages is not None
    assert least.codes.stages.mean() < 1.25  # recordings have 1.03 to 1.17


@pytest.mark.slow
def test_a_recording_fits_into_so_many_bytes(codec) -> None:
    short = ArrayRecording(speech_like(16000 * 3), 16000)
    for most in (140, 230, 500, 5000):
        fitted = codec.encode_for(short, Goal(max_bytes=most))
        size = len(codec.pack(fitted.codes))
        assert fitted.content == codec.pack(fitted.codes)
        assert size <= most
        assert size > 0.9 * most or most == 5000
    with pytest.raises(CodesError, match=r"`max_bytes` 20: this recording takes \d+ bytes at least") as caught:
        codec.encode_for(short, Goal(max_bytes=20))
    least = int(str(caught.value).split()[-4])
    for most in range(least, least + 40, 8):
        assert 0.8 * most < len(codec.encode_for(short, Goal(max_bytes=most)).content) <= most


@pytest.mark.slow
def test_more_bits_are_never_a_smaller_file_and_the_least_is_one(codec) -> None:
    short = ArrayRecording(speech_like(16000 * 2), 16000)
    every = [codec.encode_for(short, Goal(bit_rate=rate)) for rate in (20, 100, 300, 400, 500, 700, 1000, 9000)]
    sizes = [len(each.content) for each in every]
    assert sizes == sorted(sizes)
    least = {each.note.partition(": ")[2] for each in every if "least" in each.note}
    assert len(least) == 1


@pytest.mark.slow
def test_digital_silence_takes_what_it_needs_and_the_rest_has_its_rate(codec) -> None:
    sound, silence = speech_like(16000 * 6), np.zeros(16000 * 6, np.float32)
    half = ArrayRecording(np.concatenate([sound, silence]), 16000)
    for rate in (800, 1400):
        fitted = codec.encode_for(half, Goal(bit_rate=rate))
        assert (8 * len(fitted.content) / 12, fitted.note) == (pytest.approx(rate, rel=0.03), "")
    assert "more than" in codec.encode_for(half, Goal(bit_rate=1900)).note
    assert "all codebooks take" in codec.encode_for(half, Goal(bit_rate=3000)).note
    alone = ArrayRecording(silence, 16000)
    least = codec.encode_for(alone, Goal(bit_rate=20))
    assert "the least is" in least.note
    assert codec.encode_for(alone, Goal(max_bytes=len(least.content))).content == least.content
    assert codec.encode_for(alone, Goal(bit_rate=1e308)).codes.stages is None


def test_more_effort_costs_less_at_one_price(codec) -> None:
    short = ArrayRecording(speech_like(16000 * 3), 16000)
    _, latents = next(codec.encoder.latents([short], speaker=None))
    words, costs = codec.embeddings(), []
    for effort in (1, 2, 3):
        fitted = codec.encode_for(short, Goal(quality=8, effort=effort))
        codes = fitted.codes
        bits = np.array([8 * len(fitted.content)])
        part = Part(codes.indices, codes.stages)
        costs.append(cost(part, latents, words, bits, 10**-0.8))
    assert costs[0] > costs[1] > costs[2]


@pytest.mark.parametrize("bit_rate", [0, -5, float("nan")])
def test_a_rate_that_is_none_is_refused(codec, bit_rate) -> None:
    with pytest.raises(CodesError, match=f"`bitrate` {bit_rate}: expected bit/s, 1 or more"):
        codec.encode(speech_like(1600), 16000, bitrate=bit_rate)


def test_more_quality_takes_more_bits(codec) -> None:
    short = ArrayRecording(speech_like(16000 * 3), 16000)
    every = [codec.encode_for(short, Goal(quality=quality)) for quality in (0, 5, 10)]
    sizes = [len(each.content) for each in every]
    assert [codec.pack(each.codes) for each in every] == [each.content for each in every]
    assert sizes[0] < sizes[1] < sizes[2]


def test_decoding_leaves_out_what_a_frame_does_not_use(codec) -> None:
    """In both engines: the codes of one stage with 8 rows are those of one row."""
    codes = codec.encode(speech_like(16000), sample_rate=16000, codebooks=1)
    length = codes.indices.shape[1]
    padded = np.concatenate([codes.indices, np.zeros((7, length), np.uint16)])
    early = Codes(**{**vars(codes), "indices": padded, "stages": np.ones(length, np.uint8)})
    expected = np.concatenate(list(codec.engine.decode(codes.used, 0)), axis=1)
    assert np.array_equal(np.concatenate(list(codec.engine.decode(early.used, 0)), axis=1), expected)
    quantizer = codec.model.quantizer
    sums = [quantizer.decode(torch.from_numpy(each.used)[None]) for each in (early, codes)]
    assert torch.equal(*sums)


def random_latents(length: int, codebook: np.ndarray, seed: int = 0) -> Latents:
    rng = np.random.default_rng(seed)
    z = sum(book[rng.integers(len(book), size=length)] for book in codebook) + rng.normal(size=(length, 5)) * 0.3
    return Latents(z.astype(np.float32), rng.uniform(0.3, 3, length).astype(np.float32))


def cost(part: Part, latents: Latents, codebook: np.ndarray, bits: np.ndarray, price: float) -> float:
    sums = sum(np.where((part.stages > k)[:, None], codebook[k][part.codes[k]], 0) for k in range(len(part.codes)))
    return float((latents.weights * np.square(latents.z - sums).sum(axis=1)).sum() + price * bits.sum())


def test_the_search_finds_the_best_codes_of_a_frame() -> None:
    """One frame, whose context nothing changes: against all codes of up to 3 stages of 6 codewords."""
    model, price = make_context(3, 6), 0.05
    rng = np.random.default_rng(1)
    codebook = (rng.normal(size=(3, 6, 5)) * np.array([1, 0.6, 0.3])[:, None, None]).astype(np.float32)
    for seed in range(4):
        latents = random_latents(1, codebook, seed)
        every = []
        for n in (1, 2, 3):
            for number in range(6**n):
                codes = np.zeros((3, 1), np.uint16)
                codes[:n, 0] = [number // 6**k % 6 for k in range(n)]
                part = Part(codes, np.array([n], np.uint8))
                every.append((cost(part, latents, codebook, frame_bits([part], model, stops=True)[0], price), part))
        start = [Part(np.zeros((3, 1), np.uint16), np.ones(1, np.uint8))]
        sweep = Sweep(latents, start, Codewords(codebook), ContextCosts(model))
        found = sweep.ways(Search(price, 3, 36)).part(price)
        got = cost(found, latents, codebook, frame_bits([found], model, stops=True)[0], price)
        assert got <= min(least for least, _ in every) * 1.0001


def test_a_sweep_lowers_distortion_and_bits_together() -> None:
    model, price = make_context(3, 6), 0.02
    rng = np.random.default_rng(2)
    codebook = (rng.normal(size=(3, 6, 5)) * np.array([1, 0.6, 0.3])[:, None, None]).astype(np.float32)
    latents = random_latents(200, codebook)
    codes = rng.integers(0, 6, (3, 200)).astype(np.uint16)
    parts = [Part(codes, np.full(200, 3, np.uint8))]
    costs = []
    for _ in range(3):
        costs.append(cost(parts[0], latents, codebook, frame_bits(parts, model, stops=True)[0], price))
        sweep = Sweep(latents, parts, Codewords(codebook), ContextCosts(model))
        parts = [sweep.ways(Search(price, 3, 4)).part(price)]
    assert costs[0] > costs[1]
    assert costs[2] < 1.05 * costs[1]


def test_frames_end_where_a_stage_is_not_worth_its_bits() -> None:
    errors = np.array([[9.0, 1.0], [4.0, 0.9], [3.5, 0.1]], np.float32)
    assert priced(errors, 0.1, 8.0).tolist() == [2, 1]
    assert priced(errors, 0.0, 8.0).tolist() == [3, 3]


def test_the_prefixes_are_the_nearest_codes_stage_by_stage() -> None:
    rng = np.random.default_rng(5)
    codebook = rng.normal(size=(3, 4, 5)).astype(np.float32)
    latents = random_latents(30, codebook)
    found = nearest_prefixes(latents, Codewords(codebook))
    left = latents.z.astype(np.float64)
    for n in range(3):
        distances = np.square(left[:, None] - codebook[n]).sum(axis=2)
        assert np.array_equal(found.codes[n], distances.argmin(axis=1))
        left = left - codebook[n][found.codes[n]]
        assert found.errors[n] == pytest.approx(np.square(left).sum(axis=1) * latents.weights, rel=1e-3, abs=1e-4)


def test_ways_of_one_sweep_serve_near_prices() -> None:
    """Codes chosen at a price among the ways of another cost little more there than those that a search finds."""
    model = make_context(3, 6)
    rng = np.random.default_rng(7)
    codebook = (rng.normal(size=(3, 6, 5)) * np.array([1, 0.6, 0.3])[:, None, None]).astype(np.float32)
    latents = random_latents(300, codebook)
    start = [Part(np.zeros((3, 300), np.uint16), np.ones(300, np.uint8))]
    sweep = Sweep(latents, start, Codewords(codebook), ContextCosts(model))
    ways = sweep.ways(Search(0.05, 3, 4))
    for price in (0.04, 0.06):
        there = sweep.ways(Search(price, 3, 4))
        costs = [
            cost(each.part(price), latents, codebook, np.array([each.bits(price)]), price) for each in (ways, there)
        ]
        assert costs[0] == pytest.approx(costs[1], rel=0.01)
    bits = ways.bits(0.05)
    assert ways.bits(ways.price_of(0.97 * bits)) == pytest.approx(0.97 * bits, rel=0.01)
    assert ways.price_of(0.97 * bits) > 0.05


def test_a_sample_of_all_frames_has_the_states_before_them() -> None:
    model = make_context(3, 6)
    rng = np.random.default_rng(9)
    codebook = rng.normal(size=(3, 6, 5)).astype(np.float32)
    latents = random_latents(120, codebook)
    codes = rng.integers(0, 6, (3, 120)).astype(np.uint16)
    parts = [Part(codes[:, :70], np.full(70, 3, np.uint8)), Part(codes[:, 70:], np.full(50, 2, np.uint8))]
    costs = ContextCosts(model)
    sample, states = Sweep(latents, parts, Codewords(codebook), costs).sample
    assert np.array_equal(sample.z, latents.z)
    assert np.array_equal(states, np.concatenate(list(costs.states(parts))))


def test_a_sample_tells_the_price_of_so_many_bits() -> None:
    model = make_context(3, 6)
    rng = np.random.default_rng(8)
    codebook = (rng.normal(size=(3, 6, 5)) * np.array([1, 0.6, 0.3])[:, None, None]).astype(np.float32)
    latents = random_latents(4000, codebook)
    codes = rng.integers(0, 6, (3, 4000)).astype(np.uint16)
    parts = [Part(codes[:, first : first + 500], np.full(500, 3, np.uint8)) for first in range(0, 4000, 500)]
    sweep = Sweep(latents, parts, Codewords(codebook), ContextCosts(model))
    for wanted in (0.05, 0.3):
        bits = sweep.ways(Search(wanted, 3, 4)).bits(wanted)
        price = sweep.price_of(bits, Search(0.1, 3, 4))  # a guess that is far off
        taken = sweep.ways(Search(price, 3, 4))
        each = np.take_along_axis(taken.nats, taken.best(wanted)[:, None] - 1, axis=1)
        error = each.std() / each.mean() / np.sqrt(512)  # of a mean of so many frames
        assert taken.bits(price) == pytest.approx(bits, rel=3 * error)


def test_weights_follow_the_loudness_and_average_to_one() -> None:
    config = FEATURES["log-mel"]
    features = np.log(np.array([0.01, 0.01, 1.0, 1.0, 0.1], np.float32))[None].repeat(80, 0)
    powers = [frame_powers(block, config) for block in (features[:, :2], features[:, 2:])]
    weights = code_weights(powers, config, 0.46)
    assert weights.shape == (3,)
    assert weights.mean() == pytest.approx(1.0, abs=1e-6)
    assert weights[1] > weights[2] > weights[0] > 0.5
    assert code_weights(powers, config, 0.0) == pytest.approx(1.0)


def test_options_that_need_a_context_model() -> None:
    assert Options().goal("sqc", context_model=True) is None
    assert Options(codebooks=2).goal("sqc", context_model=True) is None
    assert Options(bit_rate=800).goal("sqc", context_model=False) is None  # nominal
    assert Options(bit_rate=800, effort=0).goal("sqc", context_model=True) is None
    assert Options(bit_rate=800, effort=3).goal("sqc", context_model=True) == Goal(bit_rate=800, effort=3)
    with pytest.raises(CodesError, match="^`quality` needs a .sqc and a model with a context model$"):
        Options(quality=3).goal("npy", context_model=False)
    with pytest.raises(CodesError, match="^`max_bytes` needs `coder` context and `effort` 1 to 3$"):
        Options(max_bytes=300, coder="tables", effort=0).goal("sqc", context_model=True)
    with pytest.raises(CodesError, match="`bitrate` and `max_bytes` exclude each other"):
        Options(bit_rate=800, max_bytes=100).goal("sqc", context_model=True)


@pytest.mark.slow
def test_a_file_of_frames_that_end_early_is_read_in_blocks(codec, recording) -> None:
    """The blocks of a minute begin anew: the second half of the file is that of the second half of the codes."""
    codes = codec.encode_for(recording, Goal(quality=4)).codes
    blocks = list(sqc.blocks(codes.indices.shape[1]))
    assert [block.stop - block.start for block in blocks] == [500, 500, 500, 500, 500, 501]
    assert codec.space.context is not None
    parts = [sqc.part_of(codes, block) for block in blocks]
    together = frame_bits(parts, codec.space.context, stops=True)
    alone = frame_bits(parts[3:4], codec.space.context, stops=True)
    assert np.array_equal(together[3], alone[0])
