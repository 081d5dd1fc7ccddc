"""What a receiver decodes for each packet, be it there, lost, or silence."""

import math
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream import packets
from sqcodec.bitstream.packets import PacketCoder
from sqcodec.runtime.search import dequantise

NEPERS = math.log(10.0) / 20.0  # a decibel
_FADE = 4.0 * NEPERS  # of each packet lost in a row
_HELD = 1  # packet lost in a row that is repeated at its own level
_NOISE = 5  # packets before a silence, of whose latents comfort noise is made

_Latents = NDArray[np.float32]


class Step(NamedTuple):
    """What stands for a packet: latents z [CODES, D]; their features are lowered by `fade` (nepers), and brought to a
    mean of `level` above the floor (None: they keep theirs)."""

    z: _Latents
    fade: float = 0.0
    level: float | None = None


class Concealment:
    """Packets -> steps, `protect` packets later. codebook: [K, V, D] of the model."""

    def __init__(self, codebook: _Latents, *, protect: int = 0) -> None:
        self._codebook, self._coder, self.protect = codebook, PacketCoder(codebook), protect
        self._held: deque[bytes | None] = deque()
        self._last = dequantise(np.zeros((1, 1), np.int64), codebook)
        self._lost, self._silent = 0, False
        self._level: float | None = None
        self._recent: deque[_Latents] = deque(maxlen=_NOISE)
        self._random = np.random.default_rng(0)

    def push(self, packet: bytes | None) -> Iterator[Step]:
        """The next packet; None: it is lost. Raises CodesError: a packet of another size."""
        self.check(packet)  # a wrong size is an error now, not `protect` packets later
        copy = b""
        if packet is not None and len(packet) > 1:
            packet, copy = self._split(packet)
        self._held.append(packet)
        if len(self._held) > self.protect:
            yield self._step(self._held.popleft(), copy)

    def check(self, packet: bytes | None) -> None:
        """Raise CodesError: a packet of another size."""
        if packet is not None and len(packet) > 1:
            self._coder.unpack(self._split(packet)[0])

    def _split(self, packet: bytes) -> tuple[bytes, bytes]:
        """The packet itself, and the copy that it carries."""
        return packets.split(packet) if self.protect else (packet, b"")

    def flush(self) -> Iterator[Step]:
        """Those that were held back for copies."""
        while self._held:
            yield self._step(self._held.popleft(), b"")

    def _step(self, packet: bytes | None, copy: bytes) -> Step:
        if packet is None and copy and not self._silent:
            packet = copy
        if packet is None:
            return self._noise() if self._silent else self._carried()
        if len(packet) < packets.CODES:
            self._silent, self._lost = True, 0
            self._level = packet[0] * packets.LEVEL_STEP * NEPERS if packet else self._level
            return self._noise()
        self._silent, self._lost, self._level = False, 0, None
        z = dequantise(self._coder.unpack(packet), self._codebook)
        self._recent.append(z)
        self._last = z[-1:]
        return Step(z)

    def _carried(self) -> Step:
        """The last latents once more; from the second packet in a row on they fade."""
        self._lost += 1
        return Step(self._last.repeat(packets.CODES, axis=0), _FADE * max(0, self._lost - _HELD))

    def _noise(self) -> Step:
        """Latents of before the silence in another order: a constant spectrum would hum."""
        known = np.concatenate([self._last, *self._recent])
        unheard = self._level is None and not self._recent  # who joins in a silence does not know its level yet
        level = 0.0 if unheard else self._level
        return Step(known[self._random.integers(0, len(known), packets.CODES)], level=level)
