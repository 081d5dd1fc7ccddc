"""Scores as tables: plain text for a terminal, Markdown and LaTeX for a document."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "²": r"\textsuperscript{2}",
}  # fmt: skip


class Column(NamedTuple):
    """One figure: its key in the files, title, unit ("" for none), which way is better, and decimals shown."""

    key: str
    title: str
    unit: str
    better: Literal["higher", "lower"] | None
    decimals: int

    @property
    def heading(self) -> str:
        """Title, unit, and an arrow to what is better."""
        arrow = {"higher": " ↑", "lower": " ↓", None: ""}[self.better]
        return f"{self.title}{f' ({self.unit})' if self.unit else ''}{arrow}"


class Figure(NamedTuple):
    """A mean with its 95 % interval over `files` files, `failed` of which could not be scored; None: no figure."""

    mean: float | None
    low: float | None
    high: float | None
    files: int
    failed: int


def number(value: float | None, decimals: int) -> str:
    """12.346 -> "12.35"; None -> "–"; no negative zero."""
    return "–" if value is None else f"{round(value, decimals) + 0.0:.{decimals}f}"


def figure_text(cell: Figure, column: Column) -> str:
    """Mean, interval, and the number of files without a figure."""
    if cell.mean is None:
        return f"– ({cell.failed} failed)" if cell.failed else "–"
    text = number(cell.mean, column.decimals)
    if cell.low != cell.high:
        text += f" [{number(cell.low, column.decimals)}, {number(cell.high, column.decimals)}]"
    return f"{text} ({cell.failed} failed)" if cell.failed else text


def plain(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equal length in aligned columns; the first column to the left, the others to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [
        "  ".join(text.ljust(width) if not place else text.rjust(width) for place, (text, width) in enumerate(cells))
        for cells in (list(zip(row, widths, strict=True)) for row in rows)
    ]
    return "\n".join(line.rstrip() for line in lines)


def latex(rows: Sequence[Sequence[str]]) -> str:
    """As `markdown`, in LaTeX with the rules of the package booktabs."""
    head, *body = [f"{' & '.join(map(_escaped, row))} \\\\" for row in rows]
    columns = "l" + "r" * (len(rows[0]) - 1)
    lines = [
        f"\\begin{{tabular}}{{{columns}}}", "\\toprule", head, "\\midrule", *body, "\\bottomrule", "\\end{tabular}"
    ]  # fmt: skip
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equal length, the first of them the heading, as a Markdown table."""
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|---|" + "---:|" * (len(rows[0]) - 1), *body])
