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
from sqcodec.bitstream.context_costs import ContextCosts
from sqcodec.bitstream.context_model import ContextModel
from sqcodec.bitstream.equal_prices import ends, most_stages, nearest_prefixes, price_of
from sqcodec.bitstream.rate_search import CHEAPEST, Codewords, Latents, Search, Sweep, Ways, are_near
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
        self._sweeps, self._sums, self._pack = sweeps, sums, pack
        self._spans = [slice(each.start, each.stop) for each in sqc.blocks(len(latents.z), block)]
        self._codes, self._latents = codes, latents
        self._costs, self._codewords = ContextCosts(model), Codewords(codebook)
        self._prefixes, self._width = nearest_prefixes(latents, self._codewords), max(1.0, math.log2(codebook.shape[1]))
        self._dearest = max(CHEAPEST, float(self._prefixes.errors[0].mean(dtype=np.float64)) / self._width)

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
        parts, how = self._priced(price), self._how(price)
        for _ in range(self._sweeps - 1):
            parts = self._parts(self._sweep(parts).ways(how), price)
        return self._tried(self._sweep(parts).ways(how), price)

    @property
    def _beyond(self) -> float:
        """Bytes that no file has."""
        return _HEADER + self._prefixes.codes.size * self._width

    @cached_property
    def _least(self) -> _Tried:
        """The least file: the codes of the dearest price, searched again until they are no likelier to each other."""
        how, best = self._how(self._dearest), self._at(self._dearest)
        for _ in range(_TRIES):
            one = self._tried(self._sweep(best.parts).ways(how), self._dearest)
            if one.size >= best.size:
                break
            best = one
        return best

    def _sweep(self, former: list[Part]) -> Sweep:
        return Sweep(self._latents, former, self._codewords, self._costs)

    def _tried(self, ways: Ways, price: float) -> _Tried:
        parts = self._parts(ways, price)
        return _Tried(price, parts, self._file(self._codes_of(parts)))

    def _parts(self, ways: Ways, price: float) -> list[Part]:
        whole = ways.part(price)
        return [Part(whole.codes[:, span], whole.stages[span]) for span in self._spans]

    def _how(self, price: float) -> Search:
        """The search at a price: with as many stages at most as it allows, and as many sums as the effort."""
        limit = most_stages(self._prefixes.errors, price, self._width)
        return Search(price, limit, max(1, round(self._sums / limit)))

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
        wanted = 8 * max(size / 2, size - _HEADER - _BLOCK * len(self._spans))
        how, ways = self._first(wanted, size)
        bits, parts, tried = wanted, self._parts(ways, how.price), list[_Tried]()
        former, steep = (wanted, size), 1.0  # of the last try; by which power the bits follow the size
        for _ in range(_TRIES):
            price = min(self._dearest, ways.price_of(bits))
            is_short = ways.bits(CHEAPEST) < bits and how.limit < len(self._prefixes.errors)
            if is_short or not are_near(price, how.price):  # among these ways there is none of so many bits
                how = self._with_more(how) if is_short else how._replace(price=price)
                ways, bits, former, steep = self._sweep(parts).ways(how), wanted, (wanted, size), 1.0
                price = min(self._dearest, ways.price_of(bits))
            one = self._tried(ways, price)
            tried.append(one)
            if abs(one.size / size - 1) <= _TOLERANCE and one.size <= most:
                break
            if one.size < size and price <= _FLOOR and how.limit == len(self._prefixes.errors):
                break
            if one.size > size and price == self._dearest:  # codes that are likelier to each other may be as small
                ways, bits, former, steep = self._sweep(one.parts).ways(how), wanted, (wanted, size), 1.0
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
        codes = min(
            8 * size / (_FILLED * self._width) + _EXTRA * len(self._latents.z), _NEARLY_ALL * self._prefixes.codes.size
        )
        how = self._how(min(self._dearest, price_of(self._prefixes.errors, codes, self._width)))
        parts = self._priced(how.price)
        for _ in range(self._sweeps):
            sweep = self._sweep(parts)
            how = how._replace(price=min(self._dearest, sweep.price_of(bits, how)))
            ways = sweep.ways(how)
            parts = self._parts(ways, min(self._dearest, ways.price_of(bits)))
        return how, ways

    def _with_more(self, how: Search) -> Search:
        """The search with more stages."""
        return how._replace(limit=min(len(self._prefixes.errors), how.limit + 2))

    @cached_property
    def _whole(self) -> File:
        """The file of all stages."""
        return self._file(replace(self._codes, indices=search(self._latents.z, self._codewords.words)))

    def _priced(self, price: float) -> list[Part]:
        stages = ends(self._prefixes.errors, price, self._width)
        codes = np.where(np.arange(len(self._prefixes.codes))[:, None] < stages, self._prefixes.codes, np.uint16(0))
        return [Part(codes[:, span], stages[span]) for span in self._spans]
