"""Sampling from the posterior."""

import torch

from sqcodec.quantizers.stochastic import gumbel_softmax


def test_soft_samples_follow_the_probabilities():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])).expand(20000, 4).contiguous()
    weights = gumbel_softmax(logits, 0.1, torch.Generator().manual_seed(0))
    torch.testing.assert_close(weights.sum(-1), torch.ones(20000))
    share = torch.bincount(weights.argmax(-1), minlength=4) / 20000
    # Gumbel-max draws exactly from the distribution; 4 standard deviations of a share of 20000 draws are below 0.015
    torch.testing.assert_close(share, logits[0].exp(), rtol=0, atol=0.015)
