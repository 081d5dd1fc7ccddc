"""Work on many files at once: processes of this machine, or a Dask cluster."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import joblib

from sqcodec.errors import SqcodecError

_Result = TypeVar("_Result")


def in_parallel(
    function: Callable[..., _Result], work: Sequence[tuple[Any, ...]], *, jobs: int, backend: str
) -> Iterator[tuple[int, _Result]]:
    """Call function(*arguments) for each of `work`; yields (place in `work`, result) as they come in.

    jobs: processes (of a cluster: tasks in flight); backend: `local` or `dask`.
    Raises SqcodecError: Dask is not installed.
    """
    if jobs == 1 and backend == "local":
        for place, arguments in enumerate(work):
            yield place, function(*arguments)
        return
    with _cluster() if backend == "dask" else contextlib.nullcontext():
        parallel = joblib.Parallel(n_jobs=min(jobs, max(1, len(work))), return_as="generator_unordered")
        yield from parallel(joblib.delayed(_numbered)(place, function, *of) for place, of in enumerate(work))


def _numbered(place: int, function: Callable[..., _Result], *arguments: Any) -> tuple[int, _Result]:
    import torch

    torch.set_num_threads(1)  # files run side by side; more threads would only be in each other's way
    return place, function(*arguments)


@contextlib.contextmanager
def _cluster() -> Iterator[None]:
    """The cluster that Dask's own settings name (DASK_SCHEDULER_ADDRESS), else one on this machine."""
    try:
        from distributed import Client
    except ImportError as error:
        raise SqcodecError("--backend dask: dask is not installed; install sqcodec[cluster]") from error
    with Client(set_as_default=True), joblib.parallel_config(backend="dask"):
        yield
