"""Write the vectors of docs/runtime.md: python tests/golden/make-vectors.py

Run from the root of a checkout, with PYTHONPATH=. The result of each step of coding for 0.8 s of the speech that comes
with sqcodec, by what ships. Whoever changes networks or weights that ship runs it again, and changes docs/runtime.md
and docs/try/index.html where they no longer fit.
"""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from sqcodec.bitstream import sqc
from sqcodec.codes import Codes
from sqcodec.features.mel import extract
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.finding.models import SHIPPED
from sqcodec.resampling import resample
from sqcodec.runtime.istft_vocoder import NumpyIstftVocoder, inverse_stft_same
from sqcodec.runtime.numpy_engine import NumpyEngine
from sqcodec.windows import with_context

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent / "vectors"
RECORDING = ROOT / "recipes/tiny/speech/VCTK-Corpus-0.92/wav48_silence_trimmed/p225/p225_001_mic1.flac"
START, LENGTH = 16_000, 12_800  # samples at 16 kHz
CODEBOOKS = 6  # codes that the vocoder refines


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    codec = open_codec(SHIPPED / "speech16k" / "model.safetensors", "cpu")
    samples, rate = soundfile.read(RECORDING, dtype="float32")
    sound = resample(samples, rate, 16000)[START : START + LENGTH]
    for name, array in vectors(codec, sound).items():
        np.save(FOLDER / f"{name}.npy", array)
    (FOLDER / "codes.sqc").write_bytes(sqc.pack(codes_of(codec, sound), codec.space, coder="tables"))


def codes_of(codec: Codec, sound: NDArray[np.float32]) -> Codes:
    return codec.encode(sound, sample_rate=16000, codebooks=CODEBOOKS)


def vectors(codec: Codec, sound: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
    """What each step gives, by the name of its file."""
    engine, vocoder = codec.engine, codec.vocoder(None).vocoder
    assert isinstance(engine, NumpyEngine)
    assert isinstance(vocoder, NumpyIstftVocoder)
    log_mel = extract(sound, codec.features)
    padded = np.concatenate([*with_context([log_mel], log_mel.shape[1], per_code=2)], axis=1)
    codes = codes_of(codec, sound)
    features = np.concatenate([*engine.decode(codes.indices, 0)], axis=1)
    spectrum = vocoder.spectrum(np.ascontiguousarray(np.concatenate([features, features[:, -1:]], axis=1).T))
    return {
        "input": sound,
        "log-mel": log_mel,
        "latents": engine.latents(padded),
        "codes": codes.indices,
        "features": features,
        "spectrum": spectrum,
        "plain": inverse_stft_same(spectrum, 640, 160),
        "sound": codec.decode(codes),
    }


if __name__ == "__main__":
    main()
