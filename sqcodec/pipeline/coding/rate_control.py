"""Codes of a true bit rate, a quality or a size: the price of a bit is sought that gives it.

With a price, every frame has the stages and codes of the least weighed squared error + price x bits (see
`sqcodec.bitstream.rate_search`). One price holds for the whole recording, so quality is constant and the bits follow
the speech. The size of the file decides, header and checksums included.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream import sqc
from sqcodec.bitstream.code_space import CodeSpace
from sqcodec.bitstream.rate_search import Latents
from sqcodec.bitstream.sqc_header import BLOCK
from sqcodec.codes import Codes
from sqcodec.errors import CodesError
from sqcodec.pipeline.coding.many_codebooks import ManyCodebooks
from sqcodec.pipeline.coding.one_codebook import OneCodebook
from sqcodec.runtime.threads import one_thread

Effort = Literal[0, 1, 2, 3]
DEFAULT_EFFORT: Effort = 1
_SWEEPS: dict[int, int] = {1: 1, 2: 2, 3: 2}  # of each effort
_SUMS: dict[int, int] = {1: 32, 2: 64, 3: 128}  # of a frame that go on, of all stages together
_HISTORIES: dict[int, int] = {1: 4, 2: 8, 3: 16}  # of one codebook: one alone ends in cheap codes that fit nothing
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
    """Raise CodesError: no number of bits per second. One below 1 is meant in other units."""
    if not (isinstance(bit_rate, int | float | np.number) and 1 <= bit_rate < math.inf):
        raise CodesError(f"`bitrate` {bit_rate!r}: expected bit/s, 1 or more, such as 1600")


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

    def goal(self, form: str, *, context_model: bool) -> Goal | None:
        """The goal; None for whole codebooks at a nominal rate. Raises CodesError: it is not possible.

        form: of the file, of which `sqc` has true rates; context_model: whether the model has one.
        """
        asked = {"codebooks": self.codebooks, "bitrate": self.bit_rate, "quality": self.quality,
                 "max_bytes": self.max_bytes}  # fmt: skip
        given = [name for name, value in asked.items() if value is not None]
        if len(given) > 1:
            raise CodesError(f"{' and '.join(f'`{name}`' for name in given)} exclude each other; give one of them")
        needs = [
            *(["a .sqc"] if form != "sqc" else []),
            *(["a model with a context model"] if not context_model else []),
            *(["`coder` context"] if self.coder == "tables" else []),
            *(["`effort` 1 to 3"] if self.effort == 0 else []),
        ]
        if self.quality is None and self.max_bytes is None and (self.bit_rate is None or needs):
            return None
        if needs:
            raise CodesError(f"`{given[0]}` needs {' and '.join(needs)}")
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

    With K = 1 there are no stages to leave out: what is chosen is the codeword (see `one_codebook`, `many_codebooks`).

    block: codes a book in a block of the file. pack: makes the file; None: a `.sqc`.

    Raises CodesError: no file is as small as `max_bytes`.
    """
    assert space.context is not None
    model, pack = space.context, pack or (lambda codes: sqc.pack(codes, space, block=block))
    fitting: OneCodebook | ManyCodebooks
    if len(codebook) == 1:
        histories = _HISTORIES[goal.effort]
        fitting = OneCodebook(codes, latents, codebook[0], model, histories=histories, block=block, pack=pack)
    else:
        sweeps, sums = _SWEEPS[goal.effort], _SUMS[goal.effort]
        fitting = ManyCodebooks(
            codes, latents, codebook, model, sweeps=sweeps, sums=sums, block=block, pack=pack
        )  # fmt: skip
    if goal.quality is not None:
        return Fitted(*fitting.at(10 ** (-goal.quality / 10)), "")
    if goal.max_bytes is not None:
        return Fitted(*fitting.limited(goal.max_bytes), "")
    assert goal.bit_rate is not None
    file, note = fitting.rated(goal.bit_rate)
    return Fitted(*file, note)
