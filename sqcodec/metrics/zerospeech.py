"""The bit rate of ZeroSpeech 2019 (Dunbar et al., Interspeech 2019), and what a decoder would need.

The challenge counts N H / D: N vectors in D seconds, H the entropy of the distinct vectors' frequencies over all files.
No decoder can reach that: it would have to know the frequencies. So two rates that can be decoded stand beside it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from sqcodec.metrics.rate import entropy


class UnitRates(NamedTuple):
    """bit/s: the challenge's; adaptive: of a coder that learns the frequencies on the way; fixed: equal lengths."""

    challenge: float
    adaptive: float
    fixed: float
    vectors: int
    distinct: int
    seconds: float


def unit_rates(units: Sequence[NDArray[np.int64]], seconds: float) -> UnitRates:
    """units: the number of the distinct vector at each place [T] of each file; seconds: of all files together.

    adaptive: arithmetic coding with the Krichevsky-Trofimov estimate (each symbol counts 1/2 before it is seen), IEEE
    Trans. IT 27(2), 1981, eq. 1; it and `fixed` know how many distinct vectors there are.
    """
    symbols = np.concatenate(units)
    counts = np.unique(symbols, return_counts=True)[1].astype(np.float64)
    total, distinct = len(symbols), len(counts)
    learnt = gammaln(total + distinct / 2) - gammaln(distinct / 2) - (gammaln(counts + 0.5) - gammaln(0.5)).sum()
    return UnitRates(
        challenge=total * entropy(symbols) / seconds,
        adaptive=float(learnt / np.log(2.0)) / seconds,
        fixed=total * (distinct - 1).bit_length() / seconds,
        vectors=total,
        distinct=distinct,
        seconds=seconds,
    )
