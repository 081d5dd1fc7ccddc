"""The limit of NumPy's threads holds while somebody codes, and no longer."""

import os
from collections.abc import Iterator
from threading import Barrier, Event, Thread

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from sqcodec.runtime.threads import _ONE_THREAD as ONE_THREAD
from sqcodec.runtime.threads import one_thread


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Two threads for BLAS, which any thread may change."""
    limits = threadpool_limits(2, user_api="blas")
    ONE_THREAD._controller = ThreadpoolController()  # other tests may have loaded a library since it was made
    ONE_THREAD._let_any_thread_set_()
    yield
    limits.restore_original_limits()
    ONE_THREAD._let_any_thread_set_()


def blas_threads() -> set[int]:
    np.ones((2, 2)) @ np.ones((2, 2))
    return {each["num_threads"] for each in ThreadpoolController().select(user_api="blas").info()}


def test_one_thread_meanwhile_and_what_was_set_afterwards(two_threads: None) -> None:
    before = blas_threads()
    with one_thread():
        assert blas_threads() == {1}
        with one_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == before == {2}


def test_an_error_restores_what_was_set(two_threads: None) -> None:
    before = blas_threads()
    with pytest.raises(ZeroDivisionError), one_thread():
        _ = 1 / 0
    assert blas_threads() == before


def test_two_callers_that_overlap(two_threads: None) -> None:
    """The second one goes on with one thread when the first has ended, and then all is as before."""
    together, first_ended, seen = Barrier(2), Event(), []

    def first() -> None:
        with one_thread():
            together.wait(10)
        first_ended.set()

    def second() -> None:
        with one_thread():
            together.wait(10)
            assert first_ended.wait(10)
            seen.append(blas_threads())

    threads = [Thread(target=first), Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (seen, blas_threads()) == ([{1}], {2})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on Windows")
def test_a_child_does_not_wait_for_threads_that_are_not_there() -> None:
    with ONE_THREAD._lock:
        child = os.fork()
        if child == 0:
            with one_thread():
                os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
