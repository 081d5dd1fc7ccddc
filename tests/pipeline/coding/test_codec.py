"""encode and decode on arrays: lengths, blocks, loudness, voices, and which model is used."""

import copy
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors import safe_open

import sqcodec
from sqcodec import tensor_files
from sqcodec.codes import Codes
from sqcodec.errors import AudioError, CodesError, ModelError, VocoderError
from sqcodec.features.mel import extract
from sqcodec.model.assembly import build_codec
from sqcodec.model.blockwise import decode_features
from sqcodec.model.model_file import load_model, save_model
from sqcodec.pipeline.coding import files, speaker_search
from sqcodec.pipeline.coding.codec import load, open_codec
from sqcodec.pipeline.finding.code_spaces import read_space
from sqcodec.recipe import load_recipe
from sqcodec.spectrogram import FEATURES
from tests.conftest import SPEAKERS, make_model, speech_like
from tests.vocoder.test_vocoder_file import saved

LENGTHS = [1, 2, 3, 79, 80, 81, 159, 160, 161, 162, 240, 241, 319, 320, 321, 322, 399, 401, 1001, 4801, 16000]


def whole_codes(model, x: np.ndarray) -> np.ndarray:
    """Codes without any blocks: replicated edges, an even number of frames (the equations of the design)."""
    features = extract(torch.from_numpy(x), model.features)
    behind = 1 + features.shape[1] % 2
    padded = torch.cat([features[:, :1], features, features[:, -1:].expand(-1, behind)], dim=1)
    return model.encode(padded[None])[0].numpy()


@pytest.mark.parametrize("samples", LENGTHS)
def test_decode_keeps_every_length(tiny_model, samples) -> None:
    codec = load(tiny_model)
    codes = codec.encode(speech_like(samples), 16000, speaker="p225")
    assert codes.indices.shape == (1, FEATURES["log-mel"].code_count(samples, 16000))
    assert (codes.samples, codes.sample_rate, codes.speaker) == (samples, 16000, "p225")
    assert codec.decode(codes).shape == (samples,)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("samples", [1, 7, 4411, 30001])
