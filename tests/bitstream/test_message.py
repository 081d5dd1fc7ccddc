"""Voice messages: round trips, golden files, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sqcodec
from sqcodec.bitstream import message
from sqcodec.errors import CodesError
from sqcodec.pipeline.finding.code_spaces import read_space
from tests.bitstream.examples import make_codes, make_space, with_stages

GOLDEN = Path(__file__).parents[1] / "golden" / "messages"
SPACE = make_space(3, 10, context=True, speakers=())
CODES = make_codes(48_000, 3, 10, speaker=None)


@pytest.mark.parametrize("codes", [CODES, with_stages(CODES), make_codes(1, 1, 10, speaker=None, gain=0.0)])
def test_codes_go_round_trip(codes) -> None:
    back = message.unpack(message.pack(codes, SPACE), SPACE, where="x")
    assert np.array_equal(back.used, codes.used)
    assert (back.gain, back.sample_rate, back.fingerprint) == (codes.gain, 16000, SPACE.fingerprint)
    assert SPACE.features.code_count(back.samples, 16000) == codes.indices.shape[1]
    assert 0 <= back.samples - codes.samples < 320


@pytest.mark.ships
@pytest.mark.parametrize("name", ["four", "ending-early", "silence"])
def test_golden_messages_are_read_and_written(name) -> None:
    space = read_space(Path(sqcodec.__file__).parent / "models" / "speech16k-1" / "model.safetensors")
    content = (GOLDEN / f"{name}.bin").read_bytes()
    codes = message.unpack(content, space, where=name)
    assert np.array_equal(codes.used, np.load(GOLDEN / f"{name}.codes.npy"))
    assert message.pack(codes, space) == content


@pytest.mark.slow
def test_a_damaged_or_cut_message_is_one_error() -> None:
    content = message.pack(CODES, SPACE)
    rng = np.random.default_rng(0)
    damaged = [content[:length] for length in (0, 1, 2, 3, len(content) - 1)] + [content + b"\1", content + b"\0"]
    for bit in rng.integers(8, 8 * len(content), 30):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(changed))
    for each in damaged:
        with pytest.raises(CodesError, match="^x: the checksum does not match: the message was damaged or cut"):
            message.unpack(each, SPACE, where="x")


def test_another_model_is_named() -> None:
    other = make_space(1, 16, context=True, speakers=())
    with pytest.raises(CodesError, match="^x: no message, or one of another model: its first byte is .., expected .."):
        message.unpack(message.pack(CODES, SPACE), other, where="x")


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(CodesError, match="expected at most 500 of the model's books"):
        message.pack(make_codes(16000 * 11, 3, 10), SPACE)
    with pytest.raises(CodesError, match="without speakers"):
        message.pack(CODES, make_space(3, 10, context=True))
    with pytest.raises(CodesError, match="a context model"):
        message.unpack(b"123", replace(SPACE, context=None), where="x")
