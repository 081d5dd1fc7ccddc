"""Packets: round trips, copies, and what is refused."""

import numpy as np
import pytest

from sqcodec.bitstream.packets import PacketCoder, split
from sqcodec.errors import CodesError

CODER = PacketCoder(np.random.default_rng(0).normal(size=(3, 256, 2)).astype(np.float32))
CODES = np.array([[0, 255], [7, 8], [100, 3]])


def test_codes_go_round_trip_and_cuts_lose_the_last_stages() -> None:
    packet = CODER.pack(CODES)
    assert len(packet) == 6
    assert np.array_equal(CODER.unpack(packet), CODES)
    assert CODER.unpack(packet[:5]).tolist() == [*CODES[:2].tolist(), [-1, -1]]


def test_a_copy_stands_behind_the_first_stage() -> None:
    protected = CODER.pack(CODES, CODES[::-1])
    assert split(protected) == (CODER.pack(CODES), protected[2:4])
    assert CODER.unpack(protected[2:4])[0].tolist() == [100, 3]
    assert split(protected[:3]) == (protected[:2], b"")


@pytest.mark.parametrize("wrong", [CODES[:, :1], CODES + 1, CODES - 1, np.zeros((4, 2), int)])
def test_other_codes_are_refused(wrong) -> None:
    with pytest.raises(CodesError, match="a packet: got codes of shape"):
        CODER.pack(wrong)
