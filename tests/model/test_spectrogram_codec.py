"""The networks, the objective and the model file."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from sqcodec.errors import ModelError
from sqcodec.model.assembly import build_codec
from sqcodec.model.likelihood import GaussianLikelihood
from sqcodec.model.mel_classes import MelClasses
from sqcodec.model.model_file import load_model, save_model
from sqcodec.model.model_header import KIND, read_header
from sqcodec.model.objective import objective
from sqcodec.model.paper_network import PaperEncoder, jitter
from sqcodec.quantizers.quantizer import Quantized
from sqcodec.recipe import load_recipe
from sqcodec.tensor_files import read_tensors, save_tensors

SMALL = ("network.channels=16", "network.gru=8", "network.speaker_dim=4", "quantizer.codewords=16", "quantizer.dim=4")


def small(*overrides, speakers=("a", "b")):
    torch.manual_seed(0)
    return build_codec(load_recipe("vctk", (*SMALL, *overrides)), speakers).eval()


@pytest.mark.parametrize(("variance", "parameters"), [("I", 7.91e6), ("II", 7.91e6), ("III", 7.91e6), ("IV", 7.96e6)])
def test_the_papers_model_has_the_papers_size(variance, parameters):
    codec = build_codec(load_recipe("zerospeech2019", (f"quantizer.variance={variance}",)), ("a",) * 102)
    encoder, decoder = (sum(p.numel() for p in part.parameters()) for part in (codec.encoder, codec.decoder))
    assert encoder == pytest.approx(parameters, rel=2e-3)
    assert decoder == pytest.approx(0.522e6, rel=2e-3)
    assert codec.quantizer.codebook.shape == (512, 64)
    assert codec.quantizer.log_var_scalar.item() == pytest.approx(np.log(10))
    assert codec.bit_rate == 450


def test_codes_are_half_as_many_as_frames():
    codec = small()
    codes = codec.encode(torch.randn(3, 80, 42))
    assert codes.shape == (3, 1, 20)
    assert codec.decode(codes, torch.tensor([0, 1, 1])).shape == (3, 80, 40)


def test_a_block_with_margin_gives_the_codes_of_the_whole():
    codec, features = small(), torch.randn(1, 80, 402)
    whole = codec.encode(features)
    start, stop = 100, 200  # frames; features[1 + t] is frame t
    block = features[:, :, start - PaperEncoder.margin : stop + PaperEncoder.margin + 2]
    codes = codec.encode(block)[:, :, PaperEncoder.margin // 2 : -PaperEncoder.margin // 2]
    assert torch.equal(codes, whole[:, :, start // 2 : stop // 2])


def test_the_speaker_changes_the_decoding():
    codec = small()
    codes = torch.randint(16, (1, 1, 20))
    assert not torch.allclose(codec.decode(codes, torch.tensor([0])), codec.decode(codes, torch.tensor([1])))


def test_jitter_takes_neighbours_with_half_the_probability_each():
    z = torch.arange(1000.0).repeat(50, 1)[:, :, None]
    moved = jitter(z, 0.5, torch.Generator().manual_seed(0)) - z
    assert set(moved.unique().tolist()) == {-1.0, 0.0, 1.0}
    for step in (-1.0, 1.0):  # 50,000 draws: 5 standard deviations are 0.01
        assert (moved == step).float().mean().item() == pytest.approx(0.25, abs=0.01)
    # at an edge the latent stays instead of wrapping round
    assert set(moved[:, 0].unique().tolist()) == {0.0, 1.0}
    assert set(moved[:, -1].unique().tolist()) == {-1.0, 0.0}
    assert torch.equal(jitter(z, 0.0, None), z)


def test_the_objective_is_the_sum_of_its_terms():
    random = np.random.default_rng(0)
    decoded, target = random.normal(size=(2, 4, 80, 32))
    quadratic, entropy = random.uniform(1, 9, size=(2, 4))
    quantized = Quantized(
        torch.empty(4, 16, 64), torch.empty(0), torch.tensor(quadratic), torch.tensor(entropy), torch.tensor(0.0)
    )
    got, of_means = (
        objective(
            torch.tensor(decoded).float(), torch.tensor(target).float(), quantized,
            likelihood=GaussianLikelihood(0.0, "batch"), weighting=weighting,
        )
        for weighting in ("sums", "means")
    )  # fmt: skip
    mse = ((decoded - target) ** 2).mean()
    want = 80 * 32 / 2 * np.log(mse) + quadratic.mean() - entropy.mean()
    assert got.loss.item() == pytest.approx(want, rel=1e-5)  # float32 means of 10,240 squares
    assert got.mse.item() == pytest.approx(mse, rel=1e-5)
    assert of_means.loss.item() == pytest.approx(mse + quadratic.mean() / (16 * 64), rel=1e-5)


def test_padding_changes_no_code():
    # trained statistics of BatchNorm make padding count, were it not masked
    codec = small("quantizer.variance=II")
    codec.train()
    for _ in range(20):
        codec.encoder(torch.rand(8, 80, 42))
    codec.eval()
    lengths = [12, 40, 26]
    rows = [torch.rand(80, length + 2) for length in lengths]
    batch = torch.stack([torch.nn.functional.pad(row, (0, 42 - row.shape[1]), value=0.7) for row in rows])
    frames = torch.tensor(lengths)
    codes = codec.encode(batch, frames)
    speaker = torch.zeros(3, dtype=torch.int64)
    together = codec(batch, speaker, 1.0, frames=frames).quantized
    for index, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        assert torch.equal(codes[index, :, : length // 2], codec.encode(row[None])[0])
        alone = codec(row[None], speaker[:1], 1.0).quantized
        torch.testing.assert_close(together.entropy[index], alone.entropy[0])
        torch.testing.assert_close(together.quadratic[index], alone.quadratic[0])


VQ = "codewords: 16, dim: 4, commitment: 0.25, weighting: sums, initialisation: uniform"


@pytest.mark.parametrize(
    "section",
    [
        *(f"quantizer.variance={variance}" for variance in ("fixed", "I", "II", "III", "IV")),
        "quantizer={kind: vmf, codewords: 16, dim: 4, initial_concentration: 2.0}",
        f"quantizer={{kind: vq, {VQ}}}",
        f"quantizer={{kind: vq-ema, {VQ}, decay: 0.999, epsilon: 1.0e-5, reset_below: 0.1}}",
    ],
)
def test_a_model_file_goes_round_trip(tmp_path, section):
    codec = small(section)
    save_model(tmp_path / "model.safetensors", codec, 7)
    header = read_header(tmp_path / "model.safetensors")
    assert (header.name, header.step, header.speakers) == ("vctk", 7, ("a", "b"))
    assert header.fingerprint == codec.fingerprint
    other = load_model(tmp_path / "model.safetensors")
    assert other.recipe == codec.recipe
    assert not other.training
    features = torch.randn(1, 80, 42)
    codes = codec.encode(features)
    assert torch.equal(other.encode(features), codes)
    speaker = torch.tensor([1])
    assert torch.equal(other.decode(codes, speaker), codec.decode(codes, speaker))
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_classes_go_round_trip_with_the_model(tmp_path):
    classes = MelClasses(lowest=-3, number=20, scale=80.0)
    torch.manual_seed(0)
    recipe = load_recipe("vctk", (*SMALL, "target={kind: mel-classes, likelihood: vmf}"))
    codec = build_codec(recipe, ("a",), classes).eval()
    save_model(tmp_path / "model.safetensors", codec, 7)
    other = load_model(tmp_path / "model.safetensors")
    assert other.classes == classes
    features, speaker = torch.randn(1, 80, 42), torch.tensor([0])
    codes = codec.encode(features)
    decoded = codec.decode(codes, speaker)
    assert decoded.shape == (1, 80, 40)
    assert torch.equal(other.decode(codes, speaker), decoded)


def test_a_model_of_format_1_still_opens(tmp_path):
    codec = small()
    path = tmp_path / "model.safetensors"
    save_model(path, codec, 7)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["sqcodec"])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    del header["recipe"]["target"], header["classes"]  # what came with format 2
    path.write_bytes(save(weights, metadata={"sqcodec": json.dumps(header | {"format": 1})}))
    features = torch.randn(1, 80, 42)
    assert torch.equal(load_model(path).encode(features), codec.encode(features))


def test_the_fingerprint_follows_the_codebook_only():
    codec = small()
    before = codec.fingerprint
    with torch.no_grad():
        codec.decoder.output.bias += 1
    assert codec.fingerprint == before
    with torch.no_grad():
        codec.quantizer.codebook[3, 2] += 1e-6
    assert codec.fingerprint != before
    assert len(before) == 16


def test_broken_model_files_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(ModelError, match=r"no such model file; 'sqcodec train RECIPE' makes one under runs/$"):
        read_header(path)
    path.write_bytes(b"RIFF not a model")
    with pytest.raises(ModelError, match="not a model of sqcodec"):
        load_model(path)
    save_model(path, small(), 1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(ModelError, match="not a model of sqcodec"):
        load_model(path)
    path.write_bytes(whole.replace(b'\\"format\\": 4', b'\\"format\\": 9'))
    with pytest.raises(ModelError, match="model format 9, this sqcodec reads up to 6: install a newer sqcodec"):
        load_model(path)
    codec = small()
    fingerprint = codec.fingerprint.encode()
    path.write_bytes(whole.replace(fingerprint, b"0123456789abcdef"))
    with pytest.raises(ModelError, match="the header names fingerprint 0123456789abcdef, the weights give"):
        load_model(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tree: tree["recipe"]["network"].update(channels=10**7), "RuntimeError"),
        (lambda tree: tree["recipe"]["network"].update(channels=10**30), "|"),
        (lambda tree: tree["recipe"]["network"].update(channels=17), "the weights do not fit the recipe inside"),
        (lambda tree: tree.update(codewords=[float("inf")]), "OverflowError"),
        (lambda tree: tree.update(codewords=[0]), "codebooks of (0,) codewords, expected at most 256 of 1 to 65536"),
        (lambda tree: tree.update(codewords=[8] * 300), "expected at most 256 of 1 to 65536"),
        (lambda tree: tree["recipe"]["features"].update(hop_length=0), "hop_length 0, expected 1 to 1048576"),
        (lambda tree: tree["recipe"]["features"].update(f_max="high"), "f_max 'high', expected 0 to 1048576"),
        (lambda tree: tree["recipe"].update(quantizer=[]), "|"),
        (lambda tree: tree.update(speakers=7), "TypeError"),
    ],
)
def test_headers_that_cannot_be_are_refused(tmp_path, change, reason):
    path = tmp_path / "model.safetensors"
    save_model(path, small(), 1)
    tree, tensors = read_tensors(path, KIND)
    change(tree)
    save_tensors(path, tensors, tree, KIND)
    with pytest.raises(ModelError) as caught:
        load_model(path)
    text = str(caught.value)
    assert reason in text or reason == "|"
    assert text.startswith(f"{path}: ")


def test_weights_that_are_not_finite_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, small(), 1)
    tree, tensors = read_tensors(path, KIND)
    tensors["decoder.output.bias"][1] = float("nan")
    save_tensors(path, tensors, tree, KIND)
    with pytest.raises(ModelError, match="decoder.output.bias holds numbers that are not finite"):
        load_model(path)