def test_any_input_rate_decodes_to_16_khz(tiny_model, rate, samples) -> None:
    codec = load(tiny_model)
    codes = codec.encode(speech_like(samples, rate=rate), sample_rate=rate, speaker="p225")
    assert (codes.samples, codes.sample_rate) == (samples, rate)
    assert len(codec.decode(codes)) == -(-samples * 16000 // rate)


@pytest.mark.parametrize("kind", ["paper-mel", "log-mel"])
@pytest.mark.parametrize("samples", [160 * 999 + 79, 160 * 1016, 160 * 2001 + 5])
def test_blockwise_codes_equal_those_of_the_whole(tmp_path, kind, samples) -> None:
    model = make_model(tmp_path / "model.safetensors", f"features.kind={kind}")
    x = speech_like(samples)
    got = load(tmp_path / "model.safetensors").encode(x, 16000, speaker="s5").indices
    # equal but where two distances tie within rounding: none here
    assert np.array_equal(got, whole_codes(model, x))
    assert len(np.unique(got)) > 4


def test_blockwise_features_equal_those_of_the_whole(tiny_model) -> None:
    codec = load(tiny_model)
    codes = np.random.default_rng(0).integers(0, 16, (1, 2345)).astype(np.uint16)
    blocks = torch.cat(list(decode_features(codec.model, codes, 1)), dim=1)
    whole = codec.model.decode(torch.from_numpy(codes.astype(np.int64))[None], torch.tensor([1]))[0]
    assert blocks.shape == whole.shape == (80, 4690)
    assert (blocks - whole).abs().max() < 1e-5  # an untrained GRU forgets in a few steps


def test_decode_is_repeatable_and_within_full_scale(tiny_model) -> None:
    codec = load(tiny_model)
    codes = codec.encode(speech_like(20_000), 16000, speaker="p226")
    first = codec.decode(codes)
    assert first.dtype == np.float32
    assert np.array_equal(first, codec.decode(codes))
    assert np.abs(codec.decode(replace(codes, gain=1e4))).max() == 1.0


def test_the_level_follows_the_recording(tiny_model) -> None:
    codec = load(tiny_model)
    x = speech_like(20_000)
    loud, quiet = (codec.encode(x * np.float32(level), 16000, speaker="p226") for level in (1.0, 1e-3))
    assert np.array_equal(loud.indices, quiet.indices)
    assert quiet.gain == pytest.approx(loud.gain * 1e-3, rel=1e-5)
    assert loud.gain == pytest.approx(np.abs(x).max() / 0.999)


@pytest.mark.parametrize("kind", ["paper-mel", "log-mel"])
def test_silence_decodes_to_silence(tmp_path, kind) -> None:
    make_model(tmp_path / "model.safetensors", f"features.kind={kind}")
    codec = load(tmp_path / "model.safetensors")
    codes = codec.encode(np.zeros(5000, np.float32), 16000)
    assert codes.gain == 0.0
    assert np.array_equal(codec.decode(codes), np.zeros(5000))


def test_log_mel_holds_the_level(tmp_path) -> None:
    make_model(tmp_path / "model.safetensors", "features.kind=log-mel")
    assert load(tmp_path / "model.safetensors").encode(speech_like(3000), 16000, speaker="s5").gain == 1.0


def test_a_constant_offset_is_encoded(tiny_model) -> None:
    codec = load(tiny_model)
    assert np.isfinite(codec.decode(codec.encode(np.full(5000, 0.5, np.float32), 16000))).all()


def test_the_nearest_speaker_has_the_lowest_error(tiny_model) -> None:
    """On a recording shorter than the probe, the choice is that of trying every voice on the whole."""
    codec = load(tiny_model)
    x = speech_like(16000)
    codes = codec.encode(x, 16000)
    features = extract(torch.from_numpy(x), codec.model.features)
    indices = torch.from_numpy(codes.indices.astype(np.int64))[None]
    errors = [
        (codec.model.decode(indices, torch.tensor([voice]))[0, :, : features.shape[1]] - features).square().mean()
        for voice in range(3)
    ]
    assert codes.speaker == SPEAKERS[int(np.argmin(errors))]


def test_the_probe_is_the_window_of_most_energy(tiny_model, monkeypatch) -> None:
    codec = load(tiny_model)
    x = speech_like(16000 * 25) * np.float32(1e-3)
    x[16000 * 14 : 16000 * 18] = speech_like(16000 * 4)
    seen = []
    monkeypatch.setattr(speaker_search, "nearest_speaker", lambda model, probe: seen.append(probe) or "s5")
    assert codec.encode(x, 16000).speaker == "s5"
    features = extract(torch.from_numpy(x), codec.model.features)
    distance = (features.unfold(1, 300, 1) - seen[0].features[:, None]).abs().amax((0, 2))
    assert 1390 <= int(distance.argmin()) <= 1510
    assert distance.min() < 1e-5
    assert seen[0].codes.shape == (1, 150)


def test_speakers_decode_differently(tiny_model) -> None:
    codec = load(tiny_model)
    codes = codec.encode(speech_like(8000), 16000, speaker="p225")
    assert not np.array_equal(codec.decode(codes), codec.decode(codes, speaker="s5"))
    assert np.array_equal(codec.decode(codes), codec.decode(replace(codes, speaker="s5"), speaker="p225"))


def test_a_model_of_one_speaker_needs_no_name(tmp_path) -> None:
    make_model(tmp_path / "model.safetensors", speakers=("only",))
    codec = load(tmp_path / "model.safetensors")
    assert codec.encode(speech_like(2000), 16000).speaker == "only"
    bare = Codes(
        indices=np.zeros((1, 5), np.uint16), samples=1600, sample_rate=16000, gain=1.0, speaker=None, fingerprint=None
    )
    assert len(codec.decode(bare)) == 1600


@pytest.mark.parametrize(
    ("audio", "text"),
    [
        (np.zeros(0, np.float32), "got an array [0]: empty; expected at least one sample"),
        (
            np.array([0, np.nan], np.float32),
            "got samples that are not finite: NaN or infinity; repair or leave out the recording",
        ),
    ],
)
def test_encode_refuses_arrays_that_are_no_recordings(tiny_model, audio, text) -> None:
    with pytest.raises(AudioError) as caught:
        load(tiny_model).encode(audio, 16000)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"fingerprint": "f" * 16}, ModelError, "codes: written with the model ffffffffffffffff, got "),
        (
            {"indices": np.zeros((2, 26), np.uint16)},
            CodesError,
            "codes: got 2 rows of codes, expected 1 (the",
        ),
        ({"indices": np.full((1, 26), 16, np.uint16)}, CodesError, "codes: got code 16, expected 0 to 15; these are"),
        ({"samples": 8400}, CodesError, "codes: got 26 codes, expected 27 for 8400 samples at 16000 Hz"),
        (
            {"samples": 10**18},
            CodesError,
            "codes: got 26 codes, expected 3125000000000001 for",
        ),
        ({"samples": 10**8, "fingerprint": None}, CodesError, "codes: got 26 codes, expected 312501 for 100000000"),
        ({"samples": 10**8, "gain": 0.0}, CodesError, "codes: got 26 codes, expected 312501 for 100000000 samples"),
        ({"speaker": None}, CodesError, "codes: no speaker is stored; choose one with `speaker`: p225, p226, s5"),
        ({"speaker": "p22"}, CodesError, "speaker 'p22': unknown to the model "),
    ],
)
def test_codes_that_do_not_fit_are_refused(tiny_model, change, error, text) -> None:
    codec = load(tiny_model)
    codes = codec.encode(speech_like(8000), 16000, speaker="p225")
    assert codes.indices.shape == (1, 26)
    with pytest.raises(error) as caught:
        codec.decode(replace(codes, **change))
    assert str(caught.value).startswith(text)


