"""Pictures over time, one above the other: spectrograms and codes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from numpy.typing import NDArray


class Timeline(NamedTuple):
    """A row of a picture: values [F, T] at `rate` columns per second; what: the name of its other axis."""

    title: str
    values: NDArray[Any]
    rate: float
    what: str


def draw_timelines(timelines: Sequence[Timeline]) -> Figure:
    """A figure with a row for each, all on one axis of time; those of one kind share a scale."""
    figure = Figure(figsize=(10, 2.2 * len(timelines) + 0.6), layout="constrained")
    grid = figure.subplots(len(timelines), 1, sharex=True, squeeze=False)
    for axes, timeline in zip(grid[:, 0], timelines, strict=True):
        alike = [other.values for other in timelines if other.what == timeline.what]
        axes.imshow(
            timeline.values,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            vmin=min(float(values.min()) for values in alike),
            vmax=max(float(values.max()) for values in alike),
            extent=(0, timeline.values.shape[1] / timeline.rate, 0, len(timeline.values)),
        )
        axes.set(ylabel=timeline.what)
        axes.set_title(timeline.title, fontsize=9, loc="left", parse_math=False)  # a file's name may have two `$`
    grid[-1, 0].set(xlabel="s")
    return figure
