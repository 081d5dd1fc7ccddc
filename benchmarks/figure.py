"""The figure of the README: PESQ and ESTOI against bit rate, from the first table of docs/results/speech16k.md."""

import re
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from sqcodec.report.figure import write_figure

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "speech16k.md"
_LYRA = re.compile(r"Lyra v2 was measured elsewhere on\s+them: (\d+) bit/s, PESQ ([\d.]+), ESTOI ([\d.]+)")
_ROWS = {"bit_rate": "Bit rate (bit/s)", "pesq": "PESQ wb ↑", "estoi": "ESTOI ↑"}


class Point(NamedTuple):
    """A codec at a bit rate (bit/s), with its scores. ours: the model that ships."""

    name: str
    ours: bool
    bit_rate: float
    pesq: float
    estoi: float


def read_points(text: str) -> list[Point]:
    """The points of a page of results. Raises ValueError: it has no such table."""
    below = dropwhile(lambda line: line[:1] != "|", text.splitlines())
    lines = takewhile(lambda line: line[:1] == "|", below)  # the first table
    table = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in lines]
    names = table[0][1:]
    rows = {row[0]: [float(cell.split()[0]) for cell in row[1:]] for row in table if row[0] in _ROWS.values()}
    columns = zip(names, *(rows[title] for title in _ROWS.values()), strict=True)
    points = [Point(name, name.isdecimal(), *figures) for name, *figures in columns]
    lyra = _LYRA.search(text)
    if lyra is None:
        raise ValueError("no figures of Lyra v2 in the page of results")
    return [*points, Point("Lyra v2", False, *map(float, lyra.groups()))]


def draw(points: list[Point], path: Path) -> None:
    """Our bit rates as a curve, the others as points."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    for axes, key, title in zip(figure.subplots(1, 2), ("pesq", "estoi"), ("PESQ, wide band", "ESTOI"), strict=True):
        ours = [point for point in points if point.ours]
        axes.plot(
            [point.bit_rate for point in ours], [getattr(point, key) for point in ours], "o-", color="C0",
            label="sqcodec (speech16k)",
        )  # fmt: skip
        for point in points:
            if not point.ours:
                axes.plot(point.bit_rate, getattr(point, key), "s", color="0.45")
                axes.annotate(
                    point.name, (point.bit_rate, getattr(point, key)), xytext=(6, -3), fontsize=8, color="0.35",
                    textcoords="offset points",
                )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xticks([400, 800, 1600, 3200, 6400], ["400", "800", "1600", "3200", "6400"])
        axes.minorticks_off()
        axes.set(xlabel="bit/s, of the codes alone", title=title, xlim=(330, 8200))
        axes.margins(y=0.1)
        axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    write_figure(figure, path)
