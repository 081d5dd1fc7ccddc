"""VQ-VAE: the nearest codeword, gradients copied straight through (van den Oord et al., 2017, arXiv 1711.00937)."""

import torch
from torch import Tensor, nn

from sqcodec import ranks
from sqcodec.quantizers.gaussian import nearest
from sqcodec.quantizers.quantizer import Quantized, Quantizer, summed
from sqcodec.recipe.quantizer_section import VqConfig, VqEmaConfig


class VqQuantizer(Quantizer):
    """Codebook learned by gradient: loss |sg[z] - z_q|^2 + commitment |z - sg[z_q]|^2 (eq. 3).

    initialisation: `uniform` in +-1/V as published, or `data`: latents of the first batch. The posterior is one
    codeword, so its entropy is 0 and there is no variance.
    """

    def __init__(self, config: VqConfig | VqEmaConfig) -> None:
        super().__init__(codewords=config.codewords, dim=config.dim)
        self.weighting = config.weighting
        self.commitment, self.initialisation = config.commitment, config.initialisation
        self._make_codebook(torch.empty(self.codewords, self.dim).uniform_(-1 / self.codewords, 1 / self.codewords))
        self.seen: Tensor  # batches trained on
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def _make_codebook(self, codebook: Tensor) -> None:
        self.codebook = nn.Parameter(codebook)

    def forward(
        self,
        encoded: Tensor,
        temperature: float,  # noqa: ARG002 - nothing is sampled
        generator: torch.Generator | None = None,
        *,
        valid: Tensor | None = None,
    ) -> Quantized:
        """The nearest codewords; in training their gradient goes to z. quadratic: the two squared distances."""
        with torch.autocast(encoded.device.type, enabled=False):
            z = encoded.float().reshape(-1, self.dim)
            if self.training:
                self._begin_(z.detach(), generator)
            codes = nearest(z, self.codebook.detach())
            z_q = self.codebook[codes]
            quadratic = summed(self._distance(z, z_q), valid, len(encoded))
            if self.training:
                self._learn_(z.detach(), codes, generator)
                z_q = z + (z_q - z).detach()
            return self._result(z_q, codes, quadratic)

    def draw(self, encoded: Tensor, generator: torch.Generator | None = None) -> Quantized:  # noqa: ARG002
        """The posterior has one codeword, and the bound of a VQ-VAE no term beside its code: quadratic is 0."""
        codes = self.encode(encoded)
        return self._result(self.decode(codes), codes, torch.zeros(len(encoded), device=encoded.device))

    @torch.no_grad()
    def encode(self, encoded: Tensor, codebooks: int | None = None) -> Tensor:  # noqa: ARG002 - there is one
        """encoded [B, T, D] -> codes [B, 1, T] int64: the nearest codewords, ties to the lowest index."""
        with torch.autocast(encoded.device.type, enabled=False):
            return nearest(encoded.float().reshape(-1, self.dim), self.codebook).view(len(encoded), 1, -1)

    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, 1, T] -> codewords [B, T, D]."""
        return self.codebook[codes[:, 0]]

    def _distance(self, z: Tensor, z_q: Tensor) -> Tensor:
        """[N]: codebook loss plus commitment loss, each summed over dimensions."""
        return (z.detach() - z_q).square().sum(-1) + self.commitment * (z - z_q.detach()).square().sum(-1)

    @torch.no_grad()
    def _begin_(self, z: Tensor, generator: torch.Generator | None) -> None:
        """Before the first batch: the codebook becomes latents drawn from it (`initialisation: data`)."""
        if self.initialisation == "data":
            self._place_(self.seen == 0, self._drawn(z, generator))
        self.seen += 1

    def _drawn(self, z: Tensor, generator: torch.Generator | None) -> Tensor:
        """[V, D]: latents of the global batch at random; z: [N, D]."""
        index = torch.randint(ranks.count() * len(z), (self.codewords,), generator=generator, device=z.device)
        return ranks.pick(z, index)

    def _place_(self, where: Tensor, latents: Tensor) -> None:
        """Put latents [V, D] into the codewords that `where` ([V, 1] or a scalar) selects."""
        self.codebook.data.copy_(torch.where(where, latents, self.codebook))

    def _learn_(self, z: Tensor, codes: Tensor, generator: torch.Generator | None) -> None:
        """Update the codebook without gradient after a training step: nothing here."""

    def _result(self, z_q: Tensor, codes: Tensor, quadratic: Tensor) -> Quantized:
        batch = len(quadratic)
        zero = torch.zeros_like(quadratic)
        return Quantized(
            z_q.view(batch, -1, self.dim), codes.view(batch, 1, -1), quadratic, zero, zero.new_full((), torch.nan)
        )
