"""The official speech networks in NumPy float64, from their description; nothing of sqcodec is imported here."""

import numpy as np


def convolve(x, weight, bias=0.0, *, stride=1, padding=0):
    """x [C, T], weight [O, C, k] -> [O, T']: cross-correlation, as deep learning calls convolution."""
    x = np.pad(x, ((0, 0), (padding, padding)))
    size = weight.shape[2]
    frames = (x.shape[1] - size) // stride + 1
    windows = np.stack([x[:, stride * t : stride * t + size] for t in range(frames)])
    return np.tensordot(weight, windows, axes=([1, 2], [1, 2])) + np.reshape(bias, (-1, 1))


def encode(weights, mels):
    """mels [80, T + 2] -> encoder output [channels, T / 2]; weights: name -> float64 array, as in the checkpoint."""
    x = mels
    for layer, (stride, padding) in zip((0, 3, 6, 9, 12), ((1, 0), (1, 1), (2, 1), (1, 1), (1, 1)), strict=True):
        x = convolve(x, weights[f"encoder.{layer}.weight"], stride=stride, padding=padding)
        norm = {name: weights[f"encoder.{layer + 1}.{name}"][:, None]
                for name in ("weight", "bias", "running_mean", "running_var")}  # fmt: skip
        x = (x - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5) * norm["weight"] + norm["bias"]
        x = np.maximum(x, 0)
    return convolve(x, weights["encoder.15.weight"], weights["encoder.15.bias"])


def distances(weights, mels):
    """Precision-weighted squared distances [T / 2, V] of each latent to each codeword."""
    x, codebook = encode(weights, mels).T, weights["codebook.embedding"]
    dim = codebook.shape[1]
    z, rest = x[:, :dim], x[:, dim:]
    log_var = (rest if rest.shape[1] else np.zeros((len(z), 1))) + weights["log_var_q_scalar"]
    precision = np.exp(-log_var) * np.ones_like(z)
    return (precision[:, None] * (z[:, None] - codebook) ** 2).sum(-1)


def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def recur(x, weights, suffix):
    """One direction of one GRU layer: x [T, I] -> [T, H]; gates in the order reset, update, new."""
    w_in, w_hid = weights[f"rnn.weight_ih_{suffix}"], weights[f"rnn.weight_hh_{suffix}"]
    b_in, b_hid = weights[f"rnn.bias_ih_{suffix}"], weights[f"rnn.bias_hh_{suffix}"]
    hidden, out = np.zeros(w_hid.shape[1]), []
    for row in x:
        r_in, u_in, n_in = np.split(w_in @ row + b_in, 3)
        r_hid, u_hid, n_hid = np.split(w_hid @ hidden + b_hid, 3)
        reset, update = sigmoid(r_in + r_hid), sigmoid(u_in + u_hid)
        hidden = (1 - update) * np.tanh(n_in + reset * n_hid) + update * hidden
        out.append(hidden)
    return np.array(out)


def decode(weights, codewords, speaker):
    """codewords [T / 2, D] and the number of a speaker -> mels [80, T]."""
    x = np.repeat(codewords, 2, axis=0)
    voice = weights["speaker_embedding.weight"][speaker]
    x = np.concatenate([x, np.tile(voice, (len(x), 1))], axis=1)
    for layer in (0, 1):
        forward = recur(x, weights, f"l{layer}")
        backward = recur(x[::-1], weights, f"l{layer}_reverse")[::-1]
        x = np.concatenate([forward, backward], axis=1)
    return (x @ weights["fc.weight"].T + weights["fc.bias"]).T
