"""One thread for NumPy's matrix products: a codec's are small, and a second thread mostly waits, busily."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController


@contextmanager
def one_thread() -> Iterator[None]:
    """Let NumPy's BLAS use one thread meanwhile; what the process had set is restored."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> ThreadpoolController:
    """The thread pools of the libraries that are loaded; a look through them takes 2 ms, a change of them 10 us."""
    return ThreadpoolController()
