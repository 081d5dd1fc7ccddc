"""The figures of a comparison."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sqcodec.pipeline.training.comparison.summary import Result, Row
from sqcodec.report.figure import write_figure

_PICTURES = ("mse.png", "perplexity.png", "usage.png", "annealing.png")


def draw_comparison(results: Sequence[Result], rows: Sequence[Row], folder: Path) -> tuple[Path, ...]:
    """Draw what the cells allow and return what was drawn: for a sweep the capacity study, else the other four."""
    for former in (*folder.glob("capacity-*.png"), *(folder / name for name in _PICTURES)):
        former.unlink(missing_ok=True)  # of another comparison in this folder
    swept = dict.fromkeys(row.sweep[0] for row in rows if row.sweep)
    if swept:
        return tuple(_draw(folder / f"capacity-{key}.png", partial(_capacity, rows=rows, key=key), 11) for key in swept)
    pictures = [
        _draw(folder / "mse.png", lambda figure: _bars(figure.subplots(), rows), 7),
        _draw(folder / "perplexity.png", lambda figure: _perplexity(figure, results), 11),
        _draw(folder / "usage.png", lambda figure: _usage(figure.subplots(), results), 7),
    ]
    if any("log_var" in entry for result in results for entry in result.log):
        pictures.append(_draw(folder / "annealing.png", lambda figure: _annealing(figure, results), 11))
    return tuple(pictures)


def _draw(path: Path, draw: Callable[[Figure], None], width: float) -> Path:
    figure = Figure(figsize=(width, 4.5), layout="constrained")
    draw(figure)
    write_figure(figure, path)
    return path


def _bars(axes: Axes, rows: Sequence[Row]) -> None:
    """Test MSE of each system with its standard deviation over seeds; the paper's as a line."""
    for position, row in enumerate(rows):
        mean, std = row.figures["test_mse"]
        axes.bar(position, mean, yerr=std, capsize=4, color="tab:blue", width=0.7)
        if row.published:
            axes.hlines(row.published[0], position - 0.4, position + 0.4, color="black", linestyle="--")
    axes.set_xticks(range(len(rows)), [row.system for row in rows], rotation=30)
    lowest = min(row.figures["test_mse"][0] for row in rows)
    axes.set(title="test MSE, mean and standard deviation over seeds", ylabel="dB$^2$", ylim=(0.8 * lowest, None))


def _perplexity(figure: Figure, results: Sequence[Result]) -> None:
    """Perplexity of the test codes and of each training epoch, against steps."""
    left, right = figure.subplots(1, 2)
    _curves(left, results, "test_perplexity", "perplexity of the test codes")
    _curves(right, results, "epoch_perplexity", "perplexity of an epoch of training")


def _annealing(figure: Figure, results: Sequence[Result]) -> None:
    """Self-annealing: posterior entropy and learned variance, against steps."""
    left, right = figure.subplots(1, 2)
    stochastic = [result for result in results if any("log_var" in entry for entry in result.log)]
    _curves(left, stochastic, "posterior_entropy", "posterior entropy, nats a code")
    _curves(right, stochastic, "log_var", "mean log variance")


def _curves(axes: Axes, results: Sequence[Result], name: str, title: str) -> None:
    """One colour per system, one line per seed."""
    systems = list(dict.fromkeys(result.cell.system for result in results))
    for result in results:
        points = [(entry["step"], entry[name]) for entry in result.log if name in entry]
        if not points:
            continue
        number = systems.index(result.cell.system)
        first = next(other for other in results if other.cell.system == result.cell.system)
        label = result.cell.system if result is first else None
        axes.plot(*zip(*points, strict=True), color=f"C{number % 10}", label=label, alpha=0.85)
    axes.set(title=title, xlabel="step")
    if axes.lines:
        axes.legend(fontsize=8)


def _usage(axes: Axes, results: Sequence[Result]) -> None:
    """How often each codeword occurs in the test set, the most frequent first; the first seed of each system."""
    for system in dict.fromkeys(result.cell.system for result in results):
        result = next(result for result in results if result.cell.system == system)
        counts = np.sort(np.array(result.figures["test_counts"], dtype=np.float64).flatten())[::-1]
        if counts.sum() > 0:
            percent = 100 * counts[counts > 0] / counts.sum()
            axes.plot(np.arange(1, len(percent) + 1), percent, label=system)
    axes.set(title="codebook usage on the test set", xlabel="codeword, by rank", ylabel="share of codes, %")
    axes.set(xscale="log", yscale="log")
    if axes.lines:
        axes.legend(fontsize=8)


def _capacity(figure: Figure, *, rows: Sequence[Row], key: str) -> None:
    """Perplexity with its upper bound for codewords, and MSE, against the swept key; log axes where they can be."""
    left, right = figure.subplots(1, 2)
    rows = [row for row in rows if row.sweep and row.sweep[0] == key]
    for system in dict.fromkeys(row.system for row in rows):
        for axes, name in ((left, "test_perplexity"), (right, "test_mse")):
            having = [row for row in rows if row.system == system and name in row.figures]
            points = [(row.sweep[1], *row.figures[name]) for row in having if row.sweep]
            if not points:  # a plain VAE has no codes
                continue
            values, means, stds = zip(*points, strict=True)
            axes.errorbar(values, means, [d or 0.0 for d in stds], marker="o", capsize=3, label=system)
    numbers = sorted({row.sweep[1] for row in rows if row.sweep and isinstance(row.sweep[1], float)})
    if key == "quantizer.codewords":
        left.plot(numbers, numbers, color="black", linestyle=":", label="upper bound")
    for axes, title in ((left, "perplexity of the test codes"), (right, "test MSE, dB$^2$")):
        if numbers:
            axes.set_yscale("log")
            if min(numbers) > 0:  # a log axis leaves out 0
                axes.set_xscale("log", base=2)
        axes.set(title=title, xlabel=key)
        axes.legend(fontsize=8)
