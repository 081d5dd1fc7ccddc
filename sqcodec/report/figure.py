"""Figures of matplotlib as files, without a display and without the state of pyplot."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sqcodec.storage import written


def write_figure(figure: Figure, path: Path) -> None:
    """Save a figure without a display, in the format that the suffix names. Raises SqcodecError: cannot be written."""
    figure.set_canvas(FigureCanvasAgg(figure))
    with written(path) as draft:
        figure.savefig(draft, format=path.suffix.removeprefix("."))
