"""Codes of a true bit rate, a quality or a size: the price of a bit is sought that gives it.

With a price, every frame has the stages and codes of the least weighed squared error + price x bits (see
`sqcodec.bitstream.rate_search`). One price holds for the whole recording, so quality is constant and the bits follow
the speech. The size of the file decides, header and checksums included.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream import sqc
from sqcodec.bitstream.code_space import CodeSpace
from sqcodec.bitstream.context_coder import Part
from sqcodec.bitstream.rate_search import (
    CHEAPEST,
    DEAREST,
    Latents,
    Search,
    best_prefixes,
    ends,
    most_stages,
    price_of,
    sweep,
)
from sqcodec.bitstream.sqc_header import BLOCK
from sqcodec.codes import Codes
from sqcodec.errors import CodesError
from sqcodec.pipeline.coding.one_codebook import File, OneCodebook

Effort = Literal[0, 1, 2, 3]
DEFAULT_EFFORT: Effort = 1
_SWEEPS: dict[int, int] = {1: 0, 2: 1, 3: 2}  # of each effort: sweeps of the search, and sums that go on
_KEPT: dict[int, int] = {1: 1, 2: 4, 3: 16}
_HISTORIES: dict[int, int] = {1: 4, 2: 8, 3: 16}  # of one codebook: one alone ends in cheap codes that fit nothing
_TOLERANCE = 0.01  # of the size, within which a price is good
_TRIES = 6  # prices that are tried
_BEST = 300.0  # decibels of a quality, beyond which a price is no number
_STEEP = 1.6  # of the price as a power of the size, roughly


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
        self._codebook, self._model = codebook, space.context
        self._effort, self._pack = goal.effort, pack
        spans = [slice(each.start, each.stop) for each in sqc.blocks(len(latents.z), block)]
        self._latents = [Latents(latents.z[span], latents.weights[span]) for span in spans]
        self._spans, self._width = spans, math.log2(codebook.shape[1])
        self._prefixes = best_prefixes(latents, codebook)
        self._whole = replace(codes, indices=self._prefixes.codes[-1])  # of all stages

    def rated(self, bit_rate: float) -> Fitted:
        """The file of a bit rate."""
        size = bit_rate * self._whole.seconds / 8
        best = self._sought(size)
        if best.size < (1 - 3 * _TOLERANCE) * size and self._stages(CHEAPEST) >= self._most * 0.999:
            full = self._file(self._whole)
            if full.size <= size:
                rate = 8 * full.size / self._whole.seconds
                note = f"`bitrate` {bit_rate:g}: all codebooks take {rate:.0f} bit/s here, which is the most"
                return Fitted(*full, note)
        if best.size > (1 + 3 * _TOLERANCE) * size and best.price >= 0.9 * DEAREST:
            rate = 8 * best.size / self._whole.seconds
            return Fitted(*best.file, f"`bitrate` {bit_rate:g}: the least is {rate:.0f} bit/s here, which is used")
        return Fitted(*best.file, "")

    def limited(self, most: int) -> Fitted:
        """The largest file of at most so many bytes."""
        full = self._file(self._whole)
        if full.size <= most:
            return Fitted(*full, "")
        best = self._sought(most * (1 - _TOLERANCE))
        while best.size > most and best.price < DEAREST:
            best = self.at(min(DEAREST, best.price * max(1.02, (best.size / most) ** _STEEP)), best.parts)
        if best.size > most:
            raise CodesError(f"`max_bytes` {most}: this recording takes {best.size} bytes at least")
        return Fitted(*best.file, "")

    def at(self, price: float, former: list[Part] | None = None) -> _Tried:
        """The file of a price; former: codes of a similar one, from which the search may go on."""
        parts = former
        sweeps = _SWEEPS[self._effort]
        if parts is None or not sweeps:
            parts = self._priced(price)
        how = Search(price, most_stages(self._prefixes.errors, price, self._width), _KEPT[self._effort])
        for _ in range(sweeps if former is None else min(1, sweeps)):
            parts = sweep(self._latents, parts, self._codebook, self._model, how)
        return _Tried(price, parts, self._file(self._codes_of(parts)))

    def _file(self, codes: Codes) -> File:
        return File(codes, self._pack(codes))

    def _codes_of(self, parts: list[Part]) -> Codes:
        """All blocks together, without the codebooks that no frame uses."""
        stages = np.concatenate([part.stages for part in parts])
        used = int(stages.max())
        indices = np.concatenate([part.codes for part in parts], axis=1)[:used]
        return replace(self._whole, indices=indices, stages=None if stages.min() == used else stages)

    def _sought(self, size: float) -> _Tried:
        """The file whose size is nearest, of those whose prices were tried: by how the number of codes follows them."""
        price, per_code = self._price_of(size / 0.8), 0.8  # bytes of a code, roughly
        best: _Tried | None = None
        for _ in range(_TRIES):
            tried = self.at(price, best.parts if best else None)
            if best is None or abs(math.log(tried.size / size)) < abs(math.log(best.size / size)):
                best = tried
            if abs(tried.size / size - 1) <= _TOLERANCE:
                return best
            per_code = tried.size / self._stages(price)
            following = self._price_of(size / per_code)
            if following == price and _SWEEPS[self._effort]:  # a sweep's codes change where their number cannot
                following = min(DEAREST, max(CHEAPEST, price * (tried.size / size) ** _STEEP))
            if following == price:
                return best
            price = following
        assert best is not None
        return best

    def _price_of(self, stages: float) -> float:
        """The price at which the recording has so many codes."""
        return price_of(self._prefixes.errors, stages, self._width)

    def _stages(self, price: float) -> int:
        return int(ends(self._prefixes.errors, price, self._width).sum(dtype=np.int64))

    @property
    def _most(self) -> int:
        return self._whole.indices.size

    def _priced(self, price: float) -> list[Part]:
        stages = ends(self._prefixes.errors, price, self._width)
        codes = self._prefixes.codes[stages.astype(np.int64) - 1, :, np.arange(len(stages))].T
        return [Part(codes[:, span], stages[span]) for span in self._spans]
