"""Version 2 of `.sqc`: round trips, size, damage; the context model's arithmetic."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqcodec.bitstream import context_model
from sqcodec.bitstream.context_coder import Part, frame_bits, pack_parts, unpack_parts
from sqcodec.bitstream.context_model import LIMIT, TABLE, ContextModel, from_arrays, rounded
from sqcodec.bitstream.entropy_tables import TOTAL, frequencies
from sqcodec.bitstream.recovery import recover
from sqcodec.bitstream.sqc import pack, unpack
from sqcodec.bitstream.sqc_header import read_header
from sqcodec.errors import CodesError, ModelError
from tests.bitstream.examples import make_codes, make_context, make_space, with_stages

SPACE = make_space(3, 10, context=True)
LONG = with_stages(make_codes(16000 * 63, 3, 10))  # 3151 codes, 6 blocks
LONG_FILE = pack(LONG, SPACE)


def same(one, other) -> bool:
    stages = (one.stages is None) == (other.stages is None) and np.array_equal(one.stages, other.stages)
    return stages and np.array_equal(one.indices, other.indices) and one.samples == other.samples


@given(
    samples=st.integers(1, 500_000),
    books=st.integers(1, 3),
    used=st.integers(1, 3),
    size=st.sampled_from([2, 10, 300]),
    early=st.booleans(),
    seed=st.integers(0, 99),
)
@pytest.mark.slow
@settings(deadline=None, max_examples=40)
def test_round_trip(samples, books, used, size, early, seed) -> None:
    space = make_space(books, size, tables=False, context=True)
    codes = make_codes(samples, min(used, books), size, seed)
    codes = with_stages(codes, seed) if early else codes
    content = pack(codes, space)
    header = read_header(content, where="x")
    assert (header.version, header.coder, header.stops) == (2, "context", early)
    got = unpack(content, space, where="x")
    assert same(got, codes)
    assert same(recover(content, space, where="x").codes, codes)


def test_frames_that_never_end_early_cost_nothing_more() -> None:
    """Without the flag no symbol says where frames end."""
    whole = make_codes(16000 * 20, 3, 10)
    every = replace(whole, stages=np.full(whole.indices.shape[1], 3, np.uint8))
    assert len(pack(whole, SPACE)) < len(pack(every, SPACE))


def test_the_size_is_the_information() -> None:
    """Each block holds its symbols' bits and 24 of the checksum, rounded up to bytes; the last bits of the integer
    are worth half a bit each on the average."""
    model, parts = make_context(3, 10), [Part(LONG.indices[:, :500], LONG.stages[:500])]
    bits = frame_bits(parts, model, stops=True)[0]
    assert bits.shape == (500,)
    (payload,) = pack_parts(parts, [1 << 23], model, stops=True)
    assert abs(8 * len(payload) - bits.sum() - 24) <= 10


def test_the_blocks_of_a_batch_are_those_of_one() -> None:
    model = make_context(3, 10)
    parts = [Part(LONG.indices[:, a:b], LONG.stages[a:b]) for a, b in ((0, 40), (40, 47), (50, 120))]
    together = pack_parts(parts, [1, 2, 3], model, stops=True)
    alone = [pack_parts([part], [check], model, stops=True)[0] for part, check in zip(parts, (1, 2, 3), strict=True)]
    assert together == alone
    read = [*unpack_parts(together, [40, 7, 70], 3, model, stops=True)]
    assert [checksum for _, checksum in read] == [1, 2, 3]
    assert all(np.array_equal(got.codes, part.codes) for (got, _), part in zip(read, parts, strict=True))


def test_products_in_float32_are_exact() -> None:
    """The largest sums that the limits allow: 1039 inputs of 127 x 127 are 16758031, below 2^24."""
    inputs = context_model._MAX_INPUTS
    x = np.full((3, inputs), LIMIT, np.float32)
    weight = np.full((inputs, 5), -LIMIT, np.float32)
    assert (context_model._product(x, weight) == -inputs * LIMIT**2).all()
    assert inputs * LIMIT**2 < 1 << 24
    rng = np.random.default_rng(0)
    x, weight = rng.integers(-127, 128, (50, inputs)), rng.integers(-127, 128, (inputs, 60))
    got = context_model._product(x.astype(np.float32), weight.astype(np.float32))
    assert np.array_equal(got, x @ weight)


def test_shares_are_those_of_the_tables() -> None:
    weights = np.random.default_rng(1).integers(0, 65537, (20, 257)).astype(np.int32)
    weights[0], weights[1] = 65536, 2 ** np.arange(257).clip(0, 16)  # quotients that are integers, or nearly
    got = context_model._shared(weights)
    assert all(
        np.array_equal(row, frequencies(weight)) for row, weight in zip(got, weights.astype(np.int64), strict=True)
    )
    assert (got.sum(axis=1) == TOTAL).all()


def test_rounding_is_half_up() -> None:
    assert rounded(np.array([-6, -5, -2, -1, 0, 1, 2, 5, 6]), 2).tolist() == [-1, -1, 0, 0, 0, 0, 1, 1, 2]


PROBE = """
import sys, hashlib
from tests.bitstream.examples import make_codes, make_space, with_stages
from sqcodec.bitstream.sqc import pack, unpack
space = make_space(3, 10, context=True)
content = pack(with_stages(make_codes(16000 * 63, 3, 10)), space)
unpack(content, space, where="x")
print(hashlib.sha256(content).hexdigest())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL X86_V4"},
        {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 X86_V3 X86_V4 AVX512_ICL", "OPENBLAS_CORETYPE": "Nehalem"},
        {"OPENBLAS_CORETYPE": "Haswell"},
        {"OPENBLAS_CORETYPE": "Prescott"},
        {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
    ],
)
def test_every_instruction_set_gives_the_same_bytes(changes) -> None:
    """NumPy warns of features that it was not built with, and goes on."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONPATH": os.pathsep.join(sys.path), **changes}
    result = subprocess.run([sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == __import__("hashlib").sha256(LONG_FILE).hexdigest()


@pytest.mark.slow
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
@settings(deadline=None, max_examples=25)
def test_a_changed_bit_is_noticed(place, bit) -> None:
    content = bytearray(LONG_FILE)
    content[place % len(content)] ^= 1 << bit
    with pytest.raises(CodesError):
        unpack(bytes(content), SPACE, where="x")


def test_the_other_blocks_of_a_damaged_file_are_recovered() -> None:
    content = bytearray(LONG_FILE)
    content[len(content) // 2] ^= 1
    got = recover(bytes(content), SPACE, where="x")
    (lost,) = got.lost
    kept = np.ones(LONG.indices.shape[1], bool)
    kept[lost.start : lost.stop] = False
    assert np.array_equal(got.codes.indices[:, kept], LONG.indices[:, kept])
    assert np.array_equal(got.codes.stages[kept], LONG.stages[kept])
    assert got.codes.stages_fit


def test_what_does_not_fit_is_refused() -> None:
    codes = with_stages(make_codes(48000, 3, 10))
    with pytest.raises(CodesError, match="`coder` context: the model has none; it has plain, tables"):
        pack(make_codes(48000, 3, 10), make_space(3, 10), coder="context")
    with pytest.raises(CodesError, match="`coder` tables: frames of fewer stages than 3 need a context model"):
        pack(codes, SPACE, coder="tables")
    for stages in (codes.stages[:-1], np.zeros_like(codes.stages), np.full_like(codes.stages, 4)):
        with pytest.raises(CodesError, match="got stages that are not 1 to 3 of each of 151 codes"):
            pack(replace(codes, stages=stages), SPACE)
    with pytest.raises(CodesError, match="got stages that are not"):
        pack(replace(codes, indices=codes.indices + 1), SPACE)


def test_a_model_without_the_context_model_does_not_read_version_2() -> None:
    with pytest.raises(CodesError, match="x: written with the model"):
        unpack(LONG_FILE, make_space(3, 10), where="x")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("tanh", lambda a: a[:-1]),
        ("power", lambda a: a * 2),
        ("power", lambda a: -a),
        ("codewords", lambda a: a.astype(np.int32)),
        ("gru.input.shift", lambda a: a + 20),
        ("output.weight", lambda a: np.full_like(a, -128)),
        ("output.bias", lambda a: np.full_like(a, 1 << 30)),
        ("gru.state.weight", lambda a: a[:, :-1]),
    ],
)
def test_damaged_arrays_are_refused(name, damage) -> None:
    arrays = make_context(3, 10).arrays
    with pytest.raises(ModelError, match="x: its context model is damaged"):
        from_arrays(arrays | {name: damage(arrays[name])}, where="x")
    with pytest.raises(ModelError):
        from_arrays({key: value for key, value in arrays.items() if key != name}, where="x")


def test_the_digest_covers_every_array() -> None:
    model = make_context(2, 10)
    digests = {model.digest}
    for name, array in model.arrays.items():
        changed = array.copy()
        if name.endswith(".shift"):
            changed += 1
        else:
            changed.flat[-1] ^= 1
        digests.add(ContextModel(model.arrays | {name: changed}).digest)
    assert len(digests) == 1 + len(model.arrays)


def test_the_tables_of_functions() -> None:
    """In the middle and at the ends, within half a unit."""
    arrays = context_model.tables()
    assert arrays["tanh"][[0, TABLE // 2, TABLE - 1]].tolist() == [-32767, 0, 32767]
    assert arrays["tanh"][TABLE // 2 + 256] == round(np.tanh(1) * 32767)
    assert arrays["power"][[0, 256, TABLE - 1]].tolist() == [65536, 32768, 1]
