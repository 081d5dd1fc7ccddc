"""Codes as the search writes them that counts the bits of a context model."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class SearchedCodes(NamedTuple):
    """Codes of utterances, one after the other, each at a price of its own; an utterance may be there several times.

    codes: [N, K], 0 beyond a frame's stages; stages: [N], 1 to K; lengths: codes of each.
    """

    codes: NDArray[np.unsignedinteger[Any]]
    stages: NDArray[np.unsignedinteger[Any]]
    lengths: Sequence[int]
