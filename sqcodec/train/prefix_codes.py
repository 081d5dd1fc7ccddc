"""Codes as an encoder would write them at any rate: those of every number of stages, and what each leaves as error."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class PrefixCodes(NamedTuple):
    """The codes of all utterances, one after the other, for every number of stages n.

    codes: [N, K (K + 1) / 2], the code of 1 stage, then the 2 codes of 2 stages, and so on, each searched together;
    errors: [N, K], weighed squared error with n stages; lengths: codes of each utterance.
    """

    codes: NDArray[np.unsignedinteger[Any]]
    errors: NDArray[np.floating[Any]]
    lengths: Sequence[int]

    @property
    def stages(self) -> int:
        """K."""
        stages: int = self.errors.shape[1]
        return stages

    def cut(self, rows: slice, stages: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """The codes [K, n] of `rows`, each with its number of `stages` [n], 1 to K; -1 beyond it."""
        every = np.arange(self.stages)
        column = (stages * (stages - 1) // 2)[:, None] + every
        codes = np.take_along_axis(self.codes[rows], np.minimum(column, self.codes.shape[1] - 1), axis=1)
        found: NDArray[np.int64] = np.where(every < stages[:, None], codes.astype(np.int64), -1).T
        return found
