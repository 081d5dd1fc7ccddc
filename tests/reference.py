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
    """Encoder output [B, T, channels] -> z [B T, D], precision [B T, D] for every variance of Table 1 and `fixed`."""
    z, rest = encoded[..., :dim], encoded[..., dim:]
    log_var = {
        "fixed": lambda: np.zeros((1, 1, 1)),
        "I": lambda: np.zeros((1, 1, 1)),
        "II": lambda: rest.mean(1, keepdims=True),
        "III": lambda: rest,
        "IV": lambda: rest,
    }[variance]()
    precision = np.broadcast_to(np.exp(-(log_var + log_var_scalar)), z.shape)
    return z.reshape(-1, dim), precision.reshape(-1, dim)


def vmf_posterior(z, concentration, codebook):
    """SQ-VAE eq. 12: softmax over b of kappa b^T z, all of unit length; z [N, D], codebook [V, D] of any length."""
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    codebook = codebook / np.linalg.norm(codebook, axis=1, keepdims=True)
    logits = concentration * z @ codebook.T
    weight = np.exp(logits - logits.max(1, keepdims=True))
    return z, codebook, weight / weight.sum(1, keepdims=True)


def vmf_regulariser(z, concentration, codebook, gumbel, temperature):
    """Eq. 13 without the decoder: sum of kappa (1 - z_q^T z), and the sum of the entropies, over all latents."""
    z, codebook, probability = vmf_posterior(z, concentration, codebook)
    logits = (np.log(probability) + gumbel) / temperature
    weight = np.exp(logits - logits.max(1, keepdims=True))
    z_q = weight / weight.sum(1, keepdims=True) @ codebook
    entropy = -(probability * np.log(probability)).sum()
    return (concentration * (1 - (z_q * z).sum(1))).sum(), entropy


def vq_loss(z, codebook, commitment):
    """VQ-VAE eq. 3 without the decoder, and its gradients: |sg z - b|^2 + commitment |z - sg b|^2, summed."""
    codes = ((z[:, None] - codebook[None]) ** 2).sum(-1).argmin(1)
    difference = z - codebook[codes]
    by_codeword = np.zeros_like(codebook)
    np.add.at(by_codeword, codes, -2 * difference)
    return (1 + commitment) * (difference**2).sum(), 2 * commitment * difference, by_codeword


def moving_average(batches, codebook, decay, epsilon):
    """VQ-VAE appendix A.1: counts and sums decay; codeword = sum / count, the counts smoothed; all batches [N, D]."""
    count, total = np.ones(len(codebook)), codebook.copy()
    for z in batches:
        codes = ((z[:, None] - codebook[None]) ** 2).sum(-1).argmin(1)
        for i in range(len(codebook)):
            count[i] = decay * count[i] + (1 - decay) * (codes == i).sum()
            total[i] = decay * total[i] + (1 - decay) * z[codes == i].sum(0)
        smoothed = (count + epsilon) / (count.sum() + len(count) * epsilon) * count.sum()
        codebook = total / smoothed[:, None]
    return codebook


def fsq(z, levels):
    """FSQ (arXiv 2309.15505, section 3 and appendix A.1); z [N, D] -> bounded values and codewords [N, D], codes [N].

    Both values are divided by floor(L / 2), so that codewords lie in [-1, 1].
    """
    bounded, rounded, codes = np.zeros_like(z), np.zeros_like(z), np.zeros(len(z), int)
    weight = 1
    for j, number in enumerate(levels):
        reach = (number - 1) * (1 - 1e-3) / 2
        offset = 0.0 if number % 2 else 0.5
        value = reach * np.tanh(z[:, j] + np.tan(offset / reach)) - offset
        level, width = np.rint(value), number // 2
        bounded[:, j], rounded[:, j] = value / width, level / width
        codes += weight * (level.astype(int) + width)
        weight *= number
    return bounded, rounded, codes


def m_best(z, codebooks, kept):
    """z [N, D], codebooks [K, V, D] -> codes [N, K]: of every sum of codewords that extends one of the `kept` best sums
    of the stages before, the nearest to z."""
    found = []
    for point in z:
        paths = [()]
        for stage in range(len(codebooks)):
            longer = [(*path, code) for path in paths for code in range(len(codebooks[stage]))]
            sums = [sum(codebooks[place][code] for place, code in enumerate(path)) for path in longer]
            order = np.argsort([((point - total) ** 2).sum() for total in sums], kind="stable")
            paths = [longer[place] for place in order[:kept]]
        found.append(paths[0])
    return np.array(found)


