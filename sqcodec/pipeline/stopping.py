"""Ctrl-C and SIGTERM in several processes whose work saves itself: all are asked to stop, and nothing more begins."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ctypes import c_bool
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import TypeVar

from sqcodec.errors import StoppedError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
TEXT = "stopped, all saved; the same command goes on from here"


class _Listener:
    """What a worker process hears. stopping: shared by all of them; set it, and no work begins."""

    def __init__(self, stopping: c_bool) -> None:
        self.stopping, self._working, self._heard = stopping, False, False

    def hear(self, number: int, _frame: FrameType | None) -> None:
        """End the work that has no ears of its own. SIGTERM, by which the others pass a signal on, ends it once."""
        again, self._heard = self._heard, True
        self.stopping.value = True
        if self._working and (number == signal.SIGINT or not again):
            raise KeyboardInterrupt

    @contextmanager
    def work(self) -> Iterator[None]:
        """Raises StoppedError: asked to stop, before or meanwhile. Whatever is raised stops all work."""
        try:
            self._working = True
            if self.stopping.value:
                raise StoppedError(TEXT)
            yield
        except KeyboardInterrupt:
            self.stopping.value = True
            raise StoppedError(TEXT) from None
        except BaseException:
            self.stopping.value = True
            raise
        finally:
            self._working = False


_listeners: list[_Listener] = []  # one, in a worker process


def listen(stopping: c_bool) -> None:
    """Make this process, a new worker, one that `call` works in."""
    _listeners[:] = [_Listener(stopping)]
    for number in _SIGNALS:
        signal.signal(number, _listeners[0].hear)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def call(function: Callable[[_Item], _Result], item: _Item) -> _Result:
    """Call function(item) in a worker process. Raises StoppedError: asked to stop, before or meanwhile."""
    with _listeners[0].work():
        return function(item)


@contextmanager
def deaf_at_birth() -> Iterator[None]:
    """Let processes that are started here get signals when they `listen`, not before."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def stop(workers: Sequence[BaseProcess], wait: Callable[[], None]) -> None:
    """Ask the workers to stop, and wait for their end. Raises KeyboardInterrupt at the end: Ctrl-C came once more."""
    again = []

    def pass_on(number: int, _frame: FrameType | None = None) -> None:
        again.append(number)
        _send(workers, number)

    with _handled_by(pass_on):
        _send(workers, signal.SIGTERM)
        wait()
    if signal.SIGINT in again:
        raise KeyboardInterrupt


def _send(workers: Sequence[BaseProcess], number: int) -> None:
    if sys.platform == "win32":  # a signal would kill them; Ctrl-C has reached them by itself
        return
    for worker in workers:
        if worker.pid and worker.is_alive():
            with suppress(ProcessLookupError):
                os.kill(worker.pid, number)


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.signal(number, handler)) for number in _SIGNALS]
    try:
        yield
    finally:
        for number, former in before:
            signal.signal(number, former)
