"""Pictures at the end of a training: its curves, and spectrograms of source and reconstruction."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sqcodec.file_names import readable
from sqcodec.report.figure import write_figure

CODEC_CURVES = {  # entropy and log variance are the two of self-annealing
    "loss": "loss (nats a crop)",
    "mse": "training MSE, dB$^2$",
    "test_mse": "test MSE, dB$^2$ (hard codes)",
    "posterior_entropy": "posterior entropy, nats a code",
    "log_var": "mean log variance",
    "epoch_perplexity": "perplexity of an epoch",
    "test_perplexity": "perplexity of the test codes",
    "temperature": "Gumbel temperature",
}


CONTEXT_CURVES = {"bits": "training, bits a symbol", "test_bits": "test, bits a frame of all stages"}
SEARCHED_CURVES = {**CONTEXT_CURVES, "test_bits_searched": "test, bits a frame of searched codes"}
PRIOR_CURVES = {"bits": "training, bits a code", "test_bits": "test, bits a code"}


def draw_curves(entries: list[dict[str, Any]], curves: Mapping[str, str], path: Path) -> None:
    """Draw logged values against steps. curves: the title of each name, four a row."""
    rows, columns = -(-len(curves) // 4), min(len(curves), 4)
    figure, grid = _panels(rows, columns, width=3.5, height=3)
    for axes, (name, title) in zip(grid.flat, curves.items(), strict=True):
        points = [(entry["step"], entry[name]) for entry in entries if name in entry]
        axes.set(title=title, xlabel="step")
        axes.title.set_fontsize(10)
        if points:
            axes.plot(*zip(*points, strict=True), marker="." if len(points) < 30 else None)
    write_figure(figure, path)


def _panels(rows: int, columns: int, *, width: float, height: float) -> tuple[Figure, NDArray[Any]]:
    """A figure of rows and columns of axes, each width by height inches with its texts: given margins cost half
    of what those that matplotlib finds do."""
    figure = Figure(figsize=(width * columns, height * rows))
    left, right, below, above = 0.7 / width, 0.15 / width, 0.55 / height, 0.35 / height
    grid: NDArray[Any] = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(
        left=left / columns, right=1 - right / columns, bottom=below / rows, top=1 - above / rows,
        wspace=(left + right) / (1 - left - right), hspace=(below + above) / (1 - below - above),
    )  # fmt: skip
    for axes in grid.flat:
        axes.locator_params(nbins=5)
    return figure, grid


def draw_spectrograms(
    pairs: list[tuple[str, NDArray[np.float32], NDArray[np.float32]]], path: Path, frame_rate: float
) -> None:
    """Draw source above reconstruction, one column for each (name, [F, T], [F, T]), all on one scale."""
    figure, grid = _panels(2, len(pairs), width=5, height=3)
    low = min(float(source.min()) for _, source, _ in pairs)
    high = max(float(source.max()) for _, source, _ in pairs)
    for column, (name, source, reconstruction) in enumerate(pairs):
        for row, (kind, image) in enumerate((("source", source), ("reconstruction", reconstruction))):
            axes = grid[row, column]
            axes.imshow(
                image,
                origin="lower",
                aspect="auto",
                vmin=low,
                vmax=high,
                extent=(0, image.shape[1] / frame_rate, 0, len(image)),
            )
            title = f"{readable(name.rpartition('/')[2])}: {kind}"
            axes.set_title(title, fontsize=9, parse_math=False)
            axes.set(xlabel="s", ylabel="mel band")
    write_figure(figure, path)
