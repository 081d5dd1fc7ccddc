"""Lists: coded together in torch, they give what their items give one by one."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sqcodec.codes import Codes
from sqcodec.errors import AudioError, ModelError
from sqcodec.model.model_file import load_model
from sqcodec.model.torch_engine import TorchEngine
from sqcodec.pipeline.coding.codec import Codec, load, open_codec
from sqcodec.pipeline.finding.code_spaces import read_space
from sqcodec.pipeline.finding.models import SHIPPED
from sqcodec.pipeline.finding.vocoders import FoundVocoder
from sqcodec.recording import ArrayRecording
from sqcodec.vocoder.vocoder_file import load_vocoder
from tests.conftest import SPEAKERS, golden_maker, make_model, speech_like
from tests.runtime.conftest import make_model as make_convnext
from tests.runtime.conftest import make_vocoder

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
MODELS = {
    "IV": "quantizer.variance=IV",
    "II": "quantizer.variance=II",
    "vmf": "quantizer={kind: vmf, codewords: 16, dim: 4, initial_concentration: 2.0}",
    "vq": ("quantizer={kind: vq, codewords: 16, dim: 4, commitment: 0.25, weighting: sums, initialisation: uniform}"),
    "log-mel": "features.kind=log-mel",
}
# One sample, one frame more or less, odd and even frames, a block of 10 s and just more, a block and two margins of it.
LENGTHS = [1, 79, 80, 161, 1001, 160 * 51, 160 * 1016, 160 * 2001 + 5, 4801, 30_001]
# Of full scale: float32 rounding of products and FFTs of other sizes, which exponentials, refinement and Griffin-Lim
# magnify. Measured: 4.5e-5 on 60 cuts of speech (0.3 to 14 s) with what ships, RMS -137 dB.
SOUND = 1e-4


def recordings(lengths: Sequence[int]) -> list[np.ndarray]:
    return [speech_like(length + 7, seed=length)[7:] for length in lengths]


def check_codes(together: list[Codes], alone: list[Codes], device: str) -> None:
    """Equal on the CPU; on a GPU, whose products may be of 10 bits, one of 100 codes may be a near tie."""
    for one, other in zip(together, alone, strict=True):
        assert (one.samples, one.sample_rate, one.gain, one.speaker) == (
            other.samples, other.sample_rate, other.gain, other.speaker,
        )  # fmt: skip
        assert one.indices.shape == other.indices.shape
        unlike = int((one.indices != other.indices).sum())
        assert unlike <= (0 if device == "cpu" else 1 + one.indices.size // 100)


def check_sound(codec: Codec, codes: list[Codes]) -> None:
    """Before it is clipped: random weights make sounds of any level."""
    for blocks, one in zip(codec.decode_each(codes), codes, strict=True):
        sound, alone = (np.concatenate(list(each)) for each in (blocks, codec.decode_blocks(one)))
        assert sound.shape == alone.shape
        assert np.abs(sound - alone).max() < SOUND * max(1.0, np.abs(alone).max())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", MODELS)
def test_a_list_gives_the_codes_and_the_sound_of_its_items(tmp_path: Path, name: str, device: str) -> None:
    """The paper's network: masked convolutions, packed recurrent layers, statistics of each recording."""
    make_model(tmp_path / "model.safetensors", MODELS[name])
    codec = load(tmp_path / "model.safetensors", device=device)
    several = recordings(LENGTHS)
    together = codec.encode(several, 16000)  # the nearest speaker, too, is that of the item alone
    check_codes(together, [codec.encode(each, 16000) for each in several], device)
    assert len({int(code) for each in together for code in each.indices.flat}) > 4
    check_sound(codec, together)


