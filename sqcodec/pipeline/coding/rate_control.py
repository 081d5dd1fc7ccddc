"""Codes of a true bit rate, a quality or a size: the price of a bit is sought that gives it.

With a price, every frame has the stages and codes of the least weighed squared error + price x bits (see
`sqcodec.bitstream.rate_search`). One price holds for the whole recording, so quality is constant and the bits follow
the speech. The size of the file decides, header and checksums included.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream import sqc
from sqcodec.bitstream.code_space import CodeSpace
from sqcodec.bitstream.context_coder import Part
from sqcodec.bitstream.context_costs import ContextCosts
from sqcodec.bitstream.equal_prices import ends, most_stages, nearest_prefixes, price_of
from sqcodec.bitstream.rate_search import CHEAPEST, Codewords, Latents, Search, Sweep, Ways, are_near
from sqcodec.bitstream.sqc_header import BLOCK
from sqcodec.codes import Codes
from sqcodec.errors import CodesError
from sqcodec.pipeline.coding.one_codebook import File, OneCodebook
from sqcodec.runtime.search import search
from sqcodec.runtime.threads import one_thread

Effort = Literal[0, 1, 2, 3]
DEFAULT_EFFORT: Effort = 1
_SWEEPS: dict[int, int] = {1: 1, 2: 2, 3: 2}  # of each effort
_SUMS: dict[int, int] = {1: 32, 2: 64, 3: 128}  # of a frame that go on, of all stages together
_HISTORIES: dict[int, int] = {1: 4, 2: 8, 3: 16}  # of one codebook: one alone ends in cheap codes that fit nothing
_TOLERANCE = 0.01  # of the size, within which a price is good
_TRIES = 6  # files that are tried
_FILLED, _EXTRA = 0.8, 0.25  # a first guess: a code takes so much of its width, and each frame has so many more
_NEARLY_ALL = 0.975  # of all codes, where the price hardly changes their number
_FLOOR = 1.1 * CHEAPEST  # up to which a price is the cheapest one
_HEADER, _BLOCK = 16, 5  # bytes of a file beside its codes, and of each block, roughly
_BEST = 300.0  # decibels of a quality, beyond which a price is no number


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a file is to be: one of bit_rate (bit/s of the whole file), quality (decibels: the price of a bit is
    10^(-quality / 10)) and max_bytes; effort: 1 to 3, time for bits. Raises CodesError: no such rate, quality or size.
    """

    bit_rate: float | None = None
    quality: float | None = None
    max_bytes: int | None = None
    effort: Effort = DEFAULT_EFFORT

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.bit_rate, self.quality, self.max_bytes)) != 1:
            raise CodesError("expected one of `bitrate`, `quality` and `max_bytes`")
        if self.bit_rate is not None:
            check_bit_rate(self.bit_rate)
        if self.quality is not None and not abs(self.quality) <= _BEST:
            raise CodesError(f"`quality` {self.quality}: expected decibels, such as 5")
        if self.max_bytes is not None and self.max_bytes < 1:
            raise CodesError(f"`max_bytes` {self.max_bytes}: expected a whole number of at least 1")


