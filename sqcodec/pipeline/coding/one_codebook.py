"""True bit rates of a model of one codebook: the price of a bit is sought that gives a rate or a size.

Every frame has its code, so what can be saved is the difference between the nearest codeword and a likelier one that is
nearly as near (see `sqcodec.bitstream.path_search`).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream import sqc
from sqcodec.bitstream.context_model import ContextModel
from sqcodec.bitstream.path_search import Paths, cheapest_codes
from sqcodec.bitstream.rate_search import Latents
from sqcodec.codes import Codes
from sqcodec.errors import CodesError

_TOLERANCE = 0.01  # of the size, within which a price is good
_FIRST, _FACTOR = 1.0, 8.0  # the first price, and how much it moves until the size lies between two of them
_CHEAPEST, _DEAREST = 1e-4, 1e6  # prices of a bit, in nats of the posterior for an SQ-VAE
_TRIES = 12  # prices that are tried


class File(NamedTuple):
    """Codes, and the file that they make."""

    codes: Codes
    content: bytes

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.content)


class _Tried(NamedTuple):
    price: float
    size: int


class OneCodebook:
    """One recording: the files that prices give. whole: its nearest codes; latents: what they code; codebook: [V, D];
    histories: of the search; block: codes in a block of the file; pack: makes the file."""

    def __init__(
        self,
        whole: Codes,
        latents: Latents,
        codebook: NDArray[np.float32],
        model: ContextModel,
        *,
        histories: int,
        block: int,
        pack: Callable[[Codes], bytes],
    ) -> None:
        self._whole, self._codebook, self._model = whole, codebook, model
        self._histories, self._pack = histories, pack
        spans = [slice(each.start, each.stop) for each in sqc.blocks(whole.indices.shape[1], block)]
        self._parts = [Latents(latents.z[span], latents.weights[span]) for span in spans]

    def at(self, price: float) -> File:
        """The file of the least weighed squared error + price x bits."""
        found = cheapest_codes(self._parts, self._codebook, self._model, Paths(price, self._histories))
        return self._file(replace(self._whole, indices=np.concatenate(list(found))[None]))

    def rated(self, bit_rate: float) -> tuple[File, str]:
        """The file of a bit rate, and a note where it is out of reach."""
        size, full = bit_rate * self._whole.seconds / 8, self._file(self._whole)
        if full.size <= (1 + _TOLERANCE) * size:
            rate = self._rate(full.size)
            most = f"`bitrate` {bit_rate:g}: the nearest codewords take {rate:.0f} bit/s here, the most"
            return full, most if full.size < (1 - 3 * _TOLERANCE) * size else ""
        tried = list(self._tried((1 - _TOLERANCE) * size, (1 + _TOLERANCE) * size))
        best = min(tried, key=lambda one: abs(math.log(one.size / size)))
        if best.size > (1 + 3 * _TOLERANCE) * size:
            return best, f"`bitrate` {bit_rate:g}: the least is {self._rate(best.size):.0f} bit/s here, which is used"
        return best, ""

    def limited(self, most: int) -> File:
        """The largest file of at most so many bytes. Raises CodesError: none is as small."""
        full = self._file(self._whole)
        if full.size <= most:
            return full
        tried = list(self._tried((1 - 2 * _TOLERANCE) * most, most))
        fitting = [one for one in tried if one.size <= most]
        if not fitting:
            least = min(one.size for one in tried)
            raise CodesError(f"`max_bytes` {most}: this recording takes {least} bytes at least")
        return max(fitting, key=lambda one: one.size)

    def _file(self, codes: Codes) -> File:
        return File(codes, self._pack(codes))

    def _rate(self, size: int) -> float:
        return 8 * size / self._whole.seconds

    def _tried(self, low: float, high: float) -> Iterator[File]:
        """Files of several prices, until one has `low` to `high` bytes: first on both sides of it, then between."""
        cheap: _Tried | None = None
        dear: _Tried | None = None
        price = _FIRST
        for _ in range(_TRIES):
            file = self.at(price)
            yield file
            if low <= file.size <= high:
                return
            one = _Tried(price, file.size)
            cheap, dear = (one, dear) if file.size > high else (cheap, one)
            if cheap and dear:
                price = _between(cheap, dear, (low + high) / 2)
            elif _CHEAPEST < price < _DEAREST:
                price = min(_DEAREST, price * _FACTOR) if cheap else max(_CHEAPEST, price / _FACTOR)
            else:
                return


def _between(cheap: _Tried, dear: _Tried, size: float) -> float:
    """The price at which a line through both, over the logarithm of the price, has the size."""
    fraction = min(0.9, max(0.1, (cheap.size - size) / (cheap.size - dear.size)))
    return float(cheap.price * (dear.price / cheap.price) ** fraction)