@pytest.mark.parametrize("seed", range(3))
def test_any_lengths(tiny_model: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    codec, several = load(tiny_model), recordings((16000 * random.exponential(1.0, 30)).astype(int) + 1)
    together = codec.encode(several, 16000, speaker="p226")
    check_codes(together, [codec.encode(each, 16000, speaker="p226") for each in several], "cpu")
    check_sound(codec, together)


@pytest.fixture(params=DEVICES)
def in_torch(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Codec:
    """A ConvNeXt codec of five residual stages and an ISTFT vocoder that refines, both in torch."""
    path, device = make_convnext(tmp_path / "model.safetensors"), request.param
    codec = load(path)
    made = make_vocoder(tmp_path / "vocoder.safetensors", "vocoder.refinement.stages=3")
    found = FoundVocoder(load_vocoder(made, codec.features, device), made, "")
    monkeypatch.setattr("sqcodec.pipeline.coding.codec.find_vocoder", lambda *_, **__: found)
    return Codec(codec.header, codec.space, TorchEngine(load_model(path).to(device)), device)


@pytest.mark.parametrize("codebooks", [1, 5])
def test_convnext_networks_in_torch(in_torch: Codec, codebooks: int) -> None:
    several = recordings(LENGTHS)
    together = in_torch.encode(several, 16000, codebooks=codebooks)
    check_codes(
        together, [in_torch.encode(each, 16000, codebooks=codebooks) for each in several], in_torch.engine.device
    )
    check_sound(in_torch, together)
    assert [len(sound) for sound in in_torch.decode(together, 22_050)] == [-(-n * 22_050 // 16_000) for n in LENGTHS]


def test_lists_of_codes_may_be_mixed(in_torch: Codec) -> None:
    """Numbers of codebooks, frames that use fewer, bare arrays, silence; some are refined and some are not."""
    sound = speech_like(20_000)
    codes = [in_torch.encode(sound[: 3000 * n], 16000, codebooks=n) for n in range(1, 6)]
    indices = codes[4].indices.copy()
    stages = np.random.default_rng(0).integers(1, 6, indices.shape[1]).astype(np.uint8)
    indices[np.arange(5)[:, None] >= stages] = 0
    fewer = Codes(
        indices=indices, samples=15_000, sample_rate=16000, gain=0.5, speaker=None,
        fingerprint=in_torch.fingerprint, stages=stages,
    )  # fmt: skip
    silent = Codes(
        indices=indices, samples=15_000, sample_rate=16000, gain=0.0, speaker=None, fingerprint=None
    )  # fmt: skip
    check_sound(in_torch, [*codes, fewer, silent, codes[0], silent])
    bare = [codes[1].indices, silent, codes[2].indices]
    for one, other in zip(in_torch.decode(bare), map(in_torch.decode, bare), strict=True):
        assert np.abs(one - other).max() < SOUND


def test_what_a_list_may_hold(tmp_path: Path, tiny_model: Path) -> None:
    codec, sound = load(tiny_model), speech_like(9000)
    soundfile.write(tmp_path / "in.wav", sound, 8000, subtype="FLOAT")
    path, row = tmp_path / "in.wav", {"array": sound[:700], "sampling_rate": 24_000}
    several = [path, row, str(path), {"array": sound[:1], "sampling_rate": 16_000}]
    check_codes(codec.encode(several, speaker="s5"), [codec.encode(each, speaker="s5") for each in several], "cpu")
    assert codec.encode([], 16000) == codec.decode([]) == []
    with pytest.raises(AudioError, match=r"^got an array \[0\]: empty; expected at least one sample$"):
        codec.encode([sound, sound[:0]], 16000)
    with pytest.raises(AudioError, match=r"none.wav: missing: no such file; expected a recording"):
        codec.encode([path, tmp_path / "none.wav"])


def test_each_item_has_its_speaker(tiny_model: Path) -> None:
    codec, several = load(tiny_model), recordings([9000, 4000, 7000])
    codes = [codec.encode(each, 16000, speaker=name) for each, name in zip(several, SPEAKERS, strict=True)]
    check_sound(codec, codes)
    sounds = codec.decode(codes, speaker="s5")
    for sound, one in zip(sounds, codes, strict=True):
        assert np.abs(sound - codec.decode(one, speaker="s5")).max() < SOUND


def test_a_plain_vae_has_no_codes_in_a_list_either(tmp_path: Path) -> None:
    make_model(tmp_path / "model.safetensors", "quantizer={kind: none, dim: 4}")
    with pytest.raises(ModelError, match=r"a plain VAE \(quantizer.kind none\) has no codes"):
        load(tmp_path / "model.safetensors").encode(recordings([900, 800]), 16000)


def test_a_plain_vaes_networks_take_rows_with_padding(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model.safetensors", "quantizer={kind: none, dim: 4}")
    rows = [torch.rand(80, length + 2) for length in (12, 40, 26)]
    batch = torch.stack([torch.nn.functional.pad(row, (0, 42 - row.shape[1]), value=0.7) for row in rows])
    lengths = torch.tensor([6, 20, 13])
    with torch.inference_mode():
        latents = model.encoder(batch, 2 * lengths)
        decoded = model.decoder(latents[..., :4], torch.tensor([0, 1, 2]), lengths)
        for number, (row, length) in enumerate(zip(rows, lengths.tolist(), strict=True)):
            alone = model.encoder(row[None])[0]
            assert (latents[number, :length] - alone).abs().max() < 1e-5 * alone.abs().max()  # float32 rounding
            again = model.decoder(latents[number, :length, :4][None], torch.tensor([number]))[0]
            assert (decoded[number, :, : 2 * length] - again).abs().max() < 1e-5 * again.abs().max()


@pytest.mark.slow
@pytest.mark.ships
@pytest.mark.parametrize("bitrate", [None, 900])
@pytest.mark.parametrize("engine", ["numpy", *DEVICES])
def test_what_ships(bitrate: float | None, engine: str) -> None:
    """In NumPy bit for bit; true bit rates of each item."""
    path = SHIPPED / "speech16k" / "model.safetensors"
    codec = open_codec(path, "cpu")
    if engine != "numpy":
        codec = Codec(codec.header, read_space(path), TorchEngine(load_model(path).to(engine)), "cpu")
    every = [soundfile.read(each, dtype="float32") for each in golden_maker("make-release").recordings()[:4]]
    several = [sound[: rate * (1 + number)] for number, (sound, rate) in enumerate(every)]
    (rate,) = {rate for _, rate in every}
    together = codec.encode(several, rate, bitrate=bitrate)
    alone = [codec.encode(each, rate, bitrate=bitrate) for each in several]
    check_codes(together, alone, "cpu" if engine == "numpy" else engine)
    if bitrate is not None:
        for one in together[1:]:  # the header of a file of a second weighs more
            assert 8 * len(codec.pack(one)) / one.seconds == pytest.approx(bitrate, rel=0.03)
    if engine == "numpy":
        for sound, one in zip(codec.decode(together), together, strict=True):
            assert np.array_equal(sound, codec.decode(one))


def test_recordings_are_read_as_they_are_coded(tiny_model: Path) -> None:
    read: list[int] = []

    class Counted(ArrayRecording):
        def blocks(self, rate: int) -> Iterable[np.ndarray]:
            read.append(rate)
            return super().blocks(rate)

    codec, several = load(tiny_model), [Counted(speech_like(16_000 * 4), 16_000)] * 60
    found = codec.encoder.encode(several, speaker="s5", codebooks=None, bit_rate=None)
    for number, _ in enumerate(found):
        assert len(read) <= number + 12  # two batches of 2000 frames are ten recordings
    assert len(read) == 60
