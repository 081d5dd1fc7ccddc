"""Work on many files at once: processes of this machine, or a Dask cluster."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

from sqcodec.errors import SqcodecError

_Result = TypeVar("_Result")
_PATIENCE = 10  # seconds


def in_parallel(
    function: Callable[..., _Result], work: Sequence[tuple[Any, ...]], *, jobs: int, backend: str
) -> Iterator[tuple[int, _Result]]:
    """Call function(*arguments) for each of `work`; yields (place in `work`, result) as they come in.

    jobs: processes of this machine. backend: `local`; `dask`, the cluster of Dask's own settings (or one on this
    machine); or a scheduler's address, such as tcp://10.0.0.1:8786. A cluster decides itself how much it does at once,
    and gives the work of a worker that dies to another; all must see the same files under the same names.
    Raises SqcodecError: a process ended early, Dask is not installed, or no scheduler answers.
    """
    if backend != "local":
        yield from _on_cluster(function, work, None if backend == "dask" else backend)
        return
    if jobs == 1:
        for place, arguments in enumerate(work):
            yield place, function(*arguments)
        return
    yield from _in_processes(function, work, min(jobs, max(1, len(work))))


def _in_processes(
    function: Callable[..., _Result], work: Sequence[tuple[Any, ...]], jobs: int
) -> Iterator[tuple[int, _Result]]:
    """New processes for each call, started in the folder that is the current one now."""
    with ProcessPoolExecutor(jobs, get_context("spawn"), _interruptible) as pool:
        futures = [pool.submit(_numbered, place, function, *of) for place, of in enumerate(work)]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise SqcodecError(
                f"a process of {jobs} ended before its work was done (out of memory?); use fewer with `jobs`"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _interruptible() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C goes to every process: no traceback from each


def _numbered(place: int, function: Callable[..., _Result], *arguments: Any) -> tuple[int, _Result]:
    import torch

    torch.set_num_threads(1)  # files run side by side; more threads would only be in each other's way
    return place, function(*arguments)


def _on_cluster(
    function: Callable[..., _Result], work: Sequence[tuple[Any, ...]], address: str | None
) -> Iterator[tuple[int, _Result]]:
    """As `in_parallel`, on the scheduler at `address`; None: what Dask's settings say (DASK_SCHEDULER_ADDRESS)."""
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise SqcodecError("`backend` dask: dask is not installed; install sqcodec[cluster]") from error
    try:
        client = Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:  # TimeoutError is an OSError
        raise SqcodecError(
            f"`scheduler` {address}: got no answer within {_PATIENCE} s, expected a Dask scheduler there ({error});"
            " start one with 'dask scheduler'"
        ) from error
    with client:
        futures = [client.submit(_numbered, place, function, *of, pure=False) for place, of in enumerate(work)]
        for future in as_completed(futures, loop=client.loop):
            done: tuple[int, _Result] = future.result()
            future.release()  # the cluster need not keep it
            yield done
