"""Bits at equal quality between the systems of an evaluation, and those of another one."""

import json
from collections.abc import Mapping
from pathlib import Path

from sqcodec.errors import SqcodecError
from sqcodec.metrics.bd_rate import bd_rate

METRICS = {"pesq": "PESQ", "estoi": "ESTOI"}
Curves = dict[str, dict[str, list[tuple[float, float]]]]  # by family and metric: bit/s and mean of each system


def read_curves(folder: Path) -> Curves:
    """The curves of an evaluation in a folder. Raises SqcodecError: there are no results, or they are damaged."""
    path, curves = folder / "scores.json", Curves()
    try:
        systems = json.loads(path.read_text(encoding="utf-8"))["systems"]
        for name, system in systems.items():
            scores = system["scores"]
            add_(curves, system.get("family", name), {key: scores[key]["mean"] for key in scores})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SqcodecError(
            f"{path}: no results of an evaluation ({type(error).__name__}); name the folder that `evaluate` wrote"
        ) from error
    return curves


def add_(curves: Curves, family: str, means: Mapping[str, float | None]) -> None:
    """Add a system's point to the curves of its family, for each metric that it has."""
    if rate := means.get("bit_rate"):
        for metric in METRICS:
            if (mean := means.get(metric)) is not None:
                curves.setdefault(family, {}).setdefault(metric, []).append((float(rate), float(mean)))


def savings(family: str, curves: Curves, rivals: Curves) -> list[str]:
    """A line for each other family, here and in `rivals`, that shares a range of quality with this one; and for each of
    the rivals, which were asked for, that does not.
    """
    here = {name: curves[name] for name in curves if name != family}
    there = {f"{name} of the other results": rival for name, rival in rivals.items()}
    lines = []
    for name, other in {**here, **there}.items():
        rates = {
            title: rate
            for metric, title in METRICS.items()
            if (rate := bd_rate(other.get(metric, ()), curves.get(family, {}).get(metric, ()))) is not None
        }
        if rates:
            texts = " and ".join(f"{rate:+.1f} % at equal {title}" for title, rate in rates.items())
            lines.append(f"BD-rate of {family} against {name}: {texts} (bits; below 0 they are fewer)")
        elif name in there:
            lines.append(
                f"BD-rate of {family} against {name}: none; each needs two bit rates or more (`bitrate`), and"
                " quality that the other reaches"
            )
    return lines
