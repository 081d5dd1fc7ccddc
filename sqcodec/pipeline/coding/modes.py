"""Modes of a stream: packets name neither model nor rate, so a name that both sides agree on does: speech16k-2/1600."""

from typing import NamedTuple

from sqcodec.errors import CodesError
from sqcodec.pipeline.coding.codec import Codec
from sqcodec.pipeline.finding.models import versioned_name


class Mode(NamedTuple):
    """A model by its name, with the version of one that ships, and a nominal rate of it (bit/s)."""

    model: str
    bit_rate: int

    def __str__(self) -> str:
        return f"{self.model}/{self.bit_rate}"


def parse(text: str) -> Mode:
    """MODEL/RATE -> the mode. Raises CodesError: a text of another form."""
    model, _, rate = text.rpartition("/")
    if not model or not rate.isdecimal() or not rate.isascii() or len(rate) > 9:
        raise CodesError(f"mode {text!r}: expected MODEL/RATE with a nominal rate in bit/s, such as speech16k-2/1600")
    return Mode(model, int(rate))


def check(mode: Mode, codec: Codec) -> None:
    """Raises CodesError: a rate that is none of the model's."""
    if mode.bit_rate not in codec.nominal_bitrates:
        rates = ", ".join(map(str, codec.nominal_bitrates))
        raise CodesError(f"mode {mode}: {mode.model} has no rate of {mode.bit_rate} bit/s, expected one of {rates}")


def codebooks_of(codec: Codec, bit_rate: float | None) -> int:
    """How many codebooks packets of a nominal rate have; None: of the model's default. The receiver takes packets apart
    by it, so it must be exact. Raises CodesError: a rate that is none of the model's."""
    if bit_rate is not None and bit_rate not in codec.nominal_bitrates:
        rates = ", ".join(map(str, codec.nominal_bitrates))
        raise CodesError(f"`bitrate` {bit_rate}: no rate of {versioned_name(codec.path)}'s packets, expected {rates}")
    return codec.codebooks_for(codebooks=None, bit_rate=bit_rate)


def mode_of(codec: Codec, codebooks: int) -> Mode:
    """The mode of a model with so many codebooks."""
    return Mode(versioned_name(codec.path), codec.nominal_bitrates[codebooks - 1])
