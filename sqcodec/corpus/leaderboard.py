"""Published entries of ZeroSpeech 2019, English (the challenges of 2019 and 2020), kept in `zerospeech2019.tsv`.

From the organisers' archive of leaderboards. MOS of different years do not compare: the same systems moved by 0.43.
"""

import csv
from importlib.resources import files
from typing import NamedTuple


class Entry(NamedTuple):
    """One system: ABX error in %, bit/s, character error rate, opinion scores; None if not published."""

    system: str
    year: int | None
    abx: float | None
    bit_rate: float | None
    cer: float | None
    mos: float | None
    similarity: float | None


def entries() -> list[Entry]:
    """Every published entry, by ABX error."""
    text = files("sqcodec.corpus").joinpath("zerospeech2019.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return [
        Entry(
            row["system"],
            int(row["year"]),
            *(float(row[key]) if row[key] else None for key in ("abx", "bit_rate", "cer", "mos", "similarity")),
        )
        for row in rows
    ]


def place(name: str, *, abx: float | None, bit_rate: float | None) -> list[Entry]:
    """The entries with a new result inserted, sorted by ABX error, or by bit rate if it has none."""
    mine = Entry(name, None, abx, bit_rate, None, None, None)
    column = "abx" if abx is not None else "bit_rate"
    return sorted([*entries(), mine], key=lambda entry: float(getattr(entry, column)))
