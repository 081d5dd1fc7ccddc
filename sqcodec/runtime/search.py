"""Codes of residual quantisation in NumPy: M-best search over the stages, and the sums of codewords."""

import numpy as np
from numpy.typing import NDArray

from sqcodec.runtime.weights import Array

KEPT = 4  # sums that go on to the next stage, as in `sqcodec.quantizers.residual`
_FRAMES = 128  # searched at once: 128 x 4 x 256 distances are 0.5 MB


def search(z: Array, codebook: Array) -> NDArray[np.uint16]:
    """Latents z [T, D], codebook [K, V, D] of the stages in use -> codes [K, T].

    Of each stage the KEPT best sums so far go on, and the best of the last stage is taken; of equal ones the first.
    """
    transposed = [np.ascontiguousarray(-2.0 * words.T) for words in codebook]
    squares = np.einsum("kvd,kvd->kv", codebook, codebook)
    parts = [_search(z[start : start + _FRAMES], codebook, transposed, squares) for start in range(0, len(z), _FRAMES)]
    return np.concatenate(parts, axis=1)


def _search(z: Array, codebook: Array, transposed: list[Array], squares: Array) -> NDArray[np.uint16]:
    """As `search`, for a block. transposed: -2 times the codewords, [D, V]; squares: their squared norms [K, V]."""
    frames, words = len(z), codebook.shape[1]
    left, error = z[:, None], np.einsum("td,td->t", z, z)[:, None]  # what is left of each sum kept, its squared norm
    paths = np.zeros((frames, 1, 0), np.uint16)
    for stage, (codewords, matrix) in enumerate(zip(codebook, transposed, strict=True)):
        sums = left.shape[1]
        distances = (left.reshape(frames * sums, -1) @ matrix).reshape(frames, sums, words)
        distances += squares[stage]
        distances += error[..., None]
        last = stage == len(codebook) - 1
        best, error = _smallest_(distances.reshape(frames, sums * words), 1 if last else KEPT)
        parent, code = best // words, best % words
        left = np.take_along_axis(left, parent[..., None], axis=1) - codewords[code]
        paths = np.take_along_axis(paths, parent[..., None], axis=1)
        paths = np.concatenate([paths, code[..., None].astype(np.uint16)], axis=2)
    return np.ascontiguousarray(paths[:, 0].T)


def _smallest_(values: Array, number: int) -> tuple[NDArray[np.intp], Array]:
    """Positions and values of the smallest values of each row, in order; ties to the first. Overwrites `values`.

    A minimum at a time: quicker than to sort, for the few that are kept.
    """
    rows, number = np.arange(len(values)), min(number, values.shape[1])
    positions, found = np.empty((len(values), number), np.intp), np.empty((len(values), number), np.float32)
    for rank in range(number):
        positions[:, rank] = values.argmin(axis=1)
        found[:, rank] = values[rows, positions[:, rank]]
        values[rows, positions[:, rank]] = np.inf
    return positions, found


def dequantise(codes: NDArray[np.int64], codebook: Array) -> Array:
    """codes [K, T], codebook [K or more, V, D] -> the sums of their codewords [T, D]; -1: none, never of the first."""
    z_q: Array = codebook[0][codes[0]]
    for words, row in zip(codebook[1:], codes[1:], strict=False):
        z_q = z_q + words[row] * (row >= 0)[:, None].astype(np.float32)
    return z_q
