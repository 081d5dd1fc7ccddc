"""`sqcodec submit`, `abx` and `bitrate`: a whole submission, its check, its figures."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from sqcodec.cli.main import main
from sqcodec.corpus.abx_task import Item
from sqcodec.metrics.distance import KINDS
from sqcodec.pipeline.coding.codec import open_codec
from sqcodec.pipeline.measuring import units
from sqcodec.pipeline.measuring.units import cut
from tests.cli.runner import refused, run
from tests.conftest import make_model, speech_like

SPEECH = Path(__file__).resolve().parents[2] / "recipes" / "tiny" / "speech"
HEAD = "#file onset offset #phone prev-phone next-phone speaker\n"


@pytest.fixture
def challenge(workplace: Path) -> Path:
    """english/ with four test files, the shortest of 0.09 s, and a model that knows the target voices."""
    make_model(workplace / "runs" / "tiny" / "model.safetensors", speakers=("V001", "V002"))
    test = workplace / "2019" / "english" / "test"
    test.mkdir(parents=True)
    for name, seconds in (("S1_01", 0.09), ("S1_02", 0.3), ("S2_03", 1.5), ("S2_04", 2.0)):
        soundfile.write(test / f"{name}.wav", speech_like(round(16000 * seconds), seed=len(name)), 16000)
    return workplace


@pytest.fixture
def submission(challenge: Path) -> Path:
    result = run("submit", "zerospeech2019", "tiny", "--data", "2019", "--out", "sub")
    assert result.exit_code == 0, result.output
    return challenge


def test_a_whole_submission(challenge: Path) -> None:
    result = run("submit", "zerospeech2019", "tiny", "--data", "2019", "--out", "sub", "--author", "A. Nobody")
    assert result.exit_code == 0, result.output
    assert result.stdout == "sub: vectors of 4 files, 2 synthesised\n"
    assert result.stderr == (
        "english: no synthesis.txt: the 2 test files of a second or more, voices in turn\n"
        "surprise: not in 2019, left out; the challenge wants it\n"
    )
    written = {path.relative_to("sub").as_posix() for path in Path("sub").rglob("*") if path.is_file()}
    names = ("S1_01.txt", "S1_02.txt", "S2_03.txt", "S2_04.txt", "V001_03.wav", "V002_04.wav")
    assert written == {"metadata.yaml", "2019/metadata.yaml", *(f"2019/english/test/{name}" for name in names)}
    assert yaml.safe_load(Path("sub/metadata.yaml").read_text()) == {
        "author": "A. Nobody", "affiliation": "none", "open source": False,
    }  # fmt: skip
    assert soundfile.info("sub/2019/english/test/V001_03.wav").frames == 24_000


def test_lines_are_codewords_and_equal_codes_print_equally(submission: Path) -> None:
    codec = open_codec(Path("runs/tiny/model.safetensors"), "cpu")
    for path in sorted(Path("2019/english/test").glob("*.wav")):
        codes = codec.encode(soundfile.read(path, dtype="float32")[0], 16000).indices[0]
        lines = (Path("sub/2019/english/test") / f"{path.stem}.txt").read_text().splitlines()
        assert len(lines) == len(codes)
        expected = codec.model.quantizer.codebook.detach().double().numpy()[codes]
        got = np.array([[float(number) for number in line.split(" ")] for line in lines])
        assert got == pytest.approx(expected, abs=5e-17 + 1e-16)  # 16 decimals
        assert len(set(zip(lines, codes.tolist(), strict=True))) == len(set(lines)) == len(set(codes.tolist()))


def test_the_synthesis_list_is_followed(challenge: Path) -> None:
    Path("2019/english/synthesis.txt").write_text("test/S2_03 V002\nS2_03.wav V001\n")
    result = run("submit", "zerospeech2019", "tiny", "--data", "2019", "--out", "sub")
    assert result.stdout == "sub: vectors of 4 files, 2 synthesised\n"
    assert {path.name for path in Path("sub").rglob("*.wav")} == {"V001_03.wav", "V002_03.wav"}
    first, second = (Path(f"sub/2019/english/test/V00{n}_03.wav").read_bytes() for n in (1, 2))
    assert first != second
    Path("list.txt").write_text("S2_99 V002\n")
    result = run("submit", "zerospeech2019", "tiny", "--data", "2019", "--out", "s2", "--synthesis", "list.txt")
    assert result.stderr == "Error: list.txt, line 1: got 'S2_99 V002', expected a test file and a voice\n"
    assert not Path("s2").exists()
    assert not list(Path().glob(".s2*"))


def test_a_speaker_that_the_model_lacks_is_reported(challenge: Path) -> None:
    make_model(Path("runs/other/model.safetensors"), seed=1)
    result = run("submit", "zerospeech2019", "other", "--data", "2019/english", "--out", "sub")
    assert result.exit_code == 0, result.output
    assert "V002: unknown to the model; the nearest speaker that it knows is used\n" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("--data runs --out s", "runs: got no ZeroSpeech 2019 recordings, expected english/ with train/unit/"),
        ("--data 2019 --out 2019", "2019: exists already, expected a new folder; remove it or choose another name"),
    ],
)
def test_submit_refuses(challenge: Path, arguments, text) -> None:
    result = run("submit", "zerospeech2019", "tiny", *arguments.split())
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {text}")


def test_wrong_usage_exits_with_2(challenge: Path) -> None:
    result = run("submit", "zerospeech2019", "tiny", "--data", "2019")
    assert result.exit_code == 2
    assert "Error: expected zerospeech2019 MODEL --data DIR --out DIR, or --check DIR" in result.stderr
    assert run("submit", "zerospeech2020", "tiny").exit_code == 2
    assert run("abx").exit_code == 2
    for both in (("abx", "x.item"), ("abx", "x.item", "units", "--data", "2019")):
        result = run(*both)
        assert result.exit_code == 2
        assert "give FEATURES, or recordings for a model with --data DIR, one of them." in result.stderr
    for both in (("bitrate", "units"), ("bitrate", "units", "--data", "2019", "--list", "list.txt")):
        result = run(*both)
        assert result.exit_code == 2
        assert "give durations: --data DIR or --list FILE, one of them." in result.stderr


def test_check_accepts_a_submission_except_the_missing_language(submission: Path) -> None:
    result = run("submit", "--check", "sub", "--data", "2019")
    assert (result.exit_code, result.stdout) == (1, "2019/surprise/test: missing\nsub: 1 problems\n")
    Path("sub/2019/surprise").symlink_to("english")
    result = run("submit", "--check", "sub")
    assert (result.exit_code, result.stdout) == (0, "sub: a valid submission\n")


def test_check_reports_each_problem(submission: Path) -> None:
    Path("sub/2019/surprise").symlink_to("english")
    Path("sub/metadata.yaml").write_text("author: 3\naffiliation: x\nopen source: true\n")
    Path("sub/2019/metadata.yaml").write_text(
        "abx distance: far\nsystem description: x\nusing parallel train: no\nusing external data: no\n"
    )
    test = Path("sub/2019/english/test")
    (test / "S1_01.txt").unlink()
    (test / "S1_02.txt").write_text("1 2\n1 2 3\n")
    (test / "S2_03.txt").write_text("1 2\n")
    (test / "V001_03.wav").write_bytes(b"no")
    result = run("submit", "--check", "sub", "--data", "2019")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert "metadata.yaml: 'author': got 3, expected text" in lines
    assert "2019/code: missing, but metadata.yaml says open source" in lines
    assert "2019/metadata.yaml: 'abx distance': got 'far', expected one of dtw_cosine, dtw_kl, levenshtein" in lines
    assert "2019/english/test: 1 of 4 test files have no .txt (the first: S1_01)" in lines
    assert any(line.startswith("2019/english/test/S1_02.txt: cannot be read (") for line in lines)
    assert "2019/english/test: got vectors of [2, 4] numbers, expected one size of 2 or more in all files" in lines
    assert "2019/english/test/V001_03.wav: not a WAV" in lines


def test_bit_rates_side_by_side(submission: Path) -> None:
    result = run("bitrate", "sub/2019/english/test", "--data", "2019/english/test")
    assert result.exit_code == 0, result.output
    first, *rates = result.stdout.splitlines()
    assert re.fullmatch(r"\d+ vectors, \d+ distinct, in 3\.9 s", first)
    assert [line[:24].strip() for line in rates] == [
        "challenge's formula",
        "adaptive frequencies",
        "fixed width",
    ]
    board = run("bitrate", "sub/2019/english/test", "--data", "2019/english/test", "--leaderboard").stdout
    assert board.startswith(result.stdout)
    assert "this result" in board.removeprefix(result.stdout)
    Path("list.txt").write_text("S2_03.txt 1.5\ntest/S2_04 2.0\n")
    tree = json.loads(run("bitrate", "sub/2019/english/test", "--list", "list.txt", "--json").stdout)
    assert (tree["seconds"], tree["vectors"]) == (3.5, 76 + 101)  # ceil of half the frames: 151 and 201
    Path("list.txt").write_text("S2_99.txt 1.5\n")
    result = run("bitrate", "sub/2019/english/test", "--list", "list.txt")
    assert (result.exit_code, result.stderr) == (
        1, "Error: sub/2019/english/test: got no S2_99.txt or S2_99.npy, expected one for each file of the task\n"
    )  # fmt: skip


@pytest.mark.slow
def test_abx_of_vector_files(challenge: Path) -> None:
    said = {"a": [1.0, 0.0], "e": [0.0, 1.0]}
    lines = []
    Path("units").mkdir()
    for number, (phone, speaker) in enumerate((("a", "s"), ("e", "s"), ("a", "t"), ("e", "t"))):
        np.save(f"units/{number}.npy", np.array([said[phone]] * 5))
        lines.append(f"{number} 0.0 0.1 {phone} k t {speaker}")
    Path("x.item").write_text(HEAD + "\n".join(lines))
    result = run("abx", "x.item", "units")
    assert result.exit_code == 0, result.output
    assert result.stdout == "ABX error 0.00 % [0.00, 0.00] (cosine), 2 phone pairs, 4 cells, 4 triples\n"
    result = run("abx", "x.item", "units", "--leaderboard")
    assert result.stdout.splitlines()[2].split()[:3] == ["->", "this", "result"]
    assert json.loads(run("abx", "x.item", "units", "--json").stdout)["triples"] == 4
    result = run("abx", "x.item")
    assert result.exit_code == 2
    assert "Error: give FEATURES, or recordings for a model with --data DIR, one of them." in result.stderr


@pytest.mark.slow
def test_the_example_runs_on_the_speech_that_ships(workplace: Path) -> None:
    result = run("abx", SPEECH / "phones.item", "--model", "tiny", "--data", SPEECH)
    assert result.exit_code == 0, result.output
    pattern = r"ABX error ([\d.]+) % \[.*\] \(cosine\), (\d+) phone pairs, (\d+) cells, \d+ triples\n"
    found = re.fullmatch(pattern, result.stdout)
    assert found
    assert 20 < float(found[1]) < 70  # the model was never trained
    assert (int(found[2]), int(found[3])) == (75, 133)


@pytest.mark.parametrize(
    ("onset", "offset", "expected"),
    # centres at 0.01, 0.03, 0.05, 0.07, 0.09 s
    [
        (0.0, 0.1, [0, 1, 2, 3, 4]),
        (0.02, 0.06, [1, 2]),
        (0.03, 0.05, [1, 2]),
        (0.056, 0.068, [3]),
        (0.5, 0.6, [4]),
        (0.0, 0.005, [0]),
    ],
)
def test_items_are_cut_by_the_centres_of_frames(onset, offset, expected) -> None:
    vectors = np.arange(5.0)[:, None]
    assert cut(vectors, Item("f", onset, offset), 50.0)[:, 0].tolist() == expected


def test_the_distances_are_those_of_the_metric() -> None:
    option = next(parameter for parameter in main.get_command(None, "abx").params if parameter.name == "distance")
    assert tuple(option.type.choices) == KINDS


@pytest.mark.parametrize("command", ["submit", "abx", "bitrate"])
def test_help_has_an_example(command) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Example: sqcodec {command} " in result.stdout


def test_units_are_found_by_their_folders_too(challenge: Path) -> None:
    """Names are often numbers that each speaker's folder has again."""
    for speaker in ("s1", "s2"):
        for folder in ("units", "sounds"):
            Path(folder, speaker).mkdir(parents=True)
        np.save(f"units/{speaker}/001.npy", np.eye(100)[:, :4])
        soundfile.write(f"sounds/{speaker}/001.wav", speech_like(32_000), 16000)
    done = run("bitrate", "units", "--data", "sounds")
    assert done.exit_code == 0, done.output
    assert "200 vectors" in done.stdout
    assert "4.0 s" in done.stdout
    for name in ("s3/001", "001"):  # another speaker's; both speakers'
        lines = [f"{name} 0.0 0.1 {phone} k t {speaker}\n" for speaker in "st" for phone in "ae"]
        Path("x.item").write_text(HEAD + "".join(lines))
        assert refused("abx", "x.item", "units").startswith(f"Error: units: got no {name}.txt or {name}.npy")
    found = units._Folder(Path("units"), units.find_vectors(Path("units")))
    assert found.find("corpus/s1/001") == found.find("s1/001") == Path("units/s1/001.npy")
    Path("units/s1/001.txt").write_text("1 0 0 0\n")
    assert "has the same name as units/s1/001.npy" in refused("bitrate", "units", "--data", "sounds")
    Path("units/s1/001.txt").unlink()
    Path("units/s1/001.npy").rename("units/001.npy")
    Path("units/s2/001.npy").unlink()
    text = refused("bitrate", "units", "--data", "sounds")
    assert text.startswith("Error: units/001.npy: of sounds/s1/001.wav or of sounds/s2/001.wav; name it as the")


