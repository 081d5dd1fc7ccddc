"""`sqcodec models`, and what ships in use: codec and vocoder, without a model of one's own."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from sqcodec.cli.main import main
from sqcodec.model.model_file import add_context
from sqcodec.pipeline.finding.models import SHIPPED  # as it is, before any fixture
from sqcodec.pipeline.measuring import complexity_card
from sqcodec.pipeline.measuring.start import Start
from tests.bitstream.examples import make_context
from tests.conftest import copy_model, speech_like

pytestmark = pytest.mark.ships


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with in.wav (2.5 s), no run and no SQCODEC_MODEL."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SQCODEC_MODEL", raising=False)
    soundfile.write("in.wav", speech_like(40_001), 16000)
    return tmp_path


def run(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, [*words], prog_name="sqcodec")
    assert done.exit_code == code, done.output
    return done.stdout if not code else done.stderr


def test_models_lists_what_ships() -> None:
    line, older, live, chosen = run("models").splitlines()
    assert chosen == "encode uses model speech16k, which ships"
    assert line.startswith("* speech16k: 400 to 4000 bit/s (1600 by default), look-ahead 80 ms, log-mel, ")
    assert older.startswith("  speech16k-1: 400 to 3200 bit/s (1600 by default), look-ahead 80 ms, log-mel, ")
    assert live.startswith("  speech16k-live: 400 to 4000 bit/s (1600 by default), look-ahead 60 ms, log-mel, ")
    assert line.rpartition(" ")[2] == live.rpartition(" ")[2]  # one fingerprint: the codes are the same
    ships = {"speech16k": 10, "speech16k-1": 8, "speech16k-live": 10}
    for entry, (name, most) in zip(json.loads(run("models", "--json")), ships.items(), strict=True):
        assert entry["bit_rates"] == [400 * books for books in range(1, most + 1)]
        assert Path(entry["path"]) == SHIPPED / name / "model.safetensors"


def test_models_marks_the_one_that_encode_uses(folder: Path, made_model: Path) -> None:
    copy_model(made_model, Path("runs/mine/model.safetensors"))
    ships, _, _, mine, chosen = run("models").splitlines()
    assert ships.startswith("  speech16k: 400 to 4000 bit/s")
    assert mine.startswith("* runs/mine: 200 bit/s (200 by default), look-ahead whole recording, paper-mel, ")
    assert chosen == "encode uses model runs/mine, trained here; --model speech16k is the one that ships"
    assert [entry["used"] for entry in json.loads(run("models", "--json"))] == [False, False, False, True]
    assert chosen.removeprefix("encode uses ") in run("encode", "in.wav", "codes.sqc")
    assert "model runs/mine\n" in run("decode", "codes.sqc", "out.wav")
    assert "model speech16k\n" in run("encode", "in.wav", "codes.sqc", "--model", "speech16k")


def test_models_says_where_one_codebook_has_lower_rates(folder: Path, made_model: Path) -> None:
    path = copy_model(made_model, Path("runs/mine/model.safetensors"))
    context = make_context(1, 16, dim=4)
    add_context(path, path, context.arrays, context.digest)
    assert run("models").splitlines()[3].startswith("* runs/mine: up to 200 bit/s (200 by default), look-ahead whole")
    assert [entry["true_rates"] for entry in json.loads(run("models", "--json"))] == [True, True, True, True]


def test_a_model_card_names_data_licence_figures_and_limits() -> None:
    card = run("models", "speech16k")
    for word in ("LibriSpeech", "speechocean762", "VCTK", "CC BY 4.0", "Apache-2.0", "public domain", "PESQ", "Limits"):
        assert word in card, word


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that is not measured: tests/pipeline/measuring/test_start.py does."""
    monkeypatch.setattr(complexity_card, "measure_start", lambda _: Start(0.25, 0.5, 100_000_000, "a machine"))


def test_a_complexity_card_has_layers_sides_look_ahead_memory_and_start(no_process: None) -> None:
    lines = run("models", "speech16k", "--complexity").splitlines()
    assert lines[0] == "speech16k, 4 codebooks (nominal 1600 bit/s), with the vocoder speech16k/vocoder"
    rows = {line[:32].strip(): line[32:].split() for line in lines[2:23]}
    assert rows["search: codewords"] == ["163,840", "10.6"]
    assert rows["sending"] == ["3,438,912", "177.2"]
    assert rows["refinement: 6 iterations"] == ["0", "50.1"]
    # docs/live.md has the same without the refinement, by `python -m benchmarks needs`: 469.7
    assert rows["receiving"] == ["5,926,178", "519.8"]
    assert rows["together"] == ["9,365,090", "697.1"]
    assert "1                    400           0.167             0.470" in lines
    assert "6                   2400           0.184             0.536" in lines
    assert "Look-ahead: 180 ms: packet 40, features 20, encoder 20, decoder 40, vocoder 40, inverse STFT 20." in lines
    assert "Memory: weights 37.5 MB as float32, a process that codes 1 s has 100 MB at most." in lines
    assert any(
        line.startswith("Start: 0.25 s until the model and its vocoder are ready, 0.50 s until") for line in lines
    )


