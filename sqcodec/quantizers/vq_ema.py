"""VQ-VAE whose codewords are moving averages of the latents they code (arXiv 1711.00937, appendix A.1)."""

import torch
from torch import Tensor

from sqcodec import ranks
from sqcodec.quantizers.vq import VqQuantizer
from sqcodec.recipe.quantizer_section import VqEmaConfig


class VqEmaQuantizer(VqQuantizer):
    """Count N_i and sum m_i of the latents of codeword i decay together; the codeword is m_i / N_i.

    A codeword nobody uses stays where it is, since both fall alike, while its count is far above epsilon, which smooths
    the counts as published; then it moves to the origin. With an initial count of 0, as in the usual baselines, it
    leaves the latents at the first step. reset_below: fraction
    of a uniform count under which a codeword counts as dead and is put on a random latent of the batch (random
    restarts: Jukebox, arXiv 2005.00341, section 3.1); 0 never resets.
    """

    def __init__(self, config: VqEmaConfig) -> None:
        super().__init__(config)
        self.decay, self.epsilon, self.reset_below = config.decay, config.epsilon, config.reset_below
        self.count: Tensor
        self.total: Tensor
        self.register_buffer("count", torch.full((self.codewords,), config.initial_count))  # N_i
        self.register_buffer("total", self.codebook * (config.initial_count or 1.0))  # m_i

    def _make_codebook(self, codebook: Tensor) -> None:
        self.register_buffer("codebook", codebook)

    def _distance(self, z: Tensor, z_q: Tensor) -> Tensor:
        """[N]: commitment loss alone; the codebook has no gradient."""
        return self.commitment * (z - z_q.detach()).square().sum(-1)

    def _place_(self, where: Tensor, latents: Tensor) -> None:
        super()._place_(where, latents)
        self.total.copy_(torch.where(where, latents * self.count[:, None], self.total))

    @torch.no_grad()
    def _learn_(self, z: Tensor, codes: Tensor, generator: torch.Generator | None) -> None:
        """N_i = decay N_i + (1 - decay) n_i, m_i = decay m_i + (1 - decay) sum z, codeword = m_i / smoothed N_i."""
        used = ranks.total(torch.zeros_like(self.count).index_add_(0, codes, torch.ones_like(z[:, 0])))
        sums = ranks.total(torch.zeros_like(self.total).index_add_(0, codes, z))
        self.count.mul_(self.decay).add_(used, alpha=1 - self.decay)
        self.total.mul_(self.decay).add_(sums, alpha=1 - self.decay)
        frequency = (self.count + self.epsilon) / (self.count.sum() + self.codewords * self.epsilon)
        self.codebook.copy_(self.total / (frequency * self.count.sum())[:, None])
        if self.reset_below > 0:
            self._revive_(z, generator)

    def _revive_(self, z: Tensor, generator: torch.Generator | None) -> None:
        uniform = self.count.mean()
        dead = self.count < self.reset_below * uniform
        self.count.copy_(torch.where(dead, uniform, self.count))
        self._place_(dead[:, None], self._drawn(z, generator))
