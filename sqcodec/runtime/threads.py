"""One thread for NumPy's matrix products: a codec's are small, and a second thread mostly waits, busily."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController


class _OneThread:
    """Holds the limit while anybody codes. The first who comes sets it and the last who goes restores what was set."""

    def __init__(self) -> None:
        self._lock, self._users = Lock(), 0
        self._controller: Any = None  # a look through the libraries takes 2 ms, a change of their threads 10 us
        self._limit: Any = None

    def enter_(self) -> None:
        with self._lock:
            self._controller = self._controller or ThreadpoolController()
            if not self._users:
                self._limit = self._controller.limit(limits=1, user_api="blas")
            self._users += 1

    def leave_(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._let_any_thread_set_()
                self._limit.restore_original_limits()
                self._let_any_thread_set_()

    def forget_(self) -> None:
        """In the child of a fork: threads that coded are not there, and a lock that one of them held never opens."""
        self._lock, self._users = Lock(), 0

    def _let_any_thread_set_(self) -> None:
        """Since version 3.6 of threadpoolctl, others than the thread that set a limit first are ignored."""
        for library in self._controller.lib_controllers:
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread(force=True)


_ONE_THREAD = _OneThread()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_ONE_THREAD.forget_)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let NumPy's BLAS use one thread meanwhile; what the process had set is restored, also with several callers."""
    _ONE_THREAD.enter_()
    try:
        yield
    finally:
        _ONE_THREAD.leave_()