def test_a_complexity_card_as_json(no_process: None) -> None:
    tree = json.loads(run("models", "speech16k", "--complexity", "--json"))
    assert tree["macs"]["sending"] == sum(layer["macs"] for layer in tree["layers"] if layer["side"] == "sending")
    assert tree["lookahead_ms"]["together"] == 180
    assert [each["codebooks"] for each in tree["by_codebooks"]] == [*range(1, 11)]
    assert tree["measured"]["ready_seconds"] == 0.25


def test_a_complexity_card_of_a_run(folder: Path, made_model: Path, no_process: None) -> None:
    copy_model(made_model, Path("runs/mine/model.safetensors"))
    text = run("models", "--complexity")  # the starred one
    assert text.startswith("runs/mine, 1 codebook (nominal 200 bit/s), with the vocoder griffin-lim\n")
    assert "decoder: recurrent layers" in text
    assert "Look-ahead: no limit, paper-mel features need the loudest sample of the whole recording.\n" in text
    assert "codebooks  nominal" not in text


def test_an_unknown_model_has_no_complexity_card(folder: Path) -> None:
    assert run("models", "speech48k", "--complexity", code=1).startswith("Error: model 'speech48k': no such file, none")


def test_an_unknown_model_is_an_error_that_lists_the_known() -> None:
    assert run("models", "speech48k", code=1) == (
        "Error: model 'speech48k': no model of this name ships; expected one of: speech16k, speech16k-1,"
        " speech16k-live\n"
    )


@pytest.mark.slow
def test_shipped_models_have_at_most_40_megabytes_in_the_wheel_and_60_in_all() -> None:
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    assert 1e6 < sum(path.stat().st_size for path in files) <= 60e6
    carried = [path for path in files if "speech16k-1" not in path.parts]  # in the wheel, which is compressed
    assert sum(len(zlib.compress(path.read_bytes())) for path in carried) <= 40e6


@pytest.mark.parametrize("suffix", ["npy", "sqc"])
def test_encode_and_decode_without_options(folder: Path, suffix: str) -> None:
    told = run("encode", "in.wav", f"codes.{suffix}")
    assert "(nominal 1600), model speech16k, which ships" in told
    assert "speaker" not in told
    told = run("decode", f"codes.{suffix}", "out.wav")
    assert "speaker" not in told
    sound, rate = soundfile.read("out.wav", dtype="float32")
    assert (len(sound), rate) == (40_001, 16000)
    natural = speech_like(40_001)
    assert np.std(sound) == pytest.approx(np.std(natural), rel=0.5)  # loudness is kept: within 4 dB on a buzzing tone
    codes = np.load("codes.npy", allow_pickle=False) if suffix == "npy" else None
    assert codes is None or codes.shape == (4, 126)


@pytest.mark.parametrize(("rate", "books"), [(400, 1), (800, 2), (1600, 4), (3200, 8)])
def test_bit_rates_of_one_model(folder: Path, rate: int, books: int) -> None:
    run("encode", "in.wav", "codes.npy", "--bitrate", str(rate))
    assert np.load("codes.npy", allow_pickle=False).shape == (books, 126)
    run("decode", "codes.npy", "out.wav")
    assert soundfile.info("out.wav").frames == 40_001


def test_a_bit_rate_below_the_lowest_is_refused(folder: Path) -> None:
    text = run("encode", "in.wav", "codes.npy", "--bitrate", "300", code=1)
    assert text == "Error: --bitrate 300: the lowest of speech16k is 400 bit/s\n"


def test_a_speaker_is_refused_by_a_speaker_independent_model(folder: Path) -> None:
    text = run("encode", "in.wav", "codes.npy", "--speaker", "p225", code=1)
    assert text.startswith("Error: speaker 'p225': the model ")
    assert "takes any speaker and knows no names" in text
    assert not Path("codes.npy").exists()


def test_silence_decodes_to_silence(folder: Path) -> None:
    soundfile.write("silence.wav", np.zeros(8000, np.float32), 16000)
    run("encode", "silence.wav", "codes.sqc")
    run("decode", "codes.sqc", "out.wav")
    assert not soundfile.read("out.wav")[0].any()


def test_a_run_of_the_same_name_does_not_hide_what_ships(folder: Path) -> None:
    copy_model(SHIPPED / "speech16k-1" / "model.safetensors", folder / "runs" / "speech16k" / "model.safetensors")
    for name, model in (("speech16k", "speech16k"), ("runs/speech16k", "runs/speech16k")):
        done = CliRunner().invoke(main, ["encode", "in.wav", "out.sqc", "--model", name])
        assert f", model {model}\n" in done.stdout


def test_a_model_that_was_trained_here_has_no_card(folder: Path) -> None:
    copy_model(SHIPPED / "speech16k-1" / "model.safetensors", folder / "runs" / "mine" / "model.safetensors")
    for name in ("mine", "runs/mine", str(folder / "runs" / "mine")):
        done = CliRunner().invoke(main, ["models", name])
        assert done.exit_code == 1
        assert done.stderr.startswith(f"Error: model '{name}': was trained here and has no model card")
        (row,) = json.loads(run("models", name, "--json"))
        assert row["path"].endswith("runs/mine/model.safetensors")
        assert (row["card"], row["bit_rates"][0]) == ("", 400)
