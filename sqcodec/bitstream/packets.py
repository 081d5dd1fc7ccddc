"""Packets of constant size: the codes of 40 ms without header or checksum, 8 bytes at 1600 bit/s.

A byte a code, stage after stage: the first stage's codes of the packet, then the second's, ... So a packet that is cut
at any byte decodes with fewer stages, and its sender needs nothing from those before. A byte is a codeword's place in
`codeword_order`. A protected packet has the first stage of an earlier one behind its own first stage. In silence a
packet is empty, or one byte: a level.
"""

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.codeword_order import codeword_order
from sqcodec.errors import CodesError

CODES = 2  # of each stage in a packet
CODEWORDS = 256
LEVEL_STEP = 0.5  # decibels of a level's byte, from the floor of the features on


class PacketCoder:
    """Codes of a model to packets and back. codebook: [K, CODEWORDS, D]."""

    def __init__(self, codebook: NDArray[np.float32]) -> None:
        self._codes = np.stack([codeword_order(codewords) for codewords in codebook])  # [K, bytes]
        self._bytes = self._codes.argsort(axis=1).astype(np.uint8)  # [K, codes]

    @property
    def codebooks(self) -> int:
        """K."""
        return len(self._codes)

    def pack(self, codes: NDArray[np.integer], copied: NDArray[np.integer] | None = None) -> bytes:
        """codes [K or fewer, CODES] -> a packet; copied: of an earlier packet, whose first stage goes with it.

        Raises CodesError: other codes.
        """
        fits = codes.ndim == 2 and codes.shape[1] == CODES and 1 <= len(codes) <= self.codebooks
        if not fits or codes.min() < 0 or codes.max() >= CODEWORDS:
            raise CodesError(
                f"a packet: got codes of shape {codes.shape}, expected [K, {CODES}] of 0 to {CODEWORDS - 1}"
            )
        content: bytes = self._bytes[np.arange(len(codes))[:, None], codes].tobytes()
        copy = b"" if copied is None else self._bytes[0][copied[0]].tobytes()
        return content[:CODES] + copy + content[CODES:]

    def unpack(self, packet: bytes) -> NDArray[np.int64]:
        """A packet without a copy -> codes [K, CODES]; -1 for stages that were cut off. Raises CodesError: its size."""
        if not CODES <= len(packet) <= CODES * self.codebooks:
            raise CodesError(
                f"a packet: got {len(packet)} bytes, expected {CODES} to {CODES * self.codebooks}, or 0 or 1 in silence"
            )
        codes = np.full((self.codebooks, CODES), -1, np.int64)
        whole = len(packet) // CODES
        places = np.frombuffer(packet, np.uint8)[: CODES * whole].reshape(whole, CODES)
        codes[:whole] = self._codes[np.arange(whole)[:, None], places]
        return codes


def split(packet: bytes) -> tuple[bytes, bytes]:
    """A protected packet -> the packet itself, and the one whose first stage it carries (empty: that was cut off)."""
    copy = packet[CODES : 2 * CODES]
    return packet[:CODES] + packet[2 * CODES :], copy if len(copy) == CODES else b""
