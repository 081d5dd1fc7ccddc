"""True bit rates of a model of several codebooks: the price of a bit is sought that gives a rate or a size.

With a price, every frame has the stages and codes of the least weighed squared error + price x bits (see
`sqcodec.bitstream.rate_search`).
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream import sqc
from sqcodec.bitstream.context_coder import Part
from sqcodec.bitstream.context_model import ContextModel
from sqcodec.bitstream.equal_prices import price_of
from sqcodec.bitstream.priced_codes import PricedCodes
from sqcodec.bitstream.rate_search import CHEAPEST, Latents, Search, Ways, are_near
from sqcodec.codes import Codes
from sqcodec.errors import CodesError
from sqcodec.pipeline.coding.one_codebook import File
from sqcodec.runtime.search import search

_TOLERANCE = 0.01  # of the size, within which a price is good
_TRIES = 6  # files that are tried
_FILLED, _EXTRA = 0.8, 0.25  # a first guess: a code takes so much of its width, and each frame has so many more
_NEARLY_ALL = 0.975  # of all codes, where the price hardly changes their number
_FLOOR = 1.1 * CHEAPEST  # up to which a price is the cheapest one
_HEADER, _BLOCK = 16, 5  # bytes of a file beside its codes, and of each block, roughly


class _Tried(NamedTuple):
    price: float
    parts: list[Part]
    file: File

    @property
    def size(self) -> int:
        return self.file.size


class ManyCodebooks:
    """One recording: the files that prices give. codes: those of one stage or more, for its length, level and speaker;
    latents: what is to be coded; codebook: [K, V, D]; sweeps, sums: of the search, sums of all stages of a frame;
    block: codes in a block of the file; pack: makes the file."""

    def __init__(
        self,
        codes: Codes,
        latents: Latents,
        codebook: NDArray[np.float32],
        model: ContextModel,
        *,
        sweeps: int,
        sums: int,
        block: int,
        pack: Callable[[Codes], bytes],
    ) -> None:
        spans = [slice(each.start, each.stop) for each in sqc.blocks(len(latents.z), block)]
        self._priced = PricedCodes(latents, codebook, model, sweeps=sweeps, sums=sums, spans=spans)
        self._codes, self._latents, self._codebook, self._pack = codes, latents, codebook, pack
        self._blocks = len(spans)

    def rated(self, bit_rate: float) -> tuple[File, str]:
        """The file of a bit rate, and a note where it is missed."""
        size = max(1.0, min(bit_rate * self._codes.seconds / 8, self._beyond))
        best = self._sought(size)
        if abs(best.size - size) <= max(3 * _TOLERANCE * size, _BLOCK):
            return best.file, ""
        file, what = best.file, "the nearest file that was found has {} bit/s"
        if best.size < size and self._whole.size <= size:
            file, what = self._whole, "all codebooks take {} bit/s here, which is the most"
        elif best.size < size and best.price <= _FLOOR:
            what = "more than {} bit/s bring nothing here"
        elif best.size > size and best.size <= self._least.size:
            what = "the least is {} bit/s here, which is used"
        rate = round(8 * file.size / self._codes.seconds)
        return file, f"`bitrate` {bit_rate:g}: {what.format(rate)}"

    def limited(self, most: int) -> File:
        """The largest file of at most so many bytes that was found. Raises CodesError: none is as small."""
        best = self._sought((1 - _TOLERANCE) * min(most, self._beyond), most)
        if best.size > most:
            raise CodesError(f"`max_bytes` {most}: this recording takes {best.size} bytes at least")
        if best.size < (1 - 3 * _TOLERANCE) * most and self._whole.size <= most:
            return self._whole
        return best.file

    def at(self, price: float) -> File:
        """The file of the least weighed squared error + price x bits."""
        return self._at(price).file

    def _at(self, price: float) -> _Tried:
        return self._filed(self._priced.at(price), price)

    @property
    def _stages(self) -> int:
        """Of a frame at most."""
        return len(self._codebook)

    @property
    def _beyond(self) -> float:
        """Bytes that no file has."""
        return _HEADER + self._priced.prefixes.codes.size * self._priced.width

    @cached_property
    def _least(self) -> _Tried:
        """The least file: the codes of the dearest price, searched again until they are no likelier to each other."""
        dearest = self._priced.dearest
        how, best = self._priced.search(dearest), self._at(dearest)
        for _ in range(_TRIES):
            one = self._tried(self._priced.sweep(best.parts).ways(how), dearest)
            if one.size >= best.size:
                break
            best = one
        return best

    def _tried(self, ways: Ways, price: float) -> _Tried:
        return self._filed(self._priced.cut(ways, price), price)

    def _filed(self, parts: list[Part], price: float) -> _Tried:
        return _Tried(price, parts, self._file(self._codes_of(parts)))

    def _file(self, codes: Codes) -> File:
        return File(codes, self._pack(codes))

    def _codes_of(self, parts: list[Part]) -> Codes:
        """All blocks together, without the codebooks that no frame uses."""
        stages = np.concatenate([part.stages for part in parts])
        used = int(stages.max())
        indices = np.concatenate([part.codes for part in parts], axis=1)[:used]
        return replace(self._codes, indices=indices, stages=None if stages.min() == used else stages)

    def _sought(self, size: float, most: float = math.inf) -> _Tried:
        """The file whose size is nearest, of those that were tried and have at most `most` bytes; else the least."""
        wanted = 8 * max(size / 2, size - _HEADER - _BLOCK * self._blocks)
        how, ways = self._first(wanted, size)
        bits, parts, tried = wanted, self._priced.cut(ways, how.price), list[_Tried]()
        former, steep = (wanted, size), 1.0  # of the last try; by which power the bits follow the size
        for _ in range(_TRIES):
            price = min(self._priced.dearest, ways.price_of(bits))
            is_short = ways.bits(CHEAPEST) < bits and how.limit < self._stages
            if is_short or not are_near(price, how.price):  # among these ways there is none of so many bits
                how = self._with_more(how) if is_short else how._replace(price=price)
                ways, bits, former, steep = self._priced.sweep(parts).ways(how), wanted, (wanted, size), 1.0
                price = min(self._priced.dearest, ways.price_of(bits))
            one = self._tried(ways, price)
            tried.append(one)
            if abs(one.size / size - 1) <= _TOLERANCE and one.size <= most:
                break
            if one.size < size and price <= _FLOOR and how.limit == self._stages:
                break
            if one.size > size and price == self._priced.dearest:  # likelier codes may be as small
                ways, bits, former, steep = self._priced.sweep(one.parts).ways(how), wanted, (wanted, size), 1.0
                continue
            if bits != former[0] and one.size != former[1]:
                steep = min(4.0, max(0.5, math.log(bits / former[0]) / math.log(one.size / former[1])))
            former, bits, parts = (bits, one.size), bits * (size / one.size) ** steep, one.parts
        if all(one.size > min(most, (1 + 3 * _TOLERANCE) * size) for one in tried):
            tried.append(self._least)
        fitting = [one for one in tried if one.size <= most] or [self._least]
        return min(fitting, key=lambda one: abs(math.log(one.size / size)))

    def _first(self, bits: float, size: float) -> tuple[Search, Ways]:
        """The last sweep, for codes that take `bits` of a file of `size`."""
        errors, width = self._priced.prefixes.errors, self._priced.width
        codes = min(8 * size / (_FILLED * width) + _EXTRA * len(self._latents.z), _NEARLY_ALL * errors.size)
        how = self._priced.search(min(self._priced.dearest, price_of(errors, codes, width)))
        parts = self._priced.equal_prices(how.price)
        for _ in range(self._priced.sweeps):
            sweep = self._priced.sweep(parts)
            how = how._replace(price=min(self._priced.dearest, sweep.price_of(bits, how)))
            ways = sweep.ways(how)
            parts = self._priced.cut(ways, min(self._priced.dearest, ways.price_of(bits)))
        return how, ways

    def _with_more(self, how: Search) -> Search:
        """The search with more stages."""
        return how._replace(limit=min(self._stages, how.limit + 2))

    @cached_property
    def _whole(self) -> File:
        """The file of all stages."""
        return self._file(replace(self._codes, indices=search(self._latents.z, self._codebook)))
