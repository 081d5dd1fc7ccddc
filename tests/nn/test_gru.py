"""The steps of a GRU that is trained on a processor, against the float64 reference and torch's own."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from sqcodec.model.paper_network import PaperDecoder
from sqcodec.nn.gru import bidirectional
from sqcodec.recipe import load_recipe
from tests import reference

NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def small():
    torch.manual_seed(0)
    gru = nn.GRU(3, 4, batch_first=True, bidirectional=True).double()
    return gru, torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)


def test_states_and_gradients_are_those_of_the_equations():
    gru, x = small()
    states = bidirectional(gru, partial(linear, x))
    g = torch.randn_like(states)
    arrays = [[getattr(gru, f"{name}_l0{way}").detach().numpy() for name in NAMES] for way in ("", "_reverse")]

    def expected(x, weights):
        ahead, back = reference.gru(x, weights[0]), reference.gru(x[:, ::-1], weights[1])[:, ::-1]
        return np.concatenate([ahead, back], 2)

    there, sound = x.detach().numpy(), g.numpy()
    assert abs(states.detach().numpy() - expected(there, arrays)).max() < 1e-14  # float64, values below 1
    got = torch.autograd.grad(states, (x, *gru.parameters()), g)
    places = [(way, place) for way in range(2) for place in range(4)]
    along = [lambda x: (expected(x, arrays) * sound).sum()]
    along += [partial(_with, expected, there, arrays, sound, *place) for place in places]
    for gradient, function, point in zip(got, along, [there, *arrays[0], *arrays[1]], strict=True):
        assert abs(gradient.numpy() - reference.gradient(function, point)).max() < 1e-8  # of central differences


def _with(expected, x, arrays, g, way, place, value):
    changed = [list(each) for each in arrays]
    changed[way][place] = value
    return (expected(x, changed) * g).sum()


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_the_decoder_in_training_is_that_of_inference(precision):
    torch.manual_seed(0)
    config = load_recipe("zerospeech2019").codec.network
    decoder = PaperDecoder(config, dim=64, speakers=3, outputs=80)
    z, speaker = torch.randn(4, 16, 64), torch.tensor([0, 2, 1, 0])
    g, found = torch.randn(4, 80, 32), {}
    for training in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            decoded = decoder.train(training)(z, speaker)
        found[training] = [decoded, *torch.autograd.grad(decoded, list(decoder.parameters()), g.to(decoded.dtype))]
    # of the largest value: float32 rounds by 6e-8, sums of up to 256 terms; bfloat16 by 4e-3, through two layers
    tolerance = 1e-5 if precision == torch.float32 else 5e-2
    for ours, torchs in zip(found[True], found[False], strict=True):
        assert (ours - torchs).abs().max() < tolerance * torchs.abs().max()