def residual_regulariser(z, codebooks, variances, gumbels, temperature, in_use):
    """RSQ-VAE: stage l codes what is left; z [N, D], codebooks [K, V, D], gumbels [K, N, V], in_use [N] stages.

    Sum of |z - sum z_l|^2 / (2 sum s_l^2) over the stages in use, and the sum of their entropies.
    """
    left, total, variance, entropy = z.copy(), np.zeros_like(z), np.zeros(len(z)), 0.0
    for stage, (codebook, s2) in enumerate(zip(codebooks, variances, strict=True)):
        precision = np.full_like(z, 1 / s2)
        z_l = soft_sample(left, precision, codebook, gumbels[stage], temperature)
        used = in_use > stage
        probability = posterior(left, precision, codebook)
        entropy -= (probability * np.log(probability)).sum(1)[used].sum()
        total[used] += z_l[used]
        variance[used] += s2
        left = left - z_l
    return (((z - total) ** 2).sum(1) / (2 * variance)).sum(), entropy


def residual_rate(z, codebooks, variances, codes, gains):
    """What the prior saves: sum over frames and stages of sum_v p(v) gain(v), p given the codes of the stages before.

    z [T, D], codebooks [K, V, D], codes [K, T], gains [K, T, V] = log P(v | codes before) + log V.
    """
    left, saved = z.copy(), 0.0
    for codebook, s2, chosen, gain in zip(codebooks, variances, codes, gains, strict=True):
        saved += (posterior(left, np.full_like(z, 1 / s2), codebook) * gain).sum()
        left = left - codebook[chosen]
    return saved


def context_gains(codes, grid, weights):
    """log P(v | codes before) + log V by the context model: codes [K, T], grid [K, V, D] integers -> [K, T, V].

    The equations of docs/rate.md, weights by the names of torch's parameters. The output's last column, a frame's early
    end, is not used.
    """

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    books, frames = codes.shape
    hidden = weights["gru.weight_hh_l0"].shape[1]
    state, gains = np.zeros(hidden), np.zeros((books, frames, grid.shape[1]))
    for frame in range(frames):
        layers = (weights["from_state.weight"] @ state + weights["from_state.bias"]).reshape(books, -1)
        total = np.zeros(grid.shape[2])
        for stage in range(books):
            seen = np.clip(np.floor((total + 64) / 128), -127, 127) / 128
            inner = np.tanh(layers[stage] + seen @ weights["from_sum"][stage])
            scores = (inner @ weights["output"][stage] + weights["output_bias"][stage])[:-1]
            gains[stage, frame] = scores - np.log(np.exp(scores).sum()) + np.log(len(scores))
            total = total + grid[stage, codes[stage, frame]]
        x = np.append(np.clip(np.floor((total + 64) / 128), -127, 127) / 128, np.ones(books))
        of_input = weights["gru.weight_ih_l0"] @ x + weights["gru.bias_ih_l0"]
        of_state = weights["gru.weight_hh_l0"] @ state + weights["gru.bias_hh_l0"]
        reset, update = (sigmoid(of_input[part] + of_state[part])
                         for part in (slice(0, hidden), slice(hidden, 2 * hidden)))  # fmt: skip
        candidate = np.tanh(of_input[2 * hidden :] + reset * of_state[2 * hidden :])
        state = (1 - update) * candidate + update * state
    return gains


def codeword_order(words):
    """docs/bitstream.md, "Packets": codewords [V, D] -> the codeword at each place."""
    units = [[int(np.rint(float(value) * 4096)) for value in word] for word in words]

    def apart(first, second):
        return sum((a - b) ** 2 for a, b in zip(first, second, strict=True))

    groups = [[word] for word in range(len(units))]
    while len(groups) > 1:
        sums = [[sum(column) for column in zip(*(units[word] for word in group), strict=True)] for group in groups]
        pairs = sorted((apart(sums[i], sums[j]), i, j) for j in range(len(groups)) for i in range(j))
        taken, merged = set(), []
        for _, i, j in pairs:
            if not taken & {i, j}:
                taken |= {i, j}
                turned = [[groups[j][place ^ t] for place in range(len(groups[j]))] for t in range(len(groups[j]))]
                errors = [
                    sum(apart(units[a], units[b]) for a, b in zip(groups[i], turn, strict=True)) for turn in turned
                ]
                merged.append(groups[i] + turned[errors.index(min(errors))])
        groups = merged
    return groups[0]


