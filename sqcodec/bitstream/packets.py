"""Packets of constant size: the codes of 40 ms without header or checksum, 8 bytes at 1600 bit/s.

A byte a code, stage after stage: the first stage's codes of the packet, then the second's, ... So a packet that is cut
at any byte decodes with fewer stages, and its sender needs nothing from those before.
"""

import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import CodesError

CODES = 2  # of each stage in a packet
CODEWORDS = 256


def pack(codes: NDArray[np.integer]) -> bytes:
    """codes [K, CODES] below 256 -> K CODES bytes. Raises CodesError: other codes."""
    if codes.ndim != 2 or codes.shape[1] != CODES or codes.min() < 0 or codes.max() >= CODEWORDS:
        raise CodesError(f"a packet: got codes of shape {codes.shape}, expected [K, {CODES}] of 0 to {CODEWORDS - 1}")
    return codes.astype(np.uint8).tobytes()


def unpack(packet: bytes, codebooks: int) -> NDArray[np.int64]:
    """A packet -> codes [codebooks, CODES]; -1 for stages that were cut off. Raises CodesError: another size."""
    if not CODES <= len(packet) <= CODES * codebooks:
        raise CodesError(f"a packet: got {len(packet)} bytes, expected {CODES} to {CODES * codebooks}")
    codes = np.full((codebooks, CODES), -1, np.int64)
    whole = len(packet) // CODES
    codes[:whole] = np.frombuffer(packet, np.uint8)[: CODES * whole].reshape(whole, CODES)
    return codes
