"""Official checkpoints: codes and spectrograms equal an independent float64 implementation's."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from sqcodec.cli.main import main
from sqcodec.model.model_file import load_model
from tests import sony_reference

SPEAKERS = ["V002", "S015", "V001"]
EXTRA = {"I": 0, "III": 1, "IV": 16}


def official(variance, *, channels=24, dim=16, codewords=40, gru=10, speaker_dim=6):
    """A checkpoint as the official training writes it, with random weights and normalisation statistics."""
    random = np.random.default_rng(3)

    def weight(*shape, scale=1.0):
        return torch.tensor(random.normal(size=shape) * scale / np.sqrt(np.prod(shape[1:]) or 1), dtype=torch.float32)

    encoder = {"log_var_q_scalar": torch.tensor([0.3]), "codebook.embedding": weight(codewords, dim, scale=2.0)}
    encoder["jitter.prob"] = torch.tensor(0.5)
    sizes = {0: (80, 3), 3: (channels, 3), 6: (channels, 4), 9: (channels, 3), 12: (channels, 3)}
    for layer, (inputs, kernel) in sizes.items():
        encoder[f"encoder.{layer}.weight"] = weight(channels, inputs, kernel, scale=1.5)
        encoder |= {
            f"encoder.{layer + 1}.weight": 1 + weight(channels, scale=0.2),
            f"encoder.{layer + 1}.bias": weight(channels, scale=0.2),
            f"encoder.{layer + 1}.running_mean": weight(channels, scale=0.2),
            f"encoder.{layer + 1}.running_var": 1 + weight(channels).abs(),
            f"encoder.{layer + 1}.num_batches_tracked": torch.tensor(500000),
        }
    outputs = dim + EXTRA[variance]
    encoder |= {"encoder.15.weight": weight(outputs, channels, 1), "encoder.15.bias": weight(outputs)}
    encoder["encoder.15.weight"][:dim] *= 10  # latents further apart than codewords
    encoder["encoder.15.bias"][:dim] = -10 * encoder["encoder.15.weight"][:dim, :, 0].mean(1)
    decoder = {"speaker_embedding.weight": weight(3, speaker_dim)}
    for layer, inputs in ((0, dim + speaker_dim), (1, 2 * gru)):
        for suffix in (f"l{layer}", f"l{layer}_reverse"):
            decoder |= {
                f"rnn.weight_ih_{suffix}": weight(3 * gru, inputs, scale=2.0),
                f"rnn.weight_hh_{suffix}": weight(3 * gru, gru, scale=2.0),
                f"rnn.bias_ih_{suffix}": weight(3 * gru, scale=0.3),
                f"rnn.bias_hh_{suffix}": weight(3 * gru, scale=0.3),
            }
    decoder |= {"fc.weight": weight(80, 2 * gru), "fc.bias": weight(80)}
    state = {"optimizer": {"state": {}, "param_groups": []}, "amp": {}, "scheduler": {"last_epoch": 3}, "step": 500000}
    return {"encoder": encoder, "decoder": decoder, **state}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "speakers.json").write_text(json.dumps(SPEAKERS))

    def write(checkpoint):
        torch.save(checkpoint, tmp_path / "model.ckpt-500000.pt")
        return tmp_path

    return write


def run(folder, out="out"):
    arguments = ["import-sony", folder / "model.ckpt-500000.pt", "--speakers", folder / "speakers.json", folder / out]
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("variance", ["I", "III", "IV"])
def test_codes_and_spectrograms_are_the_official_ones(files, variance):
    checkpoint = official(variance)
    folder = files(checkpoint)
    done = run(folder)
    assert done.exit_code == 0, done.output
    assert f"variance {variance}, step 500000, 3 speakers" in done.output
    codec = load_model(folder / "out" / "model.safetensors")
    assert codec.speakers == ("S015", "V001", "V002")  # sorted, as the official code numbers them
    weights = {
        name: value.double().numpy() for part in ("encoder", "decoder") for name, value in checkpoint[part].items()
    }
    mels = np.random.default_rng(1).uniform(0, 1, size=(80, 402))
    codes = codec.encode(torch.tensor(mels[None], dtype=torch.float32))
    distance = sony_reference.distances(weights, mels)
    # codes are equal but where float32 cannot tell the two nearest codewords apart (2^-24 of distances below 1000)
    ordered = np.sort(distance, axis=1)
    clear = ordered[:, 1] - ordered[:, 0] > 1e-3
    assert clear.mean() > 0.95
    assert (codes[0, 0].numpy() == distance.argmin(1))[clear].all()
    assert len(codes.unique()) > 5
    decoded = codec.decode(codes, torch.tensor([2]))[0].numpy()
    expected = sony_reference.decode(weights, weights["codebook.embedding"][codes[0, 0].numpy()], 2)
    np.testing.assert_allclose(decoded, expected, atol=1e-5)  # values of order 1 after 400 float32 recurrences


def test_another_number_of_speakers_is_refused(files):
    folder = files(official("IV"))
    (folder / "speakers.json").write_text('["a", "b"]')
    done = run(folder)
    assert (done.exit_code, done.stderr) == (
        1,
        f"Error: {folder}/model.ckpt-500000.pt: the model knows 3 speakers, the list names 2; expected the"
        " speakers.json that the training used\n",
    )
    assert not (folder / "out").exists()


def test_a_file_with_executable_code_is_refused(files, tmp_path):
    folder = files(official("I"))
    trace = tmp_path / "trace"

    class Evil:
        def __reduce__(self):
            return trace.write_text, ("run",)

    torch.save({"encoder": Evil(), "decoder": {}, "step": 1}, folder / "model.ckpt-500000.pt")
    done = run(folder)
    assert done.exit_code == 1
    assert done.stderr.startswith(
        f"Error: {folder}/model.ckpt-500000.pt: refused, reading it would run code that the file brings along, or it is"
    )
    assert not trace.exists()
    assert not (folder / "out").exists()


def test_a_file_that_is_not_a_checkpoint_is_refused(files):
    folder = files({"model": {}, "step": 3})
    text = f"{folder}/model.ckpt-500000.pt: encoder, decoder missing, got model, step; expected a checkpoint of the"
    assert run(folder).stderr == f"Error: {text} official code\n"
    (folder / "model.ckpt-500000.pt").write_bytes(b"RIFF")
    assert run(folder).exit_code == 1
    (folder / "model.ckpt-500000.pt").unlink()
    assert "no such file; expected a checkpoint of the official code" in run(folder).stderr


def test_weights_that_do_not_fit_are_named(files):
    checkpoint = official("IV")
    del checkpoint["encoder"]["encoder.15.bias"]
    folder = files(checkpoint)
    assert run(folder).stderr.endswith("encoder.15.bias missing among the weights of the official networks\n")
    checkpoint = official("IV")
    del checkpoint["decoder"]["fc.bias"]
    assert "the weights do not fit the official networks: " in run(files(checkpoint)).stderr


@pytest.mark.parametrize(
    ("content", "text"),
    [("{}", "got dict, expected a list of speakers' names"), ("nothing", "not a JSON file")],
)
def test_a_wrong_list_of_speakers_is_refused(files, content, text):
    folder = files(official("I"))
    (folder / "speakers.json").write_text(content)
    assert text in run(folder).stderr


def test_a_model_is_not_overwritten(files):
    folder = files(official("I"))
    assert run(folder).exit_code == 0
    assert run(folder).stderr == (
        f"Error: {folder}/out/model.safetensors: there is a model already; choose another folder\n"
    )
