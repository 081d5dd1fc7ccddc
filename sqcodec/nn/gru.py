"""The steps of `nn.GRU` with a backward pass of its own, for training on a processor.

torch records each step and adds to the gradient of the weights at each one. Here a step keeps its gates, and the
gradient of the weights is one product over all steps. The caller makes the first layer's gates, which may cost little.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

_sigmoid_backward, _tanh_backward = torch.ops.aten.sigmoid_backward, torch.ops.aten.tanh_backward
Gates = Callable[[Tensor, Tensor], Tensor]  # weight [3 H, inputs] and bias [3 H] -> gates of the inputs [B, T, 3 H]


def bidirectional(gru: nn.GRU, first: Gates) -> Tensor:
    """The states [B, T, 2 H] of a bidirectional GRU; `first` makes the gates of the first layer."""
    hidden = _layer(gru, 0, first)
    for layer in range(1, gru.num_layers):
        hidden = _layer(gru, layer, partial(linear, hidden))
    return hidden


def _layer(gru: nn.GRU, layer: int, gates: Gates) -> Tensor:
    return torch.cat([_direction(gru, f"l{layer}{suffix}", gates) for suffix in ("", "_reverse")], -1)


def _direction(gru: nn.GRU, name: str, gates: Gates) -> Tensor:
    parts = (getattr(gru, f"{part}_{name}") for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    of_inputs, of_states, input_bias, state_bias = parts
    common = 2 * gru.hidden_size
    inputs = gates(of_inputs, input_bias + pad(state_bias[:common], (0, gru.hidden_size)))  # r scales the rest
    with torch.autocast("cpu", enabled=False):
        states: Tensor = _States.apply(inputs.to(of_states), of_states, state_bias[common:], name.endswith("_reverse"))  # type: ignore[no-untyped-call]
    return states


class _States(torch.autograd.Function):
    """Gates of the inputs [B, T, 3 H], weight [3 H, H] and bias [H] (of the candidate) of the states -> [B, T, H].

    r = sigmoid(x_r + W_r h), z = sigmoid(x_z + W_z h), n = tanh(x_n + r (W_n h + b)), h <- (1 - z) n + z h.
    """

    @staticmethod
    def forward(ctx: Any, gates: Tensor, weight: Tensor, bias: Tensor, backwards: bool) -> Tensor:
        """`backwards`: from the last step to the first."""
        common, order = 2 * weight.shape[1], -1 if backwards else 1
        of_gates, of_candidate = weight[:common].T, weight[common:].T
        inputs = (part.unbind(1)[::order] for part in (gates[..., :common], gates[..., common:]))
        state, states, steps = gates.new_zeros(len(gates), weight.shape[1]), [], []
        for gate, candidate in zip(*inputs, strict=True):
            r, z = torch.addmm(gate, state, of_gates).sigmoid_().chunk(2, 1)
            hidden = torch.addmm(bias, state, of_candidate)
            n = torch.addcmul(candidate, r, hidden).tanh_()
            steps.append((state, r, z, n, hidden))
            state = torch.lerp(n, state, z)
            states.append(state)
        ctx.save_for_backward(weight)
        ctx.steps, ctx.order = steps, order
        return torch.stack(states[::order], 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """From the last step to the first; dx is the gradient with respect to x."""
        (weight,) = ctx.saved_tensors
        order, common = ctx.order, 2 * weight.shape[1]
        later, of_gates, of_candidates = torch.zeros_like(gradients[0][:, 0]), [], []
        for given, (state, r, z, n, hidden) in zip(gradients[0].unbind(1)[::-order], reversed(ctx.steps), strict=True):
            dstate = given + later
            passed = dstate * z
            dn = _tanh_backward(dstate - passed, n)
            dr, dz = _sigmoid_backward(dn * hidden, r), _sigmoid_backward((state - n).mul_(dstate), z)
            dgates = torch.cat([dr, dz, dn * r], 1)
            later = passed.addmm_(dgates, weight)
            of_gates.append(dgates)
            of_candidates.append(dn)
        of_states = torch.stack(of_gates[::-order], 1)
        of_inputs = torch.cat([of_states[..., :common], torch.stack(of_candidates[::-order], 1)], 2)
        before = torch.stack([step[0] for step in ctx.steps[::order]], 1)
        of_weight = of_states.flatten(0, 1).T @ before.flatten(0, 1)
        return of_inputs, of_weight, of_states[..., common:].sum((0, 1)), None