@pytest.mark.parametrize(("seconds", "text"), [("nan", "got nan s"), ("-3", "got -3 s"), ("0", "got 0 s")])
def test_lengths_that_cannot_be_are_refused(challenge: Path, seconds, text) -> None:
    Path("units").mkdir()
    np.save("units/001.npy", np.eye(5))
    Path("list").write_text(f"001 {seconds}\n")
    assert text in refused("bitrate", "units", "--list", "list")


def test_codes_are_no_vectors(challenge: Path) -> None:
    """[K, T] would be read as K vectors of T numbers."""
    Path("units").mkdir()
    assert run("encode", "2019/english/test/S1_01.wav", "units/S1_01.npy", "--model", "tiny").exit_code == 0
    assert "more behind the array, as in codes of" in refused("bitrate", "units", "--data", "2019/english/test")


def test_two_sounds_of_one_name_are_refused(challenge: Path) -> None:
    Path("2019/english/test/S2_03.wav").rename("2019/english/test/S9_04.wav")
    Path("2019/english/synthesis.txt").write_text("test/S2_04 V002\ntest/S9_04 V002\n")
    text = refused("submit", "zerospeech2019", "tiny", "--data", "2019", "--out", "sub")
    assert "another test file, too, would become V002_04.wav" in text
    assert not Path("sub").exists()
