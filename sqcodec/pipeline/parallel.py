"""Parallel work on many files: in processes of this machine, or on a Dask cluster."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from ctypes import c_bool
from functools import partial
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any, TypeVar

from sqcodec.errors import SqcodecError, StoppedError
from sqcodec.pipeline import stopping

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_TIMEOUT = 10  # seconds


def in_parallel(
    function: Callable[[_Item], _Result],
    items: Sequence[_Item],
    *,
    jobs: int,
    backend: str,
    saves_itself: bool = False,
) -> Iterator[_Result]:
    """Call function(item) for each of `items`. Yields the results as they arrive, in any order.

    jobs: number of processes of this machine. backend: `local`; `dask` for the cluster in Dask's settings (or a new
    one on this machine); or a scheduler's address, such as tcp://10.0.0.1:8786. A cluster ignores `jobs`, and repeats
    the work of a worker that dies on another one. All workers must see the same files under the same paths, and work in
    the current folder. saves_itself: the function ends with a StoppedError when a signal asks it to; then an error of
    one process, Ctrl-C and SIGTERM stop them all, and no item begins any more.
    Raises SqcodecError: a process ended early, Dask is not installed, or no scheduler answers; StoppedError: `jobs`
    processes that save themselves were stopped.
    """
    if backend != "local":
        yield from _on_cluster(function, items, None if backend == "dask" else backend)
    elif jobs == 1:
        yield from map(function, items)
    else:
        work = _in_saving_processes if saves_itself else _in_processes
        yield from work(function, items, min(jobs, max(1, len(items))))


def _in_processes(function: Callable[[_Item], _Result], items: Sequence[_Item], jobs: int) -> Iterator[_Result]:
    """Start new processes for this call, in the current folder."""
    no_traceback = signal.SIGINT, signal.SIG_DFL  # Ctrl-C goes to every process
    with _safe_path(), _pool(jobs, signal.signal, no_traceback) as pool:
        futures = [pool.submit(_on_one_thread, function, item) for item in items]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise _ended_early(jobs) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _in_saving_processes(function: Callable[[_Item], _Result], items: Sequence[_Item], jobs: int) -> Iterator[_Result]:
    """As `_in_processes`; whatever ends it early ends all the processes, when they have saved their work."""
    others, stop, futures = active_children(), get_context("spawn").RawValue(c_bool, False), list[Future[_Result]]()
    with _safe_path(), _pool(jobs, stopping.listen, (stop,)) as pool:
        try:
            with stopping.deaf_at_birth():
                work = partial(_on_one_thread, function)
                futures += [pool.submit(stopping.call, work, item) for item in items]
            for future in as_completed(futures):
                yield future.result()
        except BaseException as error:
            stop.value = True
            workers = [child for child in active_children() if child not in others]
            stopping.stop(workers, partial(pool.shutdown, cancel_futures=True))
            if isinstance(error, BrokenProcessPool):
                raise _ended_early(jobs) from None
            if isinstance(error, KeyboardInterrupt | SystemExit | StoppedError):
                raise _reason(futures) from None
            raise


def _reason(futures: Sequence[Future[Any]]) -> BaseException:
    """What to raise after processes were stopped: what one of them failed with, or that all is saved."""
    errors = [future.exception() for future in futures if future.done() and not future.cancelled()]
    usual = KeyboardInterrupt, SystemExit, StoppedError, BrokenProcessPool
    failed = [error for error in errors if error and not isinstance(error, usual)]
    return failed[0] if failed else StoppedError(stopping.TEXT)


def _ended_early(jobs: int) -> SqcodecError:
    return SqcodecError(
        f"a process of {jobs} ended before its work was complete (out of memory?); use fewer with `jobs`"
    )


def _pool(jobs: int, initializer: Callable[..., object], arguments: tuple[Any, ...]) -> ProcessPoolExecutor:
    try:
        return ProcessPoolExecutor(jobs, get_context("spawn"), initializer, arguments)
    except OSError as error:
        raise SqcodecError(
            f"`jobs` {jobs}: this system starts no processes that can talk to each other ({error.strerror}; is /dev/shm"
            " read-only?); use `jobs` 1"
        ) from error


@contextmanager
def _safe_path() -> Iterator[None]:
    """Let new Python processes import nothing from the current folder: a user's signal.py is not Python's."""
    name, before = "PYTHONSAFEPATH", os.environ.get("PYTHONSAFEPATH")
    os.environ[name] = "1"
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def _on_one_thread(function: Callable[[_Item], _Result], item: _Item) -> _Result:
    """Call function(item) with one thread, whether torch is imported or will be; more would oversubscribe the cores."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    return function(item)


def _on_cluster(function: Callable[[_Item], _Result], items: Sequence[_Item], address: str | None) -> Iterator[_Result]:
    """As `in_parallel`, on the scheduler at `address`. None: the one in Dask's settings (DASK_SCHEDULER_ADDRESS)."""
    try:
        from dask import config
        from distributed import CancelledError, Client, KilledWorker, as_completed
        from distributed.comm import CommClosedError
    except ImportError as error:
        raise SqcodecError("`backend` dask: dask is not installed; install sqcodec[cluster]") from error
    if not items:
        return
    try:
        client = Client(address, timeout=_TIMEOUT, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:  # TimeoutError is an OSError
        given = (
            f"`scheduler` {address}" if address else f"DASK_SCHEDULER_ADDRESS {config.get('scheduler-address', None)}"
        )
        raise SqcodecError(
            f"{given}: got no answer within {_TIMEOUT} s, expected a Dask scheduler there ({error}); start one with"
            " 'dask scheduler'"
        ) from error
    work = partial(_in_folder, str(Path.cwd()), function)
    try:
        with client:
            futures = [client.submit(work, item, pure=False) for item in items]
            for future in as_completed(futures, loop=client.loop):
                result: _Result = future.result()
                future.release()  # the cluster need not keep it
                yield result
    except KilledWorker as error:
        raise SqcodecError(
            f"workers of the cluster ended again and again before their work was complete (out of memory?): {error}"
        ) from None
    except (CommClosedError, CancelledError) as error:
        raise SqcodecError(f"the cluster is gone: {error or type(error).__name__}; start it, and run again") from None


def _in_folder(folder: str, function: Callable[[_Item], _Result], item: _Item) -> _Result:
    """Call function(item) in the folder that the command runs in: models, vocoders and programs have relative paths."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise SqcodecError(
            f"{folder}: a worker cannot go there ({error.strerror}); all workers must see the same files under the same"
            " paths"
        ) from error
    return _on_one_thread(function, item)
