"""Measures of quality and rate, one file each, with definition and source; `evaluate` computes all of a pair."""

from typing import TYPE_CHECKING, Any

from sqcodec.extras import required

if TYPE_CHECKING:
    from sqcodec.metrics.pair_scores import evaluate

__all__ = ["evaluate"]


def __getattr__(name: str) -> Any:
    # Deferred: a single metric needs neither WORLD nor PESQ.
    if name == "evaluate":
        with required():
            from sqcodec.metrics import pair_scores

        return pair_scores.evaluate
    raise AttributeError(f"module 'sqcodec.metrics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