def convolution(x, w, stride, padding):
    """x [B, C, T] and w [O, C, K], zeros at both ends -> [B, O, T'], one output after the other."""
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding)])
    taps = w.shape[2]
    starts = range(0, x.shape[2] - taps + 1, stride)
    return np.stack([np.einsum("bck,ock->bo", x[:, :, start : start + taps], w) for start in starts], axis=2)


def gru(x, weights):
    """x [B, T, D] through one direction of a GRU of (W_ih [3 H, D], W_hh [3 H, H], b_ih, b_hh) -> states [B, T, H]."""
    w_ih, w_hh, b_ih, b_hh = weights
    h, states = np.zeros((len(x), w_hh.shape[1])), []
    for step in x.swapaxes(0, 1):
        (x_r, x_z, x_n), (h_r, h_z, h_n) = (np.split(v, 3, 1) for v in (step @ w_ih.T + b_ih, h @ w_hh.T + b_hh))
        r, z = (1 / (1 + np.exp(-v)) for v in (x_r + h_r, x_z + h_z))
        n = np.tanh(x_n + r * h_n)
        h = (1 - z) * n + z * h
        states.append(h)
    return np.stack(states, 1)


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


def log_spectral_distance(first, second):
    """Gray and Markel 1976, frame by frame: 512-sample periodic Hann of unit sum, hop 128, power floor 1e-10."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    first, second = (np.pad(signal, 256).astype(np.float64) for signal in (first, second))
    distances = []
    for start in range(0, len(first) - 511, 128):
        levels = []
        for signal in (first, second):
            spectrum = np.fft.fft(signal[start : start + 512] * hann / hann.sum())[:257]
            levels.append(10 * np.log10(spectrum.real**2 + spectrum.imag**2 + 1e-10))
        distances.append(np.sqrt(np.mean((levels[0] - levels[1]) ** 2)))
    return np.mean(distances)


def multi_resolution_stft(first, second):
    """Yamamoto et al. 2020, eq. 3 to 6, frame by frame; the L1 term's mean is over frames and bins."""
    total = 0.0
    for n_fft, hop, window in ((512, 50, 240), (1024, 120, 600), (2048, 240, 1200)):
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
        spectra = []
        for signal in (first, second):
            padded = np.pad(signal.astype(np.float64), window // 2)
            starts = range(0, len(padded) - window + 1, hop)
            frames = [np.fft.fft(padded[start : start + window] * hann / hann.sum(), n_fft) for start in starts]
            spectra.append(np.abs(np.array(frames))[:, : n_fft // 2 + 1])
        convergence = np.sqrt(((spectra[0] - spectra[1]) ** 2).sum() / (spectra[0] ** 2).sum())
        logarithms = [np.log(np.maximum(spectrum, 1e-7)) for spectrum in spectra]
        total += convergence + np.abs(logarithms[0] - logarithms[1]).mean()
    return total / 3


def edits(first, second):
    """Edit distance of two sequences, by recursion."""
    table = {(0, 0): 0}
    for i in range(len(first) + 1):
        for j in range(len(second) + 1):
            if i or j:
                options = []
                if i:
                    options.append(table[i - 1, j] + 1)
                if j:
                    options.append(table[i, j - 1] + 1)
                if i and j:
                    options.append(table[i - 1, j - 1] + (first[i - 1] != second[j - 1]))
                table[i, j] = min(options)
    return table[len(first), len(second)]


def frequencies(weights: list[int], total: int) -> list[int]:
    """Entropy tables: at least one slot each, the others by weight, rounded down; the rest to the first largest."""
    shares = [1 + weight * (total - len(weights)) // sum(weights) for weight in weights]
    shares[weights.index(max(weights))] += total - sum(shares)
    return shares


def entropy_row(sequences, book: int, context, *, below: bool, size: int, total: int) -> list[int]:
    """The documented frequencies of a book's codes after `context` (None: at a start), counted one by one."""
    plain, seen = [0] * size, [0] * size
    for codes in sequences:
        for time, code in enumerate(codes[book].tolist()):
            plain[code] += 1
            before = codes[book - 1, time] if below else codes[book, time - 1] if time else None
            seen[code] += before is not None and before == context
    base = frequencies([2 * number + 1 for number in plain], total)
    kinds = sum(number > 0 for number in seen)
    if context is None or not kinds:
        return base
    weights = [
        kinds * share + (2 * number - 1) * total * (number > 0) for share, number in zip(base, seen, strict=True)
    ]
    return frequencies(weights, total)


def code_lengths(codes, rows, total: int) -> float:
    """Bits that codes cost under the frequencies `rows[time][code]` of `total`."""
    return float(-sum(np.log2(row[code] / total) for code, row in zip(codes, rows, strict=True)))


def inverse_stft(spectrum, n_fft, win_length, hop):
    """Griffin and Lim 1984, eq. 6: overlap-add of windowed inverse DFTs over the sum of squared windows.

    spectrum [T, n_fft // 2 + 1] of frames whose window begins at sample hop t - (win_length - hop) / 2 -> [hop T].
    """
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(win_length) / win_length)
    before, frames = (win_length - hop) // 2, len(spectrum)
    total, weight = np.zeros(hop * (frames - 1) + win_length), np.zeros(hop * (frames - 1) + win_length)
    n, k = np.arange(win_length), np.arange(n_fft)
    for t, half in enumerate(spectrum):
        whole = np.concatenate([half, half[1:-1][::-1].conj()])
        whole[[0, n_fft // 2]] = whole[[0, n_fft // 2]].real  # a real signal has no imaginary part there
        frame = (np.exp(2j * np.pi * np.outer(n, k) / n_fft) @ whole).real / n_fft
        total[hop * t : hop * t + win_length] += window * frame
        weight[hop * t : hop * t + win_length] += window**2
    return (total / np.maximum(weight, 1e-300))[before : before + hop * frames]


def warped_distance(x, y, frame_distance):
    """Cheapest path's cost over its cells, by recursion; ties: both on, then y alone, then x alone."""
    best = {}
    for i in range(len(x)):
        for j in range(len(y)):
            before = [best[cell] for cell in ((i - 1, j - 1), (i, j - 1), (i - 1, j)) if cell in best]
            cost, cells = min(before, key=lambda entry: entry[0]) if before else (0.0, 0)
            best[i, j] = (cost + frame_distance(x[i], y[j]), cells + 1)
    cost, cells = best[len(x) - 1, len(y) - 1]
    return cost / cells


def angle(u, v):
    """Angle over pi; a vector of zeros is at 1 from any other and at 0 from another of zeros."""
    if not u.any() or not v.any():
        return 0.0 if not u.any() and not v.any() else 1.0
    return np.arccos(np.clip(u @ v / np.linalg.norm(u) / np.linalg.norm(v), -1, 1)) / np.pi


def symmetric_kl(u, v):
    """1/2 KL(u || v) + 1/2 KL(v || u) of vectors made to sum to one, epsilon added, and made so again."""
    u, v = (w / w.sum() + np.finfo(float).eps for w in (u, v))
    u, v = u / u.sum(), v / v.sum()
    return 0.5 * (u * np.log(u / v)).sum() + 0.5 * (v * np.log(v / u)).sum()


def abx_error(items, distance):
    """ABX in %, across speakers, by context; items: (phone, context, speaker, sequence) each.

    Loops over every A, B and X, then means over triples, contexts, speaker pairs and phone pairs in turn.
    """
    apart = [[distance(x[3], a[3]) for a in items] for x in items]
    cells = {}
    for a, (phone, context, speaker, _) in enumerate(items):
        for b, (other, context_b, speaker_b, _) in enumerate(items):
            for x, (again, context_x, speaker_x, _) in enumerate(items):
                if not (context == context_b == context_x and phone == again != other):
                    continue
                if not (speaker == speaker_b != speaker_x):
                    continue
                wrong = 0.5 if abs(apart[x][a] - apart[x][b]) <= 1e-9 else float(apart[x][b] < apart[x][a])
                by_context = cells.setdefault((phone, other), {}).setdefault((speaker, speaker_x), {})
                by_context.setdefault(context, []).append(wrong)
    phone_pairs = [
        np.mean([np.mean([np.mean(wrong) for wrong in contexts.values()]) for contexts in speakers.values()])
        for speakers in cells.values()
    ]
    return 100 * np.mean(phone_pairs)


def loudness_disturbances(clean, degraded, sample_rate):
    """D and DA of ITU-T P.862 (10.2, as in its C code) of one aligned, unfiltered pair [N]: Bark by Traunmueller's
    formula, the threshold in quiet by Terhardt's, the gain of each frame compensated, no other equalisation."""
    window, step, bands = round(0.032 * sample_rate), round(0.016 * sample_rate), 49
    hz = np.arange(257) * sample_rate / 512
    bark = 26.81 * hz / (1960 + hz) - 0.53
    edges = [26.81 * f / (1960 + f) - 0.53 for f in (50.0, min(7900.0, 0.49 * sample_rate))]
    width = (edges[1] - edges[0]) / bands
    centres = [edges[0] + width * (band + 0.5) for band in range(bands)]
    filters = np.maximum(0, 1 - np.abs(bark[None] - np.array(centres)[:, None]) / width)
    for band in range(bands):
        if not filters[band].any():
            filters[band, np.abs(bark - centres[band]).argmin()] = 1
    khz = np.array([1.96 * (centre + 0.53) / (26.28 - centre) for centre in centres])
    quiet = 10 ** ((3.64 * khz**-0.8 - 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) + 0.001 * khz**4) / 10)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)

    def powers(sound):
        starts = range(0, len(sound) - window + 1, step)
        return np.array([filters @ np.abs(np.fft.rfft(sound[at : at + window] * hann, 512)) ** 2 for at in starts])

    one, other = powers(clean), powers(degraded)
    audible = one.sum(1) > 1e-4 * one.sum(1).max()
    scale = 10**7.9 / one.sum(1)[audible].mean()
    symmetric, added = [], []
    for reference, heard in zip(one * scale, other * scale, strict=True):
        gain = (reference.sum() + 5e3) / (heard.sum() + 5e3)
        matched = heard * min(max(gain, 3e-4), 5.0)
        sone = [
            np.maximum(0, 0.1866 * (quiet / 0.5) ** 0.23 * ((0.5 + 0.5 * power / quiet) ** 0.23 - 1))
            for power in (reference, matched)
        ]
        difference = sone[1] - sone[0]
        masked = 0.25 * np.minimum(*sone)
        difference = np.sign(difference) * np.maximum(0, np.abs(difference) - masked)
        weight = ((matched + 50) / (reference + 50)) ** 1.2
        weight = np.where(weight < 3, 0, np.minimum(weight, 12))
        loud = ((reference.sum() + 1e5) / 1e7) ** 0.04
        symmetric.append(min(45.0, np.sqrt(width * bands * ((difference * width) ** 2).sum()) / loud))
        added.append(min(45.0, (np.abs(difference) * weight * width).sum() / loud))

    def over_time(frames):
        parts = [frames[at : at + 20] for at in range(0, len(frames) - 19, 10)]
        syllables = [np.mean(np.array(part) ** 6) ** (1 / 6) for part in parts]
        return np.sqrt(np.mean(np.square(syllables)))

    return over_time(symmetric), over_time(added)


def extended_intelligibility(clean, degraded, sample_rate, *, floor):
    """ESTOI (Jensen and Taal, 2016, eq. 2 to 8) of one pair [N] float, all frames, every fifth segment of 30.

    floor: added to every norm, the envelopes of `clean` having a mean square of 1.
    """
    window = 2 * round(0.0128 * sample_rate)
    n_fft = 1 << (window - 1).bit_length()
    hz = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)

    def envelopes(sound):
        starts = range(0, len(sound) - window + 1, window // 2)
        power = np.array([np.abs(np.fft.rfft(sound[at : at + window] * hann, n_fft)) ** 2 for at in starts])
        edges = [(150 * 2 ** ((2 * k - 1) / 6), 150 * 2 ** ((2 * k + 1) / 6)) for k in range(15)]
        return np.sqrt([power[:, (hz >= low) & (hz < high)].sum(1) for low, high in edges])

    def normalised(segment):
        rows = segment - segment.mean(1, keepdims=True)
        rows = rows / (np.linalg.norm(rows, axis=1, keepdims=True) + floor)
        columns = rows - rows.mean(0, keepdims=True)
        return columns / (np.linalg.norm(columns, axis=0, keepdims=True) + floor)

    one, other = envelopes(clean), envelopes(degraded)
    level = np.sqrt(np.mean(one**2))
    one, other = one / level, other / level
    starts = range(0, one.shape[1] - 29, 5)
    similar = [(normalised(one[:, at : at + 30]) * normalised(other[:, at : at + 30])).sum() / 30 for at in starts]
    return np.mean(similar)
