"""The codes of a recording at any price of a bit: the sweeps that they take, and where these begin.

With a price, every frame has the stages and codes of the least weighed squared error + price x bits (see
`sqcodec.bitstream.rate_search`).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.context_coder import Part
from sqcodec.bitstream.context_costs import ContextCosts
from sqcodec.bitstream.context_model import ContextModel
from sqcodec.bitstream.equal_prices import ends, most_stages, nearest_prefixes
from sqcodec.bitstream.rate_search import CHEAPEST, Codewords, Latents, Search, Sweep, Ways


class PricedCodes:
    """One recording, coded with several codebooks [K, V, D]. sweeps, sums: of the search, sums of all stages of a
    frame; spans: the frames of each block, which starts without a past.

    dearest: the price at which the first codes are worth their bits no more; width: bits of a code at most.
    """

    def __init__(
        self,
        latents: Latents,
        codebook: NDArray[np.float32],
        model: ContextModel,
        *,
        sweeps: int,
        sums: int,
        spans: Sequence[slice],
    ) -> None:
        self.sweeps, self._sums, self._spans = sweeps, sums, spans
        self._latents, self._costs, self._codewords = latents, ContextCosts(model), Codewords(codebook)
        self.prefixes, self.width = nearest_prefixes(latents, self._codewords), max(1.0, math.log2(codebook.shape[1]))
        self.dearest = max(CHEAPEST, float(self.prefixes.errors[0].mean(dtype=np.float64)) / self.width)

    def at(self, price: float) -> list[Part]:
        """The codes of each block at a price."""
        parts, how = self.equal_prices(price), self.search(price)
        for _ in range(self.sweeps):
            parts = self.cut(self.sweep(parts).ways(how), price)
        return parts

    def equal_prices(self, price: float) -> list[Part]:
        """Codes to begin with: the nearest ones, if every code takes its width."""
        stages = ends(self.prefixes.errors, price, self.width)
        codes = np.where(np.arange(len(self.prefixes.codes))[:, None] < stages, self.prefixes.codes, np.uint16(0))
        return [Part(codes[:, span], stages[span]) for span in self._spans]

    def search(self, price: float) -> Search:
        """The search at a price: with as many stages at most as it allows, and as many sums as the effort."""
        limit = most_stages(self.prefixes.errors, price, self.width)
        return Search(price, limit, max(1, round(self._sums / limit)))

    def sweep(self, former: Sequence[Part]) -> Sweep:
        """Over all frames, each after the codes that `former` has before it."""
        return Sweep(self._latents, former, self._codewords, self._costs)

    def cut(self, ways: Ways, price: float) -> list[Part]:
        """The codes of a sweep at a price, block by block."""
        whole = ways.part(price)
        return [Part(whole.codes[:, span], whole.stages[span]) for span in self._spans]