def check_bit_rate(bit_rate: float) -> None:
    """Raise CodesError: no number of bits per second."""
    if not 0 < bit_rate < math.inf:
        raise CodesError(f"`bitrate` {bit_rate}: expected bit/s above 0, such as 1600")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user asks of a codes file, at most one of the first four; None: the model's default.

    codebooks: whole ones. bit_rate: of the whole file where the model has true rates and `effort` is not 0, else
    nominal. effort: None: the default. coder: of a `.sqc`; None: the context model, where there is one.
    """

    codebooks: int | None = None
    bit_rate: float | None = None
    quality: float | None = None
    max_bytes: int | None = None
    effort: Effort | None = None
    coder: Literal["tables", "context"] | None = None

    def goal(self, *, possible: bool) -> Goal | None:
        """The goal; None for whole codebooks at a nominal rate. Raises CodesError: it is not possible.

        possible: whether the model and the format of the file have true rates.
        """
        asked = {"codebooks": self.codebooks, "bitrate": self.bit_rate, "quality": self.quality,
                 "max_bytes": self.max_bytes}  # fmt: skip
        given = [name for name, value in asked.items() if value is not None]
        if len(given) > 1:
            raise CodesError(f"{' and '.join(f'`{name}`' for name in given)} exclude each other; give one of them")
        possible = possible and self.coder != "tables" and self.effort != 0
        if self.quality is None and self.max_bytes is None and (self.bit_rate is None or not possible):
            return None
        if not possible:
            raise CodesError(
                "`quality` and `max_bytes` need a .sqc of a context model, a model that has one, and `effort` 1 to 3"
            )
        return Goal(
            bit_rate=self.bit_rate,
            quality=self.quality,
            max_bytes=self.max_bytes,
            effort=self.effort or DEFAULT_EFFORT,
        )


class Fitted(NamedTuple):
    """The codes with the file whose size was sought, and a note where the goal is beyond what the model can do ("": it
    is not)."""

    codes: Codes
    content: bytes
    note: str


class _Tried(NamedTuple):
    price: float
    parts: list[Part]
    file: File

    @property
    def size(self) -> int:
        return self.file.size


@one_thread()
def fit(
    codes: Codes,
    latents: Latents,
    codebook: NDArray[np.float32],
    space: CodeSpace,
    goal: Goal,
    block: int = BLOCK,
    *,
    pack: Callable[[Codes], bytes] | None = None,
) -> Fitted:
    """Codes and file for a goal. latents: what is to be coded; codes: of one stage of the recording or more, for its
    length, level and speaker; codebook: [K, V, D].

    With K = 1 there are no stages to leave out: what is chosen is the codeword (see `one_codebook`).

    block: codes a book in a block of the file. pack: makes the file; None: a `.sqc`.

    Raises CodesError: no file is as small as `max_bytes`.
    """
    pack = pack or (lambda codes: sqc.pack(codes, space, block=block))
    if len(codebook) == 1:
        return _fit_one(codes, latents, codebook[0], space, goal, block, pack)
    fitting = _Fitting(codes, latents, codebook, space, goal, block, pack)
    if goal.quality is not None:
        return Fitted(*fitting.at(10 ** (-goal.quality / 10)).file, "")
    if goal.max_bytes is not None:
        return fitting.limited(goal.max_bytes)
    assert goal.bit_rate is not None
    return fitting.rated(goal.bit_rate)


def _fit_one(
    whole: Codes,
    latents: Latents,
    codebook: NDArray[np.float32],
    space: CodeSpace,
    goal: Goal,
    block: int,
    pack: Callable[[Codes], bytes],
) -> Fitted:
    assert space.context is not None
    one = OneCodebook(
        whole, latents, codebook, space.context, histories=_HISTORIES[goal.effort], block=block, pack=pack
    )  # fmt: skip
    if goal.quality is not None:
        return Fitted(*one.at(10 ** (-goal.quality / 10)), "")
    if goal.max_bytes is not None:
        return Fitted(*one.limited(goal.max_bytes), "")
    assert goal.bit_rate is not None
    file, note = one.rated(goal.bit_rate)
    return Fitted(*file, note)


class _Fitting:
    """One recording: its blocks, and the files that prices give."""

    def __init__(
        self,
        codes: Codes,
        latents: Latents,
        codebook: NDArray[np.float32],
        space: CodeSpace,
        goal: Goal,
        block: int,
        pack: Callable[[Codes], bytes],
    ) -> None:
        assert space.context is not None
        self._effort, self._pack = goal.effort, pack
        self._spans = [slice(each.start, each.stop) for each in sqc.blocks(len(latents.z), block)]
        self._codes, self._latents = codes, latents
        self._costs, self._codewords = ContextCosts(space.context), Codewords(codebook)
        self._prefixes, self._width = nearest_prefixes(latents, self._codewords), max(1.0, math.log2(codebook.shape[1]))
        self._dearest = max(CHEAPEST, float(self._prefixes.errors[0].mean(dtype=np.float64)) / self._width)

    def rated(self, bit_rate: float) -> Fitted:
        """The file of a bit rate."""
        size = max(1.0, min(bit_rate * self._codes.seconds / 8, self._beyond))
        best = self._sought(size)
        if abs(best.size - size) <= max(3 * _TOLERANCE * size, _BLOCK):
            return Fitted(*best.file, "")
        file, what = best.file, "the nearest file that was found has {} bit/s"
        if best.size < size and self._whole.size <= size:
            file, what = self._whole, "all codebooks take {} bit/s here, which is the most"
        elif best.size < size and best.price <= _FLOOR:
            what = "more than {} bit/s bring nothing here"
        elif best.size > size and best.size <= self._least.size:
            what = "the least is {} bit/s here, which is used"
        rate = round(8 * file.size / self._codes.seconds)
        return Fitted(*file, f"`bitrate` {bit_rate:g}: {what.format(rate)}")

    def limited(self, most: int) -> Fitted:
        """The largest file of at most so many bytes."""
        best = self._sought((1 - _TOLERANCE) * min(most, self._beyond), most)
        if best.size > most:
            raise CodesError(f"`max_bytes` {most}: this recording takes {best.size} bytes at least")
        if best.size < (1 - 3 * _TOLERANCE) * most and self._whole.size <= most:
            return Fitted(*self._whole, "")
        return Fitted(*best.file, "")

    def at(self, price: float) -> _Tried:
        """The file of a price."""
        parts, how = self._priced(price), self._how(price)
        for _ in range(_SWEEPS[self._effort] - 1):
            parts = self._parts(self._sweep(parts).ways(how), price)
        return self._tried(self._sweep(parts).ways(how), price)

    @property
    def _beyond(self) -> float:
        """Bytes that no file has."""
        return _HEADER + self._prefixes.codes.size * self._width

    @cached_property
    def _least(self) -> _Tried:
        """The least file: the codes of the dearest price, searched again until they are no likelier to each other."""
        how, best = self._how(self._dearest), self.at(self._dearest)
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
        return Search(price, limit, max(1, round(_SUMS[self._effort] / limit)))

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
        for _ in range(_SWEEPS[self._effort]):
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
