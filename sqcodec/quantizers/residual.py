"""Residual stochastic quantisation: each stage codes what the former ones left (RSQ-VAE; HQ-VAE, arXiv 2401.00365).

Stage l has a codebook and one learned scalar variance s_l^2. z is coded by stage 1, what is left of it by stage 2, and
so on; any prefix of the stages decodes, so one model has K bit rates.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sqcodec import ranks
from sqcodec.quantizers.gaussian import LOG_VAR_LIMIT, gaussian_logits, nearest
from sqcodec.quantizers.k_means import k_means
from sqcodec.quantizers.quantizer import Quantized, Quantizer, summed
from sqcodec.quantizers.stochastic import gumbel_max, gumbel_softmax

_KEPT = 4  # sums that go on to the next stage when codes are searched: 16 bring no more (docs/results/speech16k.md)

Sampler = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # logits [N, V], codebook [V, D] -> z_l [N, D], codes [N]


class _Stage(NamedTuple):
    """One stage of a batch: samples [N, D], nearest codes [N], entropies [N]."""

    sample: Tensor
    codes: Tensor
    entropy: Tensor


class ResidualQuantizer(Quantizer):
    """K stages of Gaussian SQ (variant I) on what is left.

    stages K, codewords V a book, dim D; initial_variance: of the first stage, each further one starts at `ratio` times
    the former's, since it codes what is left. dropout: share of a training batch that is coded by a random number of
    stages, 1 to K all alike, so that any prefix decodes well.

    `warming`: while it is True, training passes latents with unit noise instead of codewords, and `quadratic` is
    |z|^2 / 2: a VAE, whose noise makes distances between latents mean error of the output. `initialise_` then puts the
    codewords where the latents are. Without it, short trainings are spent on finding that place. `settled`: while it is
    True, training passes the nearest codewords without gradient, so that the decoder alone learns, from what it gets in
    use.
    """

    def __init__(
        self, *, stages: int, codewords: int, dim: int, initial_variance: float, ratio: float, dropout: float
    ) -> None:
        super().__init__(codewords=codewords, dim=dim)
        self.codebooks, self.dropout = stages, dropout
        self.warming = self.settled = False
        scale = torch.tensor(ratio).pow(torch.arange(stages))
        self.codebook = nn.Parameter(torch.randn(stages, codewords, dim) * scale.sqrt()[:, None, None])
        self.log_var = nn.Parameter((initial_variance * scale).log())

    def forward(
        self,
        encoded: Tensor,
        temperature: float,
        generator: torch.Generator | None = None,
        *,
        valid: Tensor | None = None,
    ) -> Quantized:
        """Soft samples in training, of a random number of stages where dropout says so; codewords of all otherwise.

        quadratic: |z - sum_l z_l|^2 / (2 sum_l s_l^2), once, over the stages in use; entropy: summed over them.
        """
        with torch.autocast(encoded.device.type, enabled=False):
            z = encoded.float().reshape(-1, self.dim)
            if self.warming and self.training:
                return self._warmed(z, len(encoded), generator, valid)
            in_use = self._stages_in_use(encoded, generator) if self.training and self.dropout else None
            soft = self.training and not self.settled
            sample = self._soft(temperature, generator) if soft else self._found(encoded, in_use)
            with torch.set_grad_enabled(torch.is_grad_enabled() and not self.settled):
                return self._quantized(z, [*self._stages(z, sample)], len(encoded), in_use, valid)

    def draw(self, encoded: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """Hard codes of every stage, each drawn with its probability given the former ones."""
        with torch.autocast(encoded.device.type, enabled=False):
            z = encoded.float().reshape(-1, self.dim)

            def sample(logits: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor]:
                codes = gumbel_max(logits, generator)
                return codebook[codes], codes

            return self._quantized(z, [*self._stages(z, sample)], len(encoded), None, None)

    def encode(self, encoded: Tensor) -> Tensor:
        """encoded [B, T, D] -> codes [B, K, T] int64, see `encode_by`."""
        return self.encode_by(encoded, self.codebooks)

    @torch.no_grad()
    def encode_by(self, encoded: Tensor, codebooks: int) -> Tensor:
        """encoded [B, T, D] -> codes [B, k, T] int64 of the first k = `codebooks` stages, found together.

        The codeword nearest to what is left is not always the best start for the stages after it: of each stage the
        `_KEPT` best sums so far go on to the next, and the nearest of the last stage is taken (M-best search).
        """
        with torch.autocast(encoded.device.type, enabled=False):
            z = encoded.float().reshape(-1, self.dim)
            left, codes = z[:, None], torch.zeros(len(z), 1, 0, dtype=torch.int64, device=z.device)
            for stage, codebook in enumerate(self.codebook[:codebooks]):
                kept = _KEPT if stage < codebooks - 1 else 1
                distances = left.square().sum(-1, keepdim=True) - 2 * left @ codebook.T + codebook.square().sum(-1)
                best = distances.flatten(1).topk(min(kept, distances[0].numel()), largest=False).indices
                parent, code = best // self.codewords, best % self.codewords
                left = left.gather(1, parent[..., None].expand(-1, -1, self.dim)) - codebook[code]
                path = codes.gather(1, parent[..., None].expand(-1, -1, stage))
                codes = torch.cat([path, code[..., None]], dim=-1)
            return codes[:, 0].view(len(encoded), -1, codebooks).transpose(1, 2)

    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, k, T] of the first k stages, 1 <= k <= K -> the sum of their codewords [B, T, D]."""
        return torch.stack([self.codebook[stage][codes[:, stage]] for stage in range(codes.shape[1])]).sum(0)

    @torch.no_grad()
    def initialise_(self, z: Tensor, generator: torch.Generator | None) -> None:
        """Put the codewords of each stage on the k-means of what the former left of z [N, D], N at least V, and its
        variance at what is left after it, so that probabilities are as soft as the errors are large."""
        left = z.float()
        for stage in range(self.codebooks):
            codebook = k_means(left, self.codewords, generator)
            left = left - codebook[nearest(left, codebook)]
            self.codebook[stage] = codebook
            self.log_var[stage] = left.square().mean().clamp_min(1e-6).log()

    def _warmed(self, z: Tensor, batch: int, generator: torch.Generator | None, valid: Tensor | None) -> Quantized:
        noise = ranks.own_rows(z.new_empty(ranks.count() * len(z), self.dim).normal_(generator=generator))
        return Quantized(
            (z + noise).view(batch, -1, self.dim),
            torch.zeros(batch, self.codebooks, len(z) // batch, dtype=torch.int64, device=z.device),
            summed(0.5 * z.square().sum(-1), valid, batch),
            z.new_zeros(batch),
            self._log_variances().mean(),
        )

    def _soft(self, temperature: float, generator: torch.Generator | None) -> Sampler:
        def sample(logits: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor]:
            return gumbel_softmax(logits, temperature, generator) @ codebook, logits.argmax(-1)

        return sample

    def _found(self, encoded: Tensor, in_use: Tensor | None) -> Sampler:
        """The codewords that `encode_by` finds for the stages in use ([B], or None: all), the nearest after them."""
        found = self.encode(encoded).transpose(0, 1).flatten(1)
        used = None if in_use is None else in_use.repeat_interleave(encoded.shape[1])
        if used is not None:
            for number in range(1, self.codebooks):
                codes = self.encode_by(encoded, number).transpose(0, 1).flatten(1)
                found[:number] = torch.where(used == number, codes, found[:number])
        stages = enumerate(found)

        def sample(logits: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor]:
            stage, codes = next(stages)
            if used is not None:
                codes = torch.where(stage < used, codes, logits.argmax(-1))
            return codebook[codes], codes

        return sample

    def _stages(self, z: Tensor, sample: Sampler) -> Iterator[_Stage]:
        left = z
        for codebook, log_var in zip(self.codebook, self._log_variances(), strict=True):
            logits = gaussian_logits(left, torch.exp(-log_var).view(1, 1), codebook)
            z_l, codes = sample(logits, codebook)
            log_p = torch.log_softmax(logits, dim=-1)
            yield _Stage(z_l, codes, -(log_p.exp() * log_p).sum(-1))
            left = left - z_l

    def _log_variances(self) -> Tensor:
        return self.log_var.clamp(-LOG_VAR_LIMIT, LOG_VAR_LIMIT)

    def _stages_in_use(self, encoded: Tensor, generator: torch.Generator | None) -> Tensor:
        """[B] int64: K, or 1 to K at random for the first `dropout` of the global batch."""
        batch, device = ranks.count() * len(encoded), encoded.device
        drawn = torch.randint(1, self.codebooks + 1, (batch,), generator=generator, device=device)
        dropped = torch.arange(batch, device=device) < round(self.dropout * batch)
        return ranks.own_rows(torch.where(dropped, drawn, self.codebooks))

    def _quantized(
        self, z: Tensor, stages: list[_Stage], batch: int, in_use: Tensor | None, valid: Tensor | None
    ) -> Quantized:
        weight = torch.ones(self.codebooks, len(z), device=z.device)
        if in_use is not None:
            kept = torch.arange(self.codebooks, device=z.device)[:, None] < in_use
            weight = kept.to(z.dtype).repeat_interleave(len(z) // batch, dim=1)
        z_q = (weight[..., None] * torch.stack([stage.sample for stage in stages])).sum(0)
        variance = (weight * self._log_variances().exp()[:, None]).sum(0)
        quadratic = 0.5 * (z - z_q).square().sum(-1) / variance
        entropy = (weight * torch.stack([stage.entropy for stage in stages])).sum(0)
        return Quantized(
            z_q.view(batch, -1, self.dim),
            torch.stack([stage.codes for stage in stages]).view(self.codebooks, batch, -1).transpose(0, 1),
            summed(quadratic, valid, batch),
            summed(entropy, valid, batch),
            self._log_variances().mean(),
        )
