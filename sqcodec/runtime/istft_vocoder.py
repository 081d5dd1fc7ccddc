"""The ISTFT vocoder in NumPy: network, inverse STFT, refinement, in blocks."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sqcodec.mel_scale import hann_window
from sqcodec.runtime.networks import IstftNetwork
from sqcodec.runtime.phase_refinement import refine
from sqcodec.runtime.spectra import inverse_fft, overlap_add_same
from sqcodec.runtime.threads import one_thread
from sqcodec.runtime.weights import Array, Weights
from sqcodec.tensor_files import read_arrays
from sqcodec.vocoder.interface import Vocoder
from sqcodec.vocoder.vocoder_header import KIND, Refining, VocoderHeader, refining_of
from sqcodec.windows import windows, with_last_repeated

_HOPS = 4  # that the window of the inverse STFT is long
_SPREAD = 2  # frames on each side of a frame whose windows reach its samples
_FRAMES = 2000  # of a block, without the context: 5 % of it
_ROWS = 32  # frames of an inverse FFT at once


class NumpyIstftVocoder(Vocoder):
    """A trained network with its refinement: the `Vocoder` that needs no torch.

    iterations: of the refinement; None: as the header says, which may leave out codes of few stages. Raises
    VocoderError: the file is damaged.
    """

    kind: Literal["istft"] = "istft"

    def __init__(self, header: VocoderHeader, *, iterations: int | None = None) -> None:
        self.header, self.features, config = header, header.features, header.config
        self.n_fft = _HOPS * self.features.hop_length
        weights = Weights(read_arrays(header.path, "", KIND))
        try:
            self.network = IstftNetwork(weights, config, bands=self.features.n_mels, n_fft=self.n_fft)
            refinement = config["refinement"]
            self._refinement = refinement if iterations is None else {"iterations": iterations}
            for stages in (0.0, float("inf")):  # both ways through the section
                refining_of(refinement, stages)
            self._momentum = float(refinement["momentum"])
            self._fades = _rising(refinement.get("fades"))
            bands = self.features.n_mels
            self._contrast = weights.get("contrast", bands, bands) if "contrast" in weights else None
        except (LookupError, TypeError, ValueError) as error:
            raise KIND.error(
                f"{header.path}: the weights do not fit the header; the file is damaged: {error}"
            ) from None

    def render(
        self, pieces: Iterable[NDArray[np.float32]], samples: int, *, stages: float | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Features [F, t] piece after piece -> sound [n], together `samples` long, in blocks of 20 s.

        How they come in pieces changes nothing. Zeros where there are no frames. stages: as of `Vocoder`; few are not
        refined; recordings in full, since they lack no contrast.
        """
        hop, refining = self.features.hop_length, refining_of(self._refinement, stages)
        reach = _SPREAD + spread(self.features.win_length, hop) * refining.iterations
        behind, ahead = self.network.behind + reach, self.network.ahead + reach
        count, skipped = 0, hop // 2
        for window in windows(with_last_repeated(pieces), behind=behind, ahead=ahead, block=_FRAMES):
            with one_thread():
                sound = self.synthesise(np.ascontiguousarray(window.features.T), refining)
            piece = sound[hop * window.start : hop * window.stop][skipped:][: samples - count]
            count, skipped = count + len(piece), 0
            yield piece
        yield np.zeros(samples - count, np.float32)

    def spectrum(self, features: Array) -> NDArray[np.complex64]:
        """features [T, F] -> complex spectrum [T, bins]."""
        return self.network(features)

    def synthesise(self, features: Array, refining: Refining) -> Array:
        """features [T, F] -> sound [hop T], frame t in the middle of hop t."""
        contrast = refining.contrast * self._contrast if self._contrast is not None and refining.contrast else None
        sound = inverse_stft_same(self.spectrum(features), self.n_fft, self.features.hop_length)
        return refine(
            sound,
            features,
            self.features,
            iterations=refining.iterations,
            momentum=self._momentum,
            fades=self._fades if refining.fading else None,
            contrast=contrast,
        )


def _rising(fades: Sequence[float] | None) -> tuple[float, float] | None:
    if fades is None:
        return None
    full, none = map(float, fades)
    if not 0 < full < none:
        raise ValueError(f"fades must rise, got {list(fades)}")
    return full, none


def inverse_stft_same(spectrum: NDArray[np.complex64], n_fft: int, hop_length: int) -> Array:
    """Spectrum [T, bins] -> the sound [hop T] nearest to it, with a window as long as the FFT."""
    frames, window = np.empty((len(spectrum), n_fft), np.float32), hann_window(n_fft)
    for start in range(0, len(spectrum), _ROWS):
        rows = slice(start, start + _ROWS)
        inverse_fft(spectrum[rows], n_fft, out=frames[rows])
        frames[rows] *= window
    return overlap_add_same(frames, hop_length)


def spread(win_length: int, hop_length: int) -> int:
    """Frames on each side that one iteration of refinement reaches: as many by the STFT as by its inverse."""
    return 2 * -(-(win_length - hop_length) // (2 * hop_length))
