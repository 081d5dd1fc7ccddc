"""Residual stochastic quantisation: each stage codes what the former ones left (RSQ-VAE; HQ-VAE, arXiv 2401.00365).

Stage l has a codebook and one learned scalar variance s_l^2. Stage 1 codes z, stage 2 its residual, and
so on; any prefix of the stages decodes, so one model has K bit rates.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sqcodec import ranks
from sqcodec.quantizers.gaussian import LOG_VAR_LIMIT, gaussian_logits, nearest
from sqcodec.quantizers.k_means import k_means
from sqcodec.quantizers.quantizer import Posterior, Quantized, Quantizer, summed
from sqcodec.quantizers.stochastic import gumbel_max, gumbel_softmax
from sqcodec.recipe.quantizer_section import ResidualConfig

_KEPT = 4  # sums that go on to the next stage when codes are searched: 16 bring no more (docs/results/speech16k.md)
_ROUNDS = 4  # of search and solution when codewords are refitted
_INERTIA = 0.3  # latents that hold a codeword where it was
_MIN_ERROR = 1e-6  # error of latents that codewords hit exactly, as those of a model that has collapsed
_AT_ONCE = 8192  # latents that are searched, so that memory stays small
_INITIAL_LATENTS = 16384  # for k-means after the warm-up, or 4 per codeword where those are more
_REFIT_LATENTS = 128  # per codeword, for refitting before the codebooks freeze

# stage, counted from 0, logits [N, V], codebook [V, D] -> z_l [N, D], codes [N]
Sampler = Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]


class _Stage(NamedTuple):
    """One stage of a batch: samples [N, D], nearest codes [N], probabilities [N, V], entropies [N]."""

    sample: Tensor
    codes: Tensor
    p: Tensor
    entropy: Tensor


class ResidualQuantizer(Quantizer):
    """K stages of Gaussian SQ (variant I), each on the residual.

    stages K, codewords V per codebook, dim D; initial_variance: of the first stage, each further one starts at `ratio`
    times the former's, since it codes the residual. dropout: fraction of a training batch that is coded by a random
    number of stages, uniform from 1 to K, so that any prefix decodes well.

    `vae_warmup`: while it is True, training passes latents with unit noise instead of codewords, and `quadratic` is
    |z|^2 / 2: a VAE, whose noise makes distances between latents mean error of the output. `initialise_` then puts the
    codewords where the latents are. Without it, short trainings are spent on moving them there. `frozen`: while it is
    True, training passes the codewords of `encode` without gradient, so that only the decoder learns, from the codes
    that inference would choose.
    """

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__(codewords=config.codewords, dim=config.dim)
        self.codebooks, self.dropout = config.stages, config.dropout
        self.warmup_steps, self.freeze_step = config.warmup_steps, config.freeze_step
        self.vae_warmup = self.frozen = False
        scale = torch.tensor(config.ratio).pow(torch.arange(self.codebooks))
        normal = torch.randn(self.codebooks, self.codewords, self.dim)
        self.codebook = nn.Parameter(normal * scale.sqrt()[:, None, None])
        self.log_var = nn.Parameter((config.initial_variance * scale).log())

    def begin_step_(self, step: int, latents: Callable[[int], Tensor], seed: int) -> None:
        """End the warm-up with codebooks from k-means; later refit the codebooks and freeze them."""
        self.vae_warmup = step <= self.warmup_steps
        self.frozen = self.freeze_step is not None and step > self.freeze_step
        if self.warmup_steps and step == self.warmup_steps + 1:
            z = latents(max(_INITIAL_LATENTS, 4 * self.codewords))
            self.initialise_(z, torch.Generator(z.device).manual_seed(seed))
        if self.freeze_step is not None and step == self.freeze_step + 1:
            self.refit_(latents(_REFIT_LATENTS * self.codewords))

    def forward(
        self,
        encoded: Tensor,
        temperature: float,
        generator: torch.Generator | None = None,
        *,
        valid: Tensor | None = None,
    ) -> Quantized:
        """Soft samples in training, of a random number of stages where dropout says so; codewords of all otherwise.

        quadratic: |z - sum_l z_l|^2 / (2 sum_l s_l^2), once, over the used stages; entropy: summed over them.
        """
        with torch.autocast(encoded.device.type, enabled=False):
            z = encoded.float().reshape(-1, self.dim)
            if self.vae_warmup and self.training:
                return self._warmed(z, len(encoded), generator, valid)
            in_use = self._stages_in_use(encoded, generator) if self.training and self.dropout else None
            if self.training and not self.frozen:
                stages = self._stages(z, self._soft(temperature, generator))
                return self._quantized(z, [*stages], len(encoded), in_use, valid)
            with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
                stages = self._stages(z, self._found(z, in_use, len(encoded)))
                return self._quantized(z, [*stages], len(encoded), in_use, valid)

    def draw(self, encoded: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """Hard codes of every stage, each drawn with its probability given the former ones."""
        with torch.autocast(encoded.device.type, enabled=False):
            z = encoded.float().reshape(-1, self.dim)
            return self._quantized(z, [*self._stages(z, _drawn(generator))], len(encoded), None, None)

    def posterior(
        self, encoded: Tensor, quantized: Quantized, generator: torch.Generator | None = None
    ) -> Posterior | None:
        """Codes as `draw` draws them; frozen: the searched ones, which are certain; None in the warm-up."""
        if self.vae_warmup:
            return None
        if self.frozen:
            return Posterior(quantized.codes, nn.functional.one_hot(quantized.codes, self.codewords).float())
        with torch.autocast(encoded.device.type, enabled=False):
            stages = [*self._stages(encoded.float().reshape(-1, self.dim), _drawn(generator))]
            codes, p = torch.stack([stage.codes for stage in stages]), torch.stack([stage.p for stage in stages])
            shape = (self.codebooks, len(encoded), -1)
            return Posterior(codes.view(shape).transpose(0, 1), p.view(*shape, self.codewords).transpose(0, 1))

    @torch.no_grad()
    def encode(self, encoded: Tensor, codebooks: int | None = None) -> Tensor:
        """encoded [B, T, D] -> codes [B, k, T] int64 of the first k = `codebooks` stages (None: all), found together.

        The codeword nearest to what is left is not always the best start for the stages after it: of each stage the
        `_KEPT` best sums so far go on to the next, and the nearest of the last stage is taken (M-best search).
        """
        codebooks = self.codebooks if codebooks is None else codebooks
        z = encoded.float().reshape(-1, self.dim)
        *_, codes = self._search(z, codebooks)
        return codes.view(len(encoded), -1, codebooks).transpose(1, 2)

    @torch.no_grad()
    def encode_prefixes(self, encoded: Tensor) -> list[Tensor]:
        """As `encode` for each number of stages, in one search."""
        found = self._searched(encoded.float().reshape(-1, self.dim))
        return [codes.view(len(encoded), -1, codes.shape[-1]).transpose(1, 2) for codes in found]

    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, k, T] of the first k stages, 1 <= k <= K -> the sum of their codewords [B, T, D]; -1: none."""
        chosen = [self.codebook[stage][codes[:, stage].clamp_min(0)] for stage in range(codes.shape[1])]
        return (torch.stack(chosen) * (codes >= 0).transpose(0, 1)[..., None]).sum(0)

    @torch.no_grad()
    def initialise_(self, z: Tensor, generator: torch.Generator | None) -> None:
        """Initialise stage by stage by k-means on the residual of z [N, D], N at least V.

        log_var of a stage is its remaining mean square, so that probabilities are as soft as the errors are large.
        """
        left = z.float()
        for stage in range(self.codebooks):
            codebook = k_means(left, self.codewords, generator)
            left = left - codebook[nearest(left, codebook)]
            self.codebook[stage] = codebook
            self.log_var[stage] = left.square().mean().clamp_min(_MIN_ERROR).log()

    @torch.no_grad()
    def refit_(self, z: Tensor) -> None:
        """Move all codewords to where they serve z [N, D] best, coded as `encode` does.

        Training samples codes, inference searches them; the best codebook for one is not the best for the other. Codes
        are searched and codewords solved for by turns, as in additive quantisation (Martinez et al., ECCV 2016): least
        squares over every prefix of the stages, each weighed by the inverse of its error.

        Each codeword is also held where it was, by `_INERTIA` latents of the weight that all stages together have: the
        largest weight, since their error is the smallest. So a codeword that few latents use hardly moves.
        """
        for _ in range(_ROUNDS):
            size = self.codebooks * self.codewords
            inner, outer = z.new_zeros(size, size), z.new_zeros(size, self.dim)
            errors = []
            for number, codes in enumerate(self._searched(z.float()), start=1):
                numbers = codes + self.codewords * torch.arange(number, device=z.device)
                error = (z - self.codebook.flatten(0, 1)[numbers].sum(1)).square().sum(-1).mean().clamp_min(_MIN_ERROR)
                errors.append(error)
                # with U [N, K V], 1 where a latent uses a codeword: U.T @ U and U.T @ z, of which U itself is gigabytes
                met = (numbers[:, :, None] * size + numbers[:, None]).flatten().bincount(minlength=size * size)
                inner += met.view(size, size) / error
                for of_stage in numbers.unbind(1):
                    outer.index_add_(0, of_stage, z / error)
            former, inertia = self.codebook.flatten(0, 1), _INERTIA / errors[-1]
            inner.diagonal().add_(inertia)
            outer += inertia * former
            self.codebook.copy_(torch.linalg.solve(inner, outer).view_as(self.codebook))

    def _searched(self, z: Tensor) -> list[Tensor]:
        parts = [[*self._search(part, self.codebooks)] for part in torch.split(z, _AT_ONCE)]
        return [torch.cat(of_prefix) for of_prefix in zip(*parts, strict=True)]

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
        def sample(stage: int, logits: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG001
            return gumbel_softmax(logits, temperature, generator) @ codebook, logits.argmax(-1)

        return sample

    def _found(self, z: Tensor, in_use: Tensor | None, batch: int) -> Sampler:
        """The searched codewords of the used stages ([B]; None: all), and the nearest ones of the stages after them."""
        rows = torch.full((batch,), self.codebooks, device=z.device) if in_use is None else in_use
        rows = rows.repeat_interleave(len(z) // batch)
        found: list[Tensor] = []
        for number, codes in enumerate(self._search(z, self.codebooks), start=1):
            shorter = rows < number
            found = [torch.where(shorter, was, now) for was, now in zip(found, codes.T, strict=False)] + [codes[:, -1]]

        def sample(stage: int, logits: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor]:
            codes = torch.where(stage < rows, found[stage], logits.argmax(-1))
            return codebook[codes], codes

        return sample

    @torch.no_grad()
    def _search(self, z: Tensor, codebooks: int) -> Iterator[Tensor]:
        """z [N, D] -> the best codes [N, 1], [N, 2] ... [N, codebooks] when that many stages are used."""
        with torch.autocast(z.device.type, enabled=False):
            left, paths = z[:, None], torch.zeros(len(z), 1, 0, dtype=torch.int64, device=z.device)
            for stage, codebook in enumerate(self.codebook[:codebooks]):
                distances = left.square().sum(-1, keepdim=True) - 2 * left @ codebook.T + codebook.square().sum(-1)
                best = distances.flatten(1).topk(min(_KEPT, distances[0].numel()), largest=False).indices
                parent, code = best // self.codewords, best % self.codewords
                left = left.gather(1, parent[..., None].expand(-1, -1, self.dim)) - codebook[code]
                paths = paths.gather(1, parent[..., None].expand(-1, -1, stage))
                paths = torch.cat([paths, code[..., None]], dim=-1)
                yield paths[:, 0]

    def _stages(self, z: Tensor, sample: Sampler) -> Iterator[_Stage]:
        left = z
        for stage, (codebook, log_var) in enumerate(zip(self.codebook, self._log_variances(), strict=True)):
            logits = gaussian_logits(left, torch.exp(-log_var).view(1, 1), codebook)
            z_l, codes = sample(stage, logits, codebook)
            log_p = torch.log_softmax(logits, dim=-1)
            p = log_p.exp()
            yield _Stage(z_l, codes, p, -(p * log_p).sum(-1))
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
            in_use,
        )


def _drawn(generator: torch.Generator | None) -> Sampler:
    def sample(stage: int, logits: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG001
        codes = gumbel_max(logits, generator)
        return codebook[codes], codes

    return sample
