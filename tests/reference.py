"""Independent references in NumPy float64, written from the equations; nothing of sqcodec is imported here."""

import librosa
import numpy as np


def posterior(z, precision, codebook):
    """SQ-VAE eq. 7: softmax over b of -1/2 sum_j p_j (z_j - b_j)^2; z [N, D], precision [N, D], codebook [V, D]."""
    difference = z[:, None, :] - codebook[None, :, :]
    distance = 0.5 * (precision[:, None, :] * difference**2).sum(-1)
    weight = np.exp(-(distance - distance.min(1, keepdims=True)))
    return weight / weight.sum(1, keepdims=True)


def nearest(z, precision, codebook):
    """The codeword of the largest probability, the lowest index on ties."""
    difference = z[:, None, :] - codebook[None, :, :]
    return (0.5 * (precision[:, None, :] * difference**2).sum(-1)).argmin(1)


def soft_sample(z, precision, codebook, gumbel, temperature):
    """The Gumbel-softmax mixture of codewords: softmax((log P + g) / tau) B."""
    logits = (np.log(posterior(z, precision, codebook)) + gumbel) / temperature
    weight = np.exp(logits - logits.max(1, keepdims=True))
    return weight / weight.sum(1, keepdims=True) @ codebook


def regulariser(z, precision, codebook, gumbel, temperature):
    """Eq. 8 without the decoder: sum of 1/2 p (z - z_q)^2 minus the sum of the entropies, over all latents."""
    z_q = soft_sample(z, precision, codebook, gumbel, temperature)
    probability = posterior(z, precision, codebook)
    entropy = -(probability * np.log(probability)).sum()
    return 0.5 * (precision * (z - z_q) ** 2).sum(), entropy


def precision_of(encoded, log_var_scalar, variance, dim):
    """Encoder output [N, channels] -> z [N, D], precision [N, D] for variants I, III and IV (Table 1)."""
    z = encoded[:, :dim]
    rest = {"I": np.zeros((len(z), 1)), "III": encoded[:, dim : dim + 1], "IV": encoded[:, dim:]}[variance]
    return z, np.broadcast_to(np.exp(-(rest + log_var_scalar)), z.shape)


def gradient(function, point, step=1e-6):
    """Central differences of a scalar function at `point`, one coordinate at a time."""
    result = np.zeros_like(point)
    for index in np.ndindex(point.shape):
        up, down = point.copy(), point.copy()
        up[index] += step
        down[index] -= step
        result[index] = (function(up) - function(down)) / (2 * step)
    return result


def paper_mel(samples):
    """The official feature through librosa: peak 0.999, pre-emphasis 0.97, mel magnitude, dB, 80 dB range."""
    samples = samples / np.abs(samples).max() * 0.999
    emphasised = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1])
    mel = librosa.feature.melspectrogram(
        y=emphasised, sr=16000, n_fft=2048, hop_length=160, win_length=400, power=1, n_mels=80, fmin=50,
        pad_mode="reflect",
    )  # fmt: skip
    return librosa.amplitude_to_db(mel, ref=1.0, amin=1e-5, top_db=80) / 80 + 1


def log_mel(samples):
    """The universal feature through librosa: natural logarithm of the mel magnitude, floor 1e-5."""
    mel = librosa.feature.melspectrogram(
        y=samples, sr=16000, n_fft=1024, hop_length=160, win_length=640, power=1, n_mels=80, fmin=0,
        pad_mode="reflect",
    )  # fmt: skip
    return np.log(np.maximum(mel, 1e-5))


def reflected(samples, half):
    """NumPy's own reflection, which short recordings need more than once."""
    return np.pad(samples, half, mode="reflect")
