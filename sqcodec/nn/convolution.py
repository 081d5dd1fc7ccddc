"""Convolutions of two or three taps with half the products: Winograd's minimal filtering, for training on a processor.

Four outputs of three taps follow from the values of a polynomial at 6 points, so they take 6 products in place of 12;
of two taps 5 in place of 8 (Winograd 1980; Lavin and Gray, CVPR 2016, arXiv 1509.09308). Over all channels and frames
they are one batched matrix product.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad

_OUTPUTS = 4  # of a tile; the points of a longer one would be fractions, and rounding ten times larger
_POINTS = (0.0, 1.0, -1.0, 2.0, -2.0)  # and infinity, where the value of a polynomial is its highest coefficient


class Convolution(nn.Conv1d):
    """`nn.Conv1d` without bias, whose kernel is two or three strides long: the same but for rounding.

    Only float32 training on a processor is filtered. Inference is not, since rounding decides where two codewords are
    equally near. A GPU has its own ways, and bfloat16 would lose too much in the differences of inputs.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, padding=padding, bias=False)
        self._geometry = kernel, stride, padding

    def forward(self, input: Tensor) -> Tensor:
        """[B, inputs, T] -> [B, outputs, T']; where it is filtered, [B, T', outputs] in memory."""
        if not self.training or input.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
            return super().forward(input)
        kernel, stride, padding = self._geometry
        (batch, channels, frames), taps = input.shape, kernel // stride
        outputs = (frames + 2 * padding - kernel) // stride + 1
        blocks = -(-outputs // _OUTPUTS) + 1  # each tile reaches into the next block
        behind = blocks * _OUTPUTS * stride - padding - frames
        rows = pad(input.transpose(1, 2), (0, 0, padding, behind))
        rows = rows.reshape(batch, blocks, _OUTPUTS, stride * channels)  # the frames of a stride become channels
        weight = self.weight.view(-1, channels, taps, stride).permute(2, 3, 1, 0).flatten(1, 2)
        return _filtered(rows, weight)[:, :outputs].transpose(1, 2)


def _filtered(rows: Tensor, weight: Tensor) -> Tensor:
    """rows [B, n + 1, 4, C], weight [taps, C, O] -> [B, 4 n, O]: A^T [(G weight) (B^T rows)], Lavin and Gray, eq. 7."""
    a, b, g = (matrix.to(rows) for matrix in _TRANSFORMS[len(weight)])
    (batch, blocks, _, channels), points = rows.shape, len(b)
    rows = rows.permute(2, 0, 1, 3)
    tiles = torch.cat([rows[:, :, :-1], rows[: len(weight) - 1, :, 1:]])  # [points, B, n, C]
    inputs = (b.T @ tiles.flatten(1)).view(points, -1, channels)
    kernels = (g @ weight.flatten(1)).view(points, channels, -1)
    outputs = a.T @ torch.bmm(inputs, kernels).flatten(1)
    return outputs.view(_OUTPUTS, batch, blocks - 1, -1).permute(1, 2, 0, 3).flatten(1, 2)


def _transforms(taps: int) -> tuple[Tensor, Tensor, Tensor]:
    """A [points, outputs], B [points, points], G [points, taps]: a product of polynomials (Toom, Cook), transposed."""
    points = _OUTPUTS + taps - 1
    a, whole, g = (_values_of(coefficients, points) for coefficients in (_OUTPUTS, points, taps))
    return torch.from_numpy(a), torch.from_numpy(np.linalg.inv(whole)), torch.from_numpy(g)


def _values_of(coefficients: int, points: int) -> NDArray[np.float64]:
    """Values at each point of polynomials of so many coefficients, as a matrix [points, coefficients]."""
    powers = np.vander(_POINTS[: points - 1], coefficients, increasing=True)
    return np.concatenate([powers, np.eye(coefficients)[-1:]])


_TRANSFORMS = {taps: _transforms(taps) for taps in (2, 3)}
