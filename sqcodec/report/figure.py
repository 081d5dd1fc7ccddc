"""Figures of matplotlib as files, without a display and without the state of pyplot."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sqcodec.errors import SqcodecError
from sqcodec.storage import written


def write_figure(figure: Figure, path: Path) -> None:
    """Save a figure without a display, in the format that the suffix names.

    Raises SqcodecError: it cannot be written, matplotlib has no such format, or the picture is too large for it.
    """
    figure.set_canvas(FigureCanvasAgg(figure))
    with written(path) as draft:
        try:
            figure.savefig(draft, format=path.suffix.removeprefix("."))
        except ValueError as error:
            raise SqcodecError(f"{path}: cannot be written: {error}") from error