def test_residual_codes_decode_by_any_prefix_of_their_stages(tmp_path) -> None:
    section = (
        "quantizer={kind: residual, stages: 3, codewords: 16, dim: 4,"
        " initial_variance: 1.0, ratio: 0.25, dropout: 0.5, warmup_steps: 0, freeze_step: null}"
    )
    make_model(tmp_path / "model.safetensors", section)
    codec = load(tmp_path / "model.safetensors")
    codes = codec.encode(speech_like(16000), 16000, speaker="p225")
    assert codes.indices.shape == (3, 51)
    assert codec.bit_rate == 3 * 4 * 50
    again = codec.unpack(codec.pack(codes))
    assert np.array_equal(again.indices, codes.indices)
    prefix = replace(codes, indices=codes.indices[:2])
    assert np.array_equal(codec.unpack(codec.pack(prefix)).indices, prefix.indices)
    sounds = [codec.decode(replace(codes, indices=codes.indices[:books])) for books in (1, 2, 3)]
    assert [len(sound) for sound in sounds] == [16000] * 3
    assert not np.allclose(sounds[0], sounds[2])
    with pytest.raises(CodesError, match="got 4 rows of codes, expected 1 to 3"):
        codec.decode(replace(codes, indices=np.zeros((4, 51), np.uint16)))


def test_a_plain_vae_has_no_codes(tmp_path) -> None:
    recipe = load_recipe("vctk", ("quantizer={kind: none, dim: 4}", "network.channels=16", "network.gru=8"))
    save_model(tmp_path / "model.safetensors", build_codec(recipe, ("a",)), 1)
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "model.safetensors").encode(speech_like(16000), 16000, speaker="a")
    assert str(caught.value) == (
        f"{tmp_path}: a plain VAE (quantizer.kind none) has no codes; use a model with a quantizer"
    )


def test_a_program_does_not_depend_on_the_vocoders_of_its_folder(workplace, tiny_model) -> None:
    """Those of the runs/ that the model lies in count, wherever the program runs."""
    path = Path("runs/mine/vocoder/vocoder.safetensors").resolve()
    saved(path, "istft", load(tiny_model).features)
    assert load(tiny_model).vocoder(None).path is None
    with pytest.raises(VocoderError, match=r"no weights for paper-mel features, and none ship with this version"):
        load(tiny_model).vocoder("istft")
    assert load(tiny_model).vocoder("mine").path.resolve() == path  # which is named
    assert open_codec(tiny_model, "cpu").vocoder(None).path.resolve() == path  # of a command
    codec = load("runs/tiny")
    (workplace / "elsewhere").mkdir()
    os.chdir("elsewhere")
    assert codec.vocoder(None).path == copy.deepcopy(codec).vocoder(None).path == path
    assert copy.deepcopy(load(tiny_model)).vocoder(None).path is None
    sqcodec.encode_file(workplace / "in.wav", "codes.npy", model=tiny_model)
    os.chdir(workplace)
    sqcodec.decode_file("elsewhere/codes.npy", "out.wav", model=tiny_model, speaker="s5")
    files.decode_file(Path("elsewhere/codes.npy"), Path("with.wav"), model=str(tiny_model), speaker="s5")
    assert Path("out.wav").read_bytes() != Path("with.wav").read_bytes()


