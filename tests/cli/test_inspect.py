"""`sqcodec inspect` and `sqcodec completion`."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import sqcodec
from tests.bitstream.examples import make_codes, make_space
from tests.cli.runner import refused, run
from tests.conftest import make_model


@pytest.fixture
def inspected(workplace: Path) -> Path:
    for name in ("out.sqc", "out.npy"):
        assert run("encode", "in.wav", name, "--speaker", "p226").exit_code == 0
    return workplace


@pytest.mark.parametrize(("name", "form"), [("out.sqc", ".sqc version 1"), ("out.npy", ".npy")])
def test_json_holds_the_fields_of_the_file(inspected: Path, name, form) -> None:
    result = run("inspect", name, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    codes = np.load("out.npy")[0]
    share = np.bincount(codes, minlength=16) / len(codes)
    entropy = -sum(p * np.log2(p) for p in share if p)
    size = Path(name).stat().st_size
    expected = {
        "file": name, "format": form, "size": size, "seconds": 2.5, "samples": 40_000, "sample_rate": 16000,
        "model": "runs/tiny", "speaker": "p226", "codes": 126, "note": "", "tables": False,
    }  # fmt: skip
    assert {key: found[key] for key in expected} == expected
    assert found["nominal_bit_rate"] == 50 * 4
    assert found["entropy_bit_rate"] == pytest.approx(50 * entropy)
    assert found["bit_rate"] == pytest.approx(8 * size / 2.5)
    book = found["books"][0]
    assert (book["codewords"], book["in_use"]) == (16, (share > 0).sum())
    assert book["perplexity"] == pytest.approx(2**entropy)
    assert book["histogram"] == np.bincount(codes, minlength=16).tolist()


def test_text_output(inspected: Path) -> None:
    lines = run("inspect", "out.sqc").stdout.splitlines()
    size = Path("out.sqc").stat().st_size
    fingerprint = json.loads(run("inspect", "out.npy", "--json").stdout)["fingerprint"]
    assert lines[0] == f"out.sqc: .sqc version 1, {size} bytes, header 15, 1 block, fixed width"
    assert lines[1:4] == [
        "  duration   2.50 s, 40000 samples at 16000 Hz",
        f"  model      runs/tiny, fingerprint {fingerprint}",
        "  speaker    p226",
    ]
    assert lines[5].startswith("  bit rate   200 nominal, ")
    assert lines[5].endswith(f", {8 * size / 2.5:.0f} on disk (bit/s)")
    assert lines[-1].startswith("             |")
    assert len(lines[-1]) == 13 + 2 + 16


def test_header_fields_without_the_model(inspected: Path) -> None:
    make_model(Path("runs/tiny/model.safetensors"), seed=1)
    found = json.loads(run("inspect", "out.sqc", "--json").stdout)
    assert (found["model"], found["speaker"], found["books"], found["codes"]) == (None, None, [], 126)
    assert found["note"].startswith("no model of fingerprint ")
    assert "  model      not found, fingerprint " in run("inspect", "out.sqc").stdout
    found = json.loads(run("inspect", "out.npy", "--json").stdout)
    assert found["speaker"] == "p226"  # a .npy holds the name, and its codes can be read without a model
    assert found["entropy_bit_rate"] > 0
    assert refused("inspect", "out.sqc", "--model", "tiny").startswith(
        "Error: runs/tiny/model.safetensors: fingerprint"
    )


def test_several_codebooks_silence_and_bare_arrays(workplace: Path) -> None:
    np.save("bare.npy", np.array([[1, 1, 2], [3, 3, 3]]))
    found = json.loads(run("inspect", "bare.npy", "--json").stdout)
    assert [book["in_use"] for book in found["books"]] == [2, 1]
    assert found["note"] == "a bare array: length and level are assumed"
    from sqcodec.bitstream.sqc import pack

    Path("silent.sqc").write_bytes(pack(make_codes(books=2, gain=0.0), make_space(2)))
    assert "  level      silence" in run("inspect", "silent.sqc").stdout


def test_a_damaged_file_is_an_error(inspected: Path) -> None:
    Path("cut.sqc").write_bytes(Path("out.sqc").read_bytes()[:-1])
    assert refused("inspect", "cut.sqc").startswith("Error: cut.sqc: the checksum does not match")
    assert refused("inspect", "in.wav").startswith("Error: in.wav: got a WAV file")


def test_plot_writes_an_image(inspected: Path) -> None:
    assert run("inspect", "out.sqc", "--plot", "out.png").exit_code == 0
    with Image.open("out.png") as picture:
        assert picture.size == (1100, 300)


def test_a_plot_of_standard_input_is_drawn_from_the_same_bytes(inspected: Path) -> None:
    result = run("inspect", "-", "--plot", "out.png", stdin=Path("out.sqc").read_bytes())
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("standard input: .sqc version")
    assert Path("out.png").is_file()


def test_a_plot_needs_the_model(inspected: Path) -> None:
    Path("runs/tiny/model.safetensors").unlink()
    assert refused("inspect", "out.sqc", "--plot", "out.png").startswith("Error: no model of fingerprint")


def test_neither_torch_nor_the_recipes_are_imported(inspected: Path) -> None:
    """What takes long to import would show in every call; without it one takes about a fifth of a second."""
    program = (
        "import sys; from sqcodec.cli.main import main; main(['inspect', 'out.sqc'], standalone_mode=False);"
        "print({'torch', 'pydantic', 'scipy', 'librosa', 'matplotlib'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\nset()\n")


@pytest.mark.parametrize(("shell", "part"), [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "complete --")])
def test_completion_scripts(shell, part) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0, result.output
    assert "_SQCODEC_COMPLETE" in result.stdout
    assert part in result.stdout


def test_completion_in_a_shell() -> None:
    program = "from sqcodec.cli.main import main; main(prog_name='sqcodec')"
    asked = {"_SQCODEC_COMPLETE": "bash_complete", "COMP_WORDS": "sqcodec enc", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**asked, "PATH": "/usr/bin:/bin"},
    )
    assert done.stdout == "plain,encode\n"


@pytest.mark.ships
def test_the_level_is_left_out_where_the_codes_hold_it(workplace: Path) -> None:
    assert run("encode", "in.wav", "ships.sqc", "--model", "speech16k").exit_code == 0
    assert "level" not in run("inspect", "ships.sqc").stdout
    tree = json.loads(run("inspect", "ships.sqc", "--json").stdout)
    assert (tree["level"], tree["silent"]) == (None, False)


def test_the_level_is_that_of_the_recording(inspected: Path) -> None:
    peak = np.abs(soundfile.read("in.wav")[0]).max()
    found = json.loads(run("inspect", "out.sqc", "--json").stdout)
    assert found["level"] == pytest.approx(20 * np.log10(peak), abs=0.5)  # resampling moves the peak
    assert f"  level      {found['level']:.1f} dB" in run("inspect", "out.sqc").stdout


@pytest.mark.ships
def test_a_codebook_that_no_frame_uses_is_empty(workplace: Path) -> None:
    import sqcodec

    codec = sqcodec.load()
    codes = codec.encode(np.zeros(16000, np.float32), 16000, codebooks=4)
    stages = np.full(codes.indices.shape[1], 2, np.uint8)
    indices = np.where(np.arange(4)[:, None] < 2, codes.indices, 0)
    unused = replace(codes, indices=indices, stages=stages)
    Path("unused.sqc").write_bytes(codec.pack(unused))
    text = run("inspect", "unused.sqc", "--plot", "unused.png")
    assert text.exit_code == 0, text.output
    assert "  codebook 3 0 of 256 codewords in use, perplexity 0.0\n" in text.stdout
    figure = sqcodec.plot({"": unused})
    assert np.ma.count(figure.axes[0].images[0].get_array()) == 2 * codes.indices.shape[1]
    assert Path("unused.png").is_file()


def test_a_message_says_nothing_of_itself(workplace: Path) -> None:
    Path("m.bin").write_bytes(bytes(range(40)))
    assert refused("inspect", "m.bin") == (
        "Error: m.bin: a message (.bin) names neither model nor length, so there is nothing to inspect; 'sqcodec"
        " decode' reads it\n"
    )


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "sqcodec", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"sqcodec {sqcodec.__version__}\n"
