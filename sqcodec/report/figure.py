"""Figures of matplotlib as files, without a display and without the state of pyplot."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def write_figure(figure: Figure, path: Path) -> None:
    """Save a figure without a display."""
    figure.set_canvas(FigureCanvasAgg(figure))
    figure.savefig(path)
