"""Official checkpoints: codes and spectrograms equal an independent float64 implementation's."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from sqcodec.cli.main import main
from sqcodec.model.model_file import load_model
from tests import sony_reference

SPEAKERS = ["V002", "S015", "V001"]
EXTRA = {"I": 0, "III": 1, "IV": 16}


class Book(nn.Module):
    def __init__(self, codewords, dim):
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(codewords, dim))


class Jitter(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.register_buffer("prob", torch.tensor([p / 2, 1 - p, p / 2]))


class Encoder(nn.Module):
    """Registers what the official encoder registers, in its order."""

    def __init__(self, channels, outputs, codewords, dim, jitter):
        super().__init__()
        layers = []
        for inputs, kernel in ((80, 3), (channels, 3), (channels, 4), (channels, 3), (channels, 3)):
            layers += [nn.Conv1d(inputs, channels, kernel, bias=False), nn.BatchNorm1d(channels), nn.ReLU()]
        self.encoder = nn.Sequential(*layers, nn.Conv1d(channels, outputs, 1))
        self.log_var_q_scalar = nn.Parameter(torch.tensor([0.3]))
        self.codebook = Book(codewords, dim)
        self.jitter = Jitter(jitter)


class Decoder(nn.Module):
    """As `Encoder`, for the official decoder."""

    def __init__(self, dim, speakers, speaker_dim, gru):
        super().__init__()
        self.speaker_embedding = nn.Embedding(speakers, speaker_dim)
        self.rnn = nn.GRU(dim + speaker_dim, gru, num_layers=2, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * gru, 80)


def official(variance, *, channels=24, dim=16, codewords=40, gru=10, speaker_dim=6, jitter=0.5):
    """A checkpoint as the official training writes it, with random weights and normalisation statistics."""
    torch.manual_seed(3)
    encoder = Encoder(channels, dim + EXTRA[variance], codewords, dim, jitter)
    decoder = Decoder(dim, 3, speaker_dim, gru)
    with torch.no_grad():
        for module in encoder.encoder:
            if isinstance(module, nn.BatchNorm1d):
                for values, mean in ((module.weight, 1), (module.bias, 0), (module.running_mean, 0)):
                    values.normal_(mean, 0.2)
                module.running_var.normal_().abs_().add_(1)
                module.num_batches_tracked.fill_(500_000)
            elif isinstance(module, nn.Conv1d):
                module.weight.normal_(0, 1.5 / module.weight[0].numel() ** 0.5)
        last = encoder.encoder[15]
        spread = encoder.eval().encoder(torch.rand(1, 80, 402))[0, :dim].std(1).mean()
        last.weight[:dim] *= 2 / spread  # latents as far apart as codewords
        last.bias[:dim] -= encoder.encoder(torch.rand(1, 80, 402))[0, :dim].mean(1)
        for name, values in decoder.rnn.named_parameters():
            values.normal_(0, 2 / values.shape[1] ** 0.5 if "weight" in name else 0.3)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=4e-4)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[300_000, 400_000], gamma=0.5)
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    scheduler.step()
    scalers = {"loss_scaler0": {"loss_scale": 65536.0, "unskipped": 12}}
    parts = {"encoder": encoder, "decoder": decoder, "optimizer": optimizer, "scheduler": scheduler}
    return {name: part.state_dict() for name, part in parts.items()} | {"amp": scalers, "step": 500_000}


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


@pytest.mark.parametrize("jitter", [0.0, 0.12, 0.5])
def test_every_weight_and_buffer_is_used(files, jitter):
    checkpoint = official("I", jitter=jitter)
    encoder = {name.rpartition(".")[0].partition(".")[0] for name in checkpoint["encoder"]}
    assert encoder == {"encoder", "", "codebook", "jitter"}
    folder = files(checkpoint)
    assert run(folder).exit_code == 0
    assert load_model(folder / "out" / "model.safetensors").recipe.network.jitter == jitter
    checkpoint["encoder"]["jitter.prob"] = torch.tensor(0.5)
    done = run(files(checkpoint), out="other")
    assert done.stderr.endswith(
        ": jitter.prob with three probabilities missing among the weights of the official networks\n"
    )


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
        f"Error: {folder}/model.ckpt-500000.pt: refused (it is no file of torch.save, or holds more than tensors and"
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


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda tree: tree.update(encoder=[1]), "'encoder' holds no finite weights by name"),
        (lambda tree: tree.update(decoder={"fc.bias": 1.0}), "'decoder' holds no finite weights by name"),
        (lambda tree: tree["decoder"]["fc.bias"].fill_(torch.nan), "'decoder' holds no finite weights by name"),
        (lambda tree: tree.update(step="many"), "got step 'many', expected a number of steps"),
        (lambda tree: tree["encoder"].update({"codebook.embedding": torch.zeros(3)}), "codebook.embedding with"),
    ],
)
def test_what_cannot_be_weights_is_refused(files, change, text):
    checkpoint = official("I")
    change(checkpoint)
    folder = files(checkpoint)
    done = run(folder)
    assert done.exit_code == 1
    assert text in done.stderr
    assert "bug" not in done.stderr
    assert not (folder / "out").exists()


def test_a_speaker_is_named_once(files):
    folder = files(official("I"))
    (folder / "speakers.json").write_text(json.dumps(["V001", "V001", "V002"]))
    assert "speakers.json: names 'V001' twice, expected each speaker once" in run(folder).stderr
