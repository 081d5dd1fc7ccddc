"""How a codebook is used: perplexity, entropy and codewords in use, from counts over a whole epoch or set.

Counts add up over batches; perplexities do not: their average is biased low whenever a batch holds few codes.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


def count_codes(codes: Tensor, codewords: int) -> Tensor:
    """codes [B, K, T] -> counts of each codeword of each codebook, [K, V] int64, on the same device."""
    codebooks = codes.shape[1]
    numbered = codes + codewords * torch.arange(codebooks, device=codes.device)[:, None]
    return torch.bincount(numbered.flatten(), minlength=codebooks * codewords).view(codebooks, codewords)


def entropy_bits(counts: ArrayLike | Tensor) -> float:
    """Entropy of frequencies in bits; counts [V] of each symbol, of any device. Nothing counted has entropy 0."""
    numbers = np.asarray(counts.cpu() if isinstance(counts, Tensor) else counts, np.float64)
    frequency = numbers[numbers > 0] / max(numbers.sum(), 1.0)
    return float(-(frequency * np.log2(frequency)).sum()) + 0.0


def perplexity(counts: Tensor) -> float:
    """2 to the entropy: between 1 (one codeword used) and V (all used equally); counts: [V]."""
    return float(2.0 ** entropy_bits(counts))


def codewords_in_use(counts: Tensor) -> int:
    """Number of codewords that occur; counts: [V]."""
    return int(torch.count_nonzero(counts).item())
