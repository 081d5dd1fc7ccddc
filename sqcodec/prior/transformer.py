"""A small causal Transformer over codes, conditioned on the speaker if the codec has speakers.

Codes [K, T] form one sequence of K T tokens: time by time, and within a time codebook by codebook. Each token is
predicted from the earlier ones in the context.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from sqcodec.recipe import PriorConfig


class CodePrior(nn.Module):
    """Embeddings of code, position and speaker; pre-norm attention and feed-forward layers; one output per codebook."""

    def __init__(self, config: PriorConfig, *, codewords: tuple[int, ...], speakers: int) -> None:
        super().__init__()
        self.config, self.codewords = config, codewords
        self.books, size = len(codewords), max(codewords)
        self.length = config.context * self.books  # tokens
        self.start = self.books * size  # the token before the first
        self.size = size
        self.tokens = nn.Embedding(self.books * size + 1, config.dim)
        self.places = nn.Parameter(torch.zeros(self.length, config.dim))
        self.speakers = nn.Embedding(max(1, speakers), config.dim)
        self.layers = nn.ModuleList(_Layer(config.dim, config.heads, config.dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)
        self.outputs = nn.ModuleList(nn.Linear(config.dim, size) for size in codewords)
        for weight in (self.tokens.weight, self.speakers.weight, self.places):
            nn.init.normal_(weight, std=0.02)

    def forward(self, before: Tensor, speaker: Tensor) -> list[Tensor]:
        """before: [B, K T], the token before each; speaker: [B] -> logits of each codebook [B, T, V]."""
        hidden = self.tokens(before) + self.places[: before.shape[1]] + self.speakers(speaker)[:, None]
        for layer in self.layers:
            hidden = layer(hidden)
        hidden = self.norm(hidden)
        return [output(hidden[:, book :: self.books]) for book, output in enumerate(self.outputs)]

    def nats(self, codes: Tensor, first: Tensor, speaker: Tensor) -> Tensor:
        """-log p of codes [B, K, T]; first: [B], the token before them; -1 marks padding (0 nats)."""
        logits = self(self.shifted(codes.clamp_min(0), first), speaker)
        losses = [
            functional.cross_entropy(book.transpose(1, 2), codes[:, number], ignore_index=-1, reduction="none")
            for number, book in enumerate(logits)
        ]
        return torch.stack(losses, dim=1)

    def shifted(self, codes: Tensor, first: Tensor) -> Tensor:
        """codes [B, K, T] -> the token before each [B, K T]."""
        offsets = self.size * torch.arange(self.books, device=codes.device)
        tokens = (codes + offsets[:, None]).transpose(1, 2).flatten(1)
        return torch.cat([first[:, None], tokens[:, :-1]], dim=1)

    @torch.inference_mode()
    def sample(
        self, prompt: Tensor, length: int, speaker: int, *, temperature: float, top_p: float, generator: torch.Generator
    ) -> Tensor:
        """Go on from prompt [K, P] (P may be 0) to `length` codes per codebook: [K, length] int64.

        Top-p sampling with a temperature. When the context is full, the model goes on with its later half.
        """
        codes = prompt.clone()
        speaker_index = torch.tensor([speaker], device=codes.device)
        while codes.shape[1] < length:
            begin = 0
            if codes.shape[1] >= self.config.context:
                begin = codes.shape[1] - self.config.context // 2
            column = torch.zeros(self.books, 1, dtype=torch.int64, device=codes.device)
            window = torch.cat([codes[:, begin:], column], dim=1)
            first = self.first_token(codes, begin)
            for book in range(self.books):
                logits = self(self.shifted(window[None], first), speaker_index)[book][0, -1]
                window[book, -1] = draw(logits / temperature, top_p, generator)
            codes = torch.cat([codes, window[:, -1:]], dim=1)
        return codes[:, :length]

    def first_token(self, codes: Tensor, begin: int) -> Tensor:
        """[1]: the token before position `begin` of codes [K, T]."""
        if begin == 0:
            return torch.tensor([self.start], device=codes.device)
        return codes[-1, begin - 1 : begin] + self.size * (self.books - 1)


def draw(logits: Tensor, top_p: float, generator: torch.Generator) -> Tensor:
    """One code of logits [V], among the most probable that together hold top_p (the first of them always)."""
    order = logits.argsort(descending=True, stable=True)
    probabilities = torch.softmax(logits[order].double(), dim=0)
    inside = probabilities.cumsum(0) - probabilities < top_p
    inside[0] = True
    kept = probabilities * inside
    return order[torch.multinomial(kept, 1, generator=generator)][0]


class _Layer(nn.Module):
    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norms = nn.ModuleList([nn.LayerNorm(dim), nn.LayerNorm(dim)])
        self.mix, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.wide, self.narrow = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, hidden: Tensor) -> Tensor:
        batch, length, dim = hidden.shape
        mixed = self.mix(self.norms[0](hidden)).view(batch, length, 3, self.heads, dim // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        hidden = hidden + self._drop(self.out(attended.transpose(1, 2).reshape(batch, length, dim)))
        return hidden + self._drop(self.narrow(functional.gelu(self.wide(self.norms[1](hidden)))))

    def _drop(self, values: Tensor) -> Tensor:
        return functional.dropout(values, self.dropout, self.training)
