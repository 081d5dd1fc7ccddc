"""Metrics of two signals against independent values: their own packages, golden values of SPTK, float64 formulas."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from sqcodec.errors import MetricError
from sqcodec.metrics import cepstrum, dnsmos, level, mcd, pesq, pitch, stft, stoi
from tests import reference
from tests.conftest import speech_like

GOLDEN = json.loads((Path(__file__).parent / "golden" / "cepstra.json").read_text("utf-8"))
SILENCE = np.zeros(16000, np.float32)
CLEAN = speech_like(32000)
NOISY = (CLEAN + 0.02 * np.random.default_rng(3).normal(size=32000)).astype(np.float32)


def golden_signals():
    """The two of golden/make-cepstra.py."""
    time = np.arange(8000) / 16000
    rng = np.random.default_rng(1)
    made = []
    for f0, tilt, tempo in ((120, 1.0, 3.0), (125, 1.3, 3.3)):
        tone = sum(np.sin(2 * np.pi * f0 * k * time) / k**tilt for k in range(1, 40))
        sound = 0.2 * tone * (0.6 + 0.4 * np.sin(2 * np.pi * tempo * time)) + 0.003 * rng.normal(size=8000)
        made.append((np.round(sound * 32767) / 32767).astype(np.float32))
    return made


@pytest.mark.slow
def test_identical_files_have_the_best_scores() -> None:
    pytest.importorskip("pesq", reason="the eval extra is not installed")
    pytest.importorskip("pystoi", reason="the eval extra is not installed")
    assert pesq.pesq_wb(CLEAN, CLEAN) == pytest.approx(4.644, abs=1e-3)  # the top of P.862.2's mapping
    # pystoi divides by norms plus 2.2e-16 a segment and band: it falls short of 1 by rounding
    assert stoi.stoi(CLEAN, CLEAN, extended=False) == pytest.approx(1.0, abs=1e-6)
    assert stoi.stoi(CLEAN, CLEAN, extended=True) == pytest.approx(1.0, abs=1e-6)
    for definition in mcd.DEFINITIONS:
        assert mcd.mcd(CLEAN, CLEAN, definition=definition) == 0.0
    assert pitch.evaluate(CLEAN, CLEAN) == dict.fromkeys(("f0_rmse", "f0_cents", "gross_pitch", "voicing"), 0.0)
    assert stft.evaluate(CLEAN, CLEAN) == {"lsd": 0.0, "mr_stft": 0.0}
    assert level.level_difference(CLEAN, CLEAN) == 0.0


def test_pesq_is_the_package_s_wide_band_figure() -> None:
    package = pytest.importorskip("pesq", reason="the eval extra is not installed")
    assert pesq.pesq_wb(CLEAN, NOISY) == package.pesq(16000, CLEAN, NOISY, "wb")
    assert 1.0 < pesq.pesq_wb(CLEAN, NOISY) < pesq.pesq_wb(CLEAN, CLEAN)


def test_pesq_does_not_depend_on_level() -> None:
    pytest.importorskip("pesq", reason="the eval extra is not installed")
    # it levels both signals; float32 samples at half the level differ by nothing
    assert pesq.pesq_wb(CLEAN, 0.5 * NOISY) == pytest.approx(pesq.pesq_wb(CLEAN, NOISY), abs=1e-3)


@pytest.mark.slow
def test_pesq_survives_many_utterances() -> None:
    package = pytest.importorskip("pesq", reason="the eval extra is not installed")
    rng = np.random.default_rng(0)
    samples = 90 * 16000  # 75 bursts: the standard's code has room for 50, and crashes
    bursts = np.arange(samples) / 16000 % 1.2 < 0.5
    first = (0.3 * rng.normal(size=samples) * bursts).astype(np.float32)
    second = (first + 0.01 * rng.normal(size=samples)).astype(np.float32)
    pairs = list(zip(np.array_split(first, 5), np.array_split(second, 5), strict=True))
    expected = np.mean([package.pesq(16000, *piece, "wb") for piece in pairs])
    assert pesq.pesq_wb(first, second) == pytest.approx(expected, rel=1e-12)
    lost = second.copy()
    lost[: samples // 5] = 0.0
    least = package.pesq(16000, first[: samples // 5], 1e-9 * lost[samples // 5 : 2 * samples // 5], "wb")
    mean = np.mean([pesq._LEAST, *(package.pesq(16000, *piece, "wb") for piece in pairs[1:])])
    assert pesq.pesq_wb(first, lost) == pytest.approx(mean, rel=1e-12)  # what is lost is heard
    assert pytest.approx(1.0427, abs=1e-4) == pesq._LEAST
    assert least >= pesq._LEAST
    first[: samples // 5] = 0.0  # a piece without speech says nothing
    assert pesq.pesq_wb(first, lost) == pytest.approx(pesq.pesq_wb(first, second), rel=1e-12)


def test_stoi_is_the_package_s_figure() -> None:
    package = pytest.importorskip("pystoi", reason="the eval extra is not installed")
    expected = {extended: package.stoi(CLEAN, NOISY, 16000, extended=extended) for extended in (False, True)}
    # rounded to 9 decimals, because ESTOI adds noise of 2e-16 to each band, so that it never divides by zero
    assert stoi.evaluate(CLEAN, NOISY) == pytest.approx({"stoi": expected[False], "estoi": expected[True]}, abs=1e-9)


@pytest.mark.slow
@pytest.mark.slow
def test_dnsmos_runs_on_one_thread() -> None:
    package = pytest.importorskip("speechmos.dnsmos", reason="the eval extra is not installed")
    dnsmos.dnsmos(CLEAN)
    scorer = dnsmos._scorer(package)
    threads = [each.get_session_options().intra_op_num_threads for each in (scorer.onnx_sess, scorer.p808_onnx_sess)]
    assert threads == [1, 1]


def test_dnsmos_falls_with_noise() -> None:
    pytest.importorskip("speechmos.dnsmos", reason="the eval extra is not installed")
    clean, noisy = dnsmos.evaluate(SILENCE, CLEAN)["dnsmos"], dnsmos.evaluate(SILENCE, NOISY)["dnsmos"]
    assert 1.0 <= noisy < clean <= 5.0


def test_mel_cepstra_are_sptk_s() -> None:
    first, _ = golden_signals()
    # SPTK stops when c0 changes by less than 1e-3 of itself; Newton's next step is then far below 1e-4
    assert mcd._espnet(first)[3] == pytest.approx(GOLDEN["mcep"], abs=1e-4)
    assert mcd._versa(first)[10] == pytest.approx(
        GOLDEN["sp2mc"], abs=1e-6
    )  # the same WORLD; ours reads float32 samples


@pytest.mark.parametrize(("recipe", "tolerance"), [("espnet", 1e-3), ("versa", 1e-6)])
def test_distortion_is_that_of_the_recipe_s_own_packages(recipe, tolerance) -> None:
    assert mcd.mcd(*golden_signals(), definition=recipe) == pytest.approx(GOLDEN[recipe], abs=tolerance)


@pytest.mark.slow
def test_warping_of_too_long_recordings_is_refused() -> None:
    long = np.tile(CLEAN, 70)  # 140 s: the matrix of distances would take too much memory
    with pytest.raises(MetricError, match=r"^too long for time warping: got 8747 frames, expected 8000 or less$"):
        mcd.mcd(long, long, definition="espnet")


@pytest.mark.slow
def test_the_textbook_recipe_ignores_the_level() -> None:
    # c0 alone changes with the level, up to the power floor of 1e-10
    assert mcd.mcd(CLEAN, 0.5 * CLEAN, definition="textbook") == pytest.approx(0.0, abs=0.05)
    decibels = 10 / np.log(10) * np.sqrt(2) * np.log(2)  # sqrt(2 (ln 2)^2) in 10 / ln 10: every frame alike
    assert mcd.mcd(CLEAN, 0.5 * CLEAN, definition="versa") == pytest.approx(decibels, rel=1e-3)


def test_versa_adds_nothing_to_an_envelope(monkeypatch: pytest.MonkeyPatch) -> None:
    """A floor of 1e-10 under the empty bands of a low-passed recording hid how far they differ: 19.03 dB for 19.11."""
    import pyworld

    envelope = 1e-12 * np.exp(np.random.default_rng(0).normal(size=(5, 513)))
    monkeypatch.setattr(pyworld, "cheaptrick", lambda *_arguments, **_options: envelope)
    assert mcd._versa(CLEAN) == pytest.approx(cepstrum.from_envelope(envelope, 39, 0.466), rel=1e-12)


def test_warping_follows_the_all_pass() -> None:
    """A cepstrum's log amplitude at w is the warped one's at warped(w)."""
    rng = np.random.default_rng(0)
    cepstrum_, alpha = rng.normal(size=12) * 0.7 ** np.arange(12), 0.42
    warped = cepstrum.warping(12, 60, alpha) @ cepstrum_
    w = np.linspace(0.1, 3.0, 7)
    all_pass = w + 2 * np.arctan(alpha * np.sin(w) / (1 - alpha * np.cos(w)))
    expected = np.cos(np.outer(w, np.arange(12))) @ cepstrum_
    # 60 coefficients: what is left out decays like 0.42^(60 - 11)
    assert np.cos(np.outer(all_pass, np.arange(61))) @ warped == pytest.approx(expected, abs=1e-9)


def test_spectral_distances_are_the_formulas() -> None:
    first, second = golden_signals()
    # the same sums in float64, other order
    expected = reference.log_spectral_distance(first, second)
    assert stft.log_spectral_distance(first, second) == pytest.approx(expected, rel=1e-12)
    expected = reference.multi_resolution_stft(first, second)
    assert stft.multi_resolution(first, second) == pytest.approx(expected, rel=1e-12)


def test_half_the_level_is_6_db_away() -> None:
    first = np.random.default_rng(0).normal(size=16000).astype(np.float32) * 0.1
    assert stft.log_spectral_distance(first, 0.5 * first) == pytest.approx(6.0206, abs=1e-2)  # the floor of -100 dB
    assert level.level_difference(first, 0.5 * first) == pytest.approx(-6.0206, abs=1e-4)


def test_si_sdr_of_orthogonal_noise() -> None:
    time = np.arange(16000) / 16000
    tone, noise = np.sin(2 * np.pi * 100 * time), np.cos(2 * np.pi * 300 * time)  # orthogonal, of equal energy
    first, second = tone.astype(np.float32), (0.25 * (tone + 0.1 * noise)).astype(np.float32)
    assert level.si_sdr(first, second) == pytest.approx(20.0, abs=1e-4)  # 1 / 0.1^2; float32 samples
    with pytest.raises(MetricError, match=r"^SI-SDR is infinite"):
        level.si_sdr(first, first)


def test_pitch_errors_of_known_tracks() -> None:
    errors = pitch.compare(np.array([100.0, 200.0, 0.0, 150.0, 0.0]), np.array([103.0, 400.0, 90.0, 0.0, 0.0]))
    assert errors.f0_rmse == pytest.approx(math.sqrt((9 + 40000) / 2))
    assert errors.f0_cents == pytest.approx(math.sqrt(((1200 * math.log2(1.03)) ** 2 + 1200**2) / 2))
    assert (errors.gross, errors.voicing) == (50.0, 40.0)
    with pytest.raises(MetricError, match=r"^no frame is voiced in the reference and in the degraded signal$"):
        pitch.compare(np.zeros(5), np.full(5, 100.0))


def test_the_f0_of_a_tone() -> None:
    time = np.arange(16000) / 16000
    tone = sum(np.sin(2 * np.pi * 130 * k * time) / k for k in range(1, 12)).astype(np.float32) * 0.2
    track = pitch.f0_track(tone)[20:-20]
    assert track == pytest.approx(130.0, abs=0.5)  # StoneMask's own precision is below 0.1 %, with a margin


ALL = {
    "pesq": pesq.evaluate, "stoi": stoi.evaluate, "pitch": pitch.evaluate, "stft": stft.evaluate,
    "level": level.evaluate, "dnsmos": dnsmos.evaluate,
    "mcd": lambda first, second: mcd.evaluate(first, second, definition="textbook"),
}  # fmt: skip


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "signal", [SILENCE, CLEAN[:100], np.full(32000, np.nan, np.float32)], ids=["0", "short", "nan"]
)
def test_recordings_that_cannot_be_scored_are_an_error(name, signal) -> None:
    if (name, len(signal)) == ("level", 100):
        assert level.level_difference(signal, signal) == 0.0  # a level needs no length
        return
    with pytest.raises(MetricError, match="silent|short|not finite"):
        ALL[name](signal, signal)


def test_lengths_must_agree() -> None:
    with pytest.raises(MetricError, match=r"got signals of shapes \(32000,\) and \(100,\), expected two \[N\] of one"):
        stft.evaluate(CLEAN, CLEAN[:100])


@pytest.mark.parametrize(("name", "package"), [("pesq", "pesq"), ("stoi", "pystoi"), ("dnsmos", "speechmos")])
def test_a_missing_package_is_named(name, package, monkeypatch) -> None:
    def without(module, *rest):
        raise ImportError(module)

    monkeypatch.setattr("sqcodec.metrics.signals.importlib.import_module", without)
    title = {"pesq": "PESQ", "stoi": "STOI", "dnsmos": "DNSMOS"}[name]
    with pytest.raises(MetricError, match=rf"^{title} needs the package {package}: install sqcodec\[eval\]$"):
        ALL[name](CLEAN, NOISY)


def test_the_signal_that_is_silent_is_named() -> None:
    pytest.importorskip("speechmos", reason="the eval extra is not installed")
    for group in (dnsmos.evaluate, stoi.evaluate):
        with pytest.raises(MetricError, match="silent: the degraded signal holds zeros only"):
            group(CLEAN, np.zeros_like(CLEAN))