def test_an_unknown_vocoder_is_refused(tiny_model) -> None:
    codec = load(tiny_model)
    with pytest.raises(VocoderError) as caught:
        codec.decode(codec.encode(speech_like(800), 16000), vocoder="hifi")
    assert str(caught.value) == (
        "vocoder 'hifi': no such file, and none at hifi/vocoder/vocoder.safetensors or"
        " runs/hifi/vocoder/vocoder.safetensors; expected istft, world, griffin-lim, a"
        " vocoder.safetensors or a run folder"
    )


def test_an_unknown_speaker_is_refused_with_near_names(tiny_model) -> None:
    with pytest.raises(CodesError) as caught:
        load(tiny_model).encode(speech_like(800), 16000, speaker="P225")
    assert str(caught.value) == (
        f"speaker 'P225': unknown to the model {tiny_model.parent}; did you mean p225? It knows 3: p225, p226, s5"
    )


def test_the_package_offers_the_api(workplace) -> None:
    codec = sqcodec.load("runs/tiny")
    assert isinstance(codec, sqcodec.Codec)
    assert codec.fingerprint == load_model(workplace / "runs/tiny/model.safetensors").fingerprint
    assert isinstance(codec.encode(speech_like(100), 16000), sqcodec.Codes)


MEASURE = """
import sys, torch
from pathlib import Path
torch.set_num_threads(1)
from sqcodec.pipeline.coding.files import decode_file, encode_file
name = sys.argv[1]
encode_file(Path(name), Path(name + ".npy"), device="cpu")
decode_file(Path(name + ".npy"), Path(name + ".out.wav"), device="cpu")
# kB; getrusage would give the peak of pytest
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(workplace: Path) -> None:
    """20 minutes as float32 are 77 MB, their features 38 MB, their linear spectra 123 MB: none of them may show."""
    piece = speech_like(16000 * 20)
    used = {}
    for name, repeats in (("short.wav", 2), ("long.wav", 60)):
        with soundfile.SoundFile(name, "w", 16000, 1) as file:
            for _ in range(repeats):
                file.write(piece)
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, name],
            capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        used[name] = int(done.stdout) / 1000
    assert soundfile.info("long.wav.out.wav").frames == 60 * len(piece)
    assert used["long.wav"] < used["short.wav"] + 40, used  # MB; the allocator's own variation is below 20


def test_folded_batch_norm_keeps_the_codes(tmp_path: Path) -> None:
    """Each of five layers rounds its folded weights twice (2^-24) and sums some 1000 products in another way: with
    random signs sqrt(1000) x 2^-24 x 5 = 1e-5 of the largest latent, and three times that at the worst of many."""
    make_model(tmp_path / "model.safetensors", "network.channels=64")
    codec, model = load(tmp_path / "model.safetensors"), load_model(tmp_path / "model.safetensors")
    assert not [layer for layer in codec.model.encoder.modules() if isinstance(layer, torch.nn.BatchNorm1d)]
    features = extract(torch.from_numpy(speech_like(16_000 * 8)), model.features)[None, :, :800]
    with torch.inference_mode():
        folded, unfolded = codec.model.encoder(features), model.encoder(features)
        assert 0 < (folded - unfolded).abs().max() < 3e-5 * unfolded.abs().max()
        assert torch.equal(codec.model.encode(features), model.encode(features))
        frames = torch.tensor([600])  # the mask of padding lies between the same layers
        folded, unfolded = codec.model.encoder(features, frames), model.encoder(features, frames)
        assert (folded - unfolded).abs().max() < 3e-5 * unfolded.abs().max()


def test_a_model_file_is_opened_once(tmp_path: Path, monkeypatch) -> None:
    make_model(tmp_path / "model.safetensors")
    opened = []

    def counting(path: Path, **options: str) -> object:
        opened.append(path)
        return safe_open(path, **options)

    monkeypatch.setattr(tensor_files, "safe_open", counting)
    codec = load(tmp_path / "model.safetensors", device="cpu")
    assert opened == [tmp_path / "model.safetensors"]
    assert vars(codec.space) == vars(read_space(tmp_path / "model.safetensors"))


def test_codes_of_another_model_are_not_packed(tmp_path):
    """They would be a good file, of noise."""
    for seed in (1, 2):
        make_model(tmp_path / str(seed) / "model.safetensors", seed=seed)
    codecs = [load(tmp_path / str(seed), device="cpu") for seed in (1, 2)]
    codes = codecs[0].encode(speech_like(8000), 16000, speaker="p225")
    assert codecs[0].unpack(memoryview(codecs[0].pack(codes))).indices.tolist() == codes.indices.tolist()
    with pytest.raises(ModelError, match="codes: written with the model .*, got"):
        codecs[1].pack(codes)


@pytest.mark.parametrize("codes", ["indices", "list", "path"])
def test_what_is_not_codes_is_named(tmp_path, codes):
    make_model(tmp_path / "model.safetensors")
    codec = load(tmp_path, device="cpu")
    whole = codec.encode(speech_like(8000), 16000, speaker="p225")
    wrong = {"indices": whole.indices, "list": [whole], "path": "out.sqc"}[codes]
    with pytest.raises(CodesError, match=rf"^pack: got {type(wrong).__name__}, expected the Codes of one recording"):
        codec.pack(wrong)
    kind = type(wrong[0] if codes == "list" else wrong).__name__
    with pytest.raises(CodesError, match=rf"^unpack: got {kind}, expected the bytes of a .sqc file$"):
        codec.unpack(wrong)


def test_a_list_of_files_is_unpacked_as_a_list(tiny_model) -> None:
    codec = load(tiny_model)
    several = codec.encode([speech_like(8000), speech_like(16000)], 16000, speaker="p225")
    contents = [codec.pack(one) for one in several]
    found = codec.unpack(contents)
    assert [one.indices.tolist() for one in found] == [one.indices.tolist() for one in several]
    with pytest.raises(CodesError, match=r"^codes\[1\]: "):
        codec.unpack([contents[0], contents[1][:-1]])
    with pytest.raises(CodesError, match="^unpack: got str, expected the bytes of a .sqc file$"):
        codec.unpack([contents[0], "out.sqc"])


def test_a_program_may_go_to_another_folder(workplace: Path) -> None:
    """The path that a codec was loaded with is that of then."""
    saved(Path("runs/tiny/vocoder/vocoder.safetensors"), "istft", load("runs/tiny").features)
    used, fresh = load("runs/tiny"), load("runs/tiny")
    codes = used.encode("in.wav", speaker="s5")
    sound = used.decode(codes)
    assert used.vocoder(None).path == Path("runs/tiny/vocoder/vocoder.safetensors")
    os.chdir("/")
    for codec in (used, fresh, copy.copy(fresh)):  # a copy is made as in another process: from the file
        assert np.array_equal(codec.decode(codes), sound)
        assert codec.model.fingerprint == codec.fingerprint
    (workplace / "runs/tiny/vocoder/vocoder.safetensors").unlink()
    assert np.array_equal(used.decode(codes), sound)  # what was read stays


@pytest.mark.slow
def test_a_codec_goes_to_a_new_process(tiny_model) -> None:
    codec, samples = load(tiny_model), speech_like(8000)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        there = pool.submit(codec.encode, samples, 16000, speaker="s5").result()
    assert np.array_equal(there.indices, codec.encode(samples, 16000, speaker="s5").indices)


@pytest.mark.ships
def test_networks_of_another_model_are_refused(tmp_path: Path) -> None:
    """Those in torch are read when they are first asked for."""
    path = Path(sqcodec.load("speech16k", device="cpu").path)
    copy = tmp_path / "model.safetensors"
    copy.write_bytes(path.read_bytes())
    codec = load(copy, device="cpu")
    make_model(copy)
    with pytest.raises(ModelError, match="another model than the one that was opened is there now; open it again"):
        _ = codec.model


def test_samples_in_any_byte_order_are_taken(tiny_model) -> None:
    codec, samples = load(tiny_model), (speech_like(8000) * 32767).astype(np.int16)
    one, other = (codec.encode(samples.astype(order), 16000, speaker="s5") for order in ("<i2", ">i2"))
    assert np.array_equal(one.indices, other.indices)


@pytest.mark.parametrize("gain", [-1.0, float("nan")])
def test_codes_of_a_gain_that_cannot_be_are_refused(tiny_model, gain: float) -> None:
    codec = load(tiny_model)
    codes = replace(codec.encode(speech_like(800), 16000, speaker="s5"), gain=gain)
    with pytest.raises(CodesError, match="codes: got the gain"):
        codec.decode(codes)
