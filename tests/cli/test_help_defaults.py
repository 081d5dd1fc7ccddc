"""Each default that a help text states is what happens without the option. What ships is in place."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click
import pytest
import soundfile
from click.testing import Result

from sqcodec.cli.main import COMMANDS, main
from sqcodec.processors import usable_processors
from tests.cli.runner import run
from tests.cli.test_prior import SMALL as PRIOR
from tests.conftest import copy_model, speech_like
from tests.train.conftest import SMALL

pytestmark = pytest.mark.ships

SPEECH = Path(__file__).parents[2] / "recipes" / "tiny" / "speech"
STATED = re.compile(r"\[default: (.*?)\]")
SHORT = (*SMALL, "train.frames=32", "train.milestones=[]", "train.steps=4", "train.save_every=4",
         "train.evaluate_every=4")  # fmt: skip
SETS = " ".join(f"--set {text.replace(' ', '')}" for text in (*SHORT, *(f"prior.{text}" for text in PRIOR)))
EVALUATE = "evaluate speech16k --data in --out o --listen 0 --no-align"
SUBMIT = "submit zerospeech2019 tiny --data 2019 --out o"
TRAIN = f"train tiny {SETS}"
COMPARE = f"compare tiny --target mel-classes --seeds 0 {SETS}"
STDOUT = "-"


class Row(NamedTuple):
    """A fixture, a command without the option, the option with the default that its help states (`{nearest}` and the
    like: as `Values` has it), and what both write: a file, a folder, or STDOUT."""

    folder: str
    words: str
    stated: str
    written: str


SAME = {
    ("encode", "--model"): Row("ships", "encode in.wav o.sqc", "--model speech16k", "o.sqc"),
    ("encode", "--speaker"): Row("speakers", "encode in.wav o.sqc", "--speaker {nearest}", "o.sqc"),
    ("encode", "--format"): Row("ships", "encode in.wav o.sqc", "--format sqc", "o.sqc"),
    ("encode", "--dtype"): Row("ships", "encode in.wav o.npy", "--dtype uint16", "o.npy"),
    ("encode", "--codebooks"): Row("ships", "encode in.wav o.sqc", "--codebooks 4", "o.sqc"),
    ("encode", "--effort"): Row("ships", "encode in.wav o.sqc --bitrate 900", "--effort 1", "o.sqc"),
    ("encode", "--coder"): Row("ships", "encode in.wav o.sqc", "--coder context", "o.sqc"),
    ("encode", "--max-bytes"): Row("ships", "encode in.wav o.bin", "--max-bytes 230", "o.bin"),
    ("encode", "--block"): Row("ships", "encode in.wav o.sqc", "--block 10", "o.sqc"),
    ("decode", "--model"): Row("ships", "decode in.sqc o.wav", "--model speech16k", "o.wav"),
    ("decode", "--speaker"): Row("speakers", "decode in.sqc o.wav", "--speaker p226", "o.wav"),
    ("decode", "--vocoder"): Row("ships", "decode in.sqc o.wav", "--vocoder istft", "o.wav"),
    ("decode", "--rate"): Row("ships", "decode in.sqc o.wav", "--rate 16000", "o.wav"),
    ("decode", "--duration"): Row("ships", "decode in.sqc o.wav", "--duration 1", "o.wav"),
    ("vocode", "--vocoder"): Row("ships", "vocode in.wav o.wav", "--vocoder istft", "o.wav"),
    ("vocode", "--features"): Row("ships", "vocode in.wav o.wav", "--features log-mel", "o.wav"),
    ("export", "--model"): Row("speakers", "export in o", "--model {starred}", "o/codes-00000.jsonl.gz"),
    ("export", "--speaker"): Row("speakers", "export in o", "--speaker {nearest}", "o/codes-00000.jsonl.gz"),
    ("export", "--codebooks"): Row("ships", "export in o", "--codebooks 4", "o/codes-00000.jsonl.gz"),
    ("export", "--bitrate"): Row("ships", "export in o", "--bitrate 1600", "o/codes-00000.jsonl.gz"),
    ("inspect", "--model"): Row("ships", "inspect in.sqc", "--model speech16k", STDOUT),
    ("generate", "--model"): Row("trained", "generate o --number 1 --seconds 0.5", "--model {starred}", "o"),
    ("generate", "--speaker"): Row(
        "trained", "generate o --number 1 --seconds 0.5 --prompt in.wav", "--speaker {nearest}", "o"
    ),
    ("convert", "--model"): Row("speakers", "convert in.wav o.wav --speaker p225", "--model {starred}", "o.wav"),
    ("morph", "--model"): Row("ships", "morph in.wav in.wav o.wav --steps 2", "--model speech16k", "o.wav"),
    ("morph", "--speaker"): Row("speakers", "morph in.wav b.wav o.wav --steps 2", "--speaker {nearest}", "o.wav"),
    ("perturb", "--model"): Row("ships", "perturb in.wav o.wav", "--model speech16k", "o.wav"),
    ("perturb", "--speaker"): Row("speakers", "perturb in.wav o.wav", "--speaker {nearest}", "o.wav"),
    ("evaluate", "--bitrate"): Row("ships", f"{EVALUATE} --effort 0", "--bitrate 1600", "o/codes"),
    ("evaluate", "--effort"): Row("ships", f"{EVALUATE} --bitrate 900", "--effort 1", "o/codes"),
    ("evaluate", "--vocoder"): Row("ships", EVALUATE, "--vocoder istft", "o/scores.md"),
    ("abx", "--model"): Row("speakers", f"abx {SPEECH}/phones.item --data {SPEECH}", "--model {starred}", STDOUT),
    ("abx", "--frequency"): Row("speakers", f"abx {SPEECH}/phones.item --data {SPEECH}", "--frequency 50", STDOUT),
    ("submit", "--vocoder"): Row("speakers", SUBMIT, "--vocoder griffin-lim", "o"),
    ("submit", "--synthesis"): Row("speakers", SUBMIT, "--synthesis 2019/english/synthesis.txt", "o"),
    ("prep", "--data"): Row("corpora", "prep tiny --jobs 1", "--data VCTK-Corpus-0.92", "data"),
    ("prep", "--mic"): Row("corpora", "prep tiny --jobs 1", "--mic 1", "data"),
    ("prep", "--out"): Row("corpora", "prep tiny --jobs 1", "--out data/tiny", "data"),
    ("prep", "--jobs"): Row("corpora", "prep tiny", "--jobs {cpus}", "data"),
    ("train", "--features"): Row("prepared", TRAIN, "--features data/tiny", "runs/tiny/model.safetensors"),
    ("train", "--out"): Row("prepared", TRAIN, "--out runs/tiny", "runs/tiny/model.safetensors"),
    ("compare", "--systems"): Row("prepared", COMPARE, "--systems vmf,nc", "runs/compare-tiny/table.md"),
    ("compare", "--features"): Row("prepared", COMPARE, "--features data/tiny", "runs/compare-tiny/table.md"),
    ("compare", "--out"): Row("prepared", COMPARE, "--out runs/compare-tiny", "runs/compare-tiny/table.md"),
}  # fmt: skip
# the others, with the test that runs them with the option and without
ELSEWHERE = {
    ("train", "--from"): ("test_train.py", "test_on_codec_fine_tunes_the_vocoder"),
    ("tables", "--out"): ("test_sqc_files.py", "test_tables_from_a_store"),
}
# two runs of a training or an evaluation, some seconds each
SLOW = {"abx", "compare", "evaluate", "generate", "morph", "perturb", "prep", "train"}


def done(*words: object) -> Result:
    result = run(*map(str, words))
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with in.wav (1 s), b.wav, in/a.wav, and nothing in the environment."""
    folder = tmp_path / "work"
    (folder / "in").mkdir(parents=True)
    for name, seed in (("in.wav", 0), ("b.wav", 1), ("in/a.wav", 2)):
        soundfile.write(folder / name, speech_like(16_000, seed=seed), 16000)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SQCODEC_MODEL", raising=False)
    return folder


@pytest.fixture
def ships(empty: Path) -> Path:
    """With in.sqc of the model that ships."""
    done("encode", "in.wav", "in.sqc")
    return empty


@pytest.fixture
def speakers(empty: Path, made_model: Path) -> Path:
    """With a model of three speakers, in.sqc of one, and test files of ZeroSpeech 2019 with a list."""
    copy_model(made_model, empty / "runs" / "tiny" / "model.safetensors")
    done("encode", "in.wav", "in.sqc", "--speaker", "p226")
    test = empty / "2019" / "english" / "test"
    test.mkdir(parents=True)
    soundfile.write(test / "S1_01.wav", speech_like(20_000), 16000)
    (test.parent / "synthesis.txt").write_text("test/S1_01 p226\n")
    return empty


@pytest.fixture
def corpora(empty: Path) -> Path:
    """With a corpus by its name."""
    Path("VCTK-Corpus-0.92").symlink_to(SPEECH / "VCTK-Corpus-0.92")
    return empty


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, and a run with model and prior of a few steps."""
    folder = tmp_path_factory.mktemp("run")
    store, out = folder / "data" / "tiny", folder / "runs" / "tiny"
    done("prep", "tiny", "--data", SPEECH / "VCTK-Corpus-0.92", "--out", store, "--jobs", 1)
    where = ("--features", store, "--out", out)
    done("train", "tiny", *SETS.split(), *where)
    done("train", "tiny", *SETS.split(), *where, "--stage", "prior")
    return folder


@pytest.fixture
def prepared(empty: Path, run_folder: Path) -> Path:
    """With a store."""
    shutil.copytree(run_folder / "data", "data")
    return empty


@pytest.fixture
def trained(prepared: Path, run_folder: Path) -> Path:
    """With a store and a run."""
    shutil.copytree(run_folder / "runs", "runs")
    return prepared


class Values:
    """What `{name}` in a row stands for."""

    def __getitem__(self, name: str) -> str:
        find: dict[str, Callable[[], str]] = {"nearest": self._nearest, "starred": self._starred}
        return str(usable_processors()) if name == "cpus" else find[name]()

    def _nearest(self) -> str:
        found = re.search(r"speaker (\w+) \(nearest of", done("encode", "in.wav", "nearest.npy").stdout)
        assert found
        return found[1]

    def _starred(self) -> str:
        (found,) = re.findall(r"^\* (\S+): ", done("models").stdout, re.M)
        return found


def options() -> list[tuple[str, click.Option]]:
    found = []
    for group in COMMANDS.values():
        for name in group:
            command = main.get_command(click.Context(main), name)
            found += [(name, option) for option in command.params if isinstance(option, click.Option)]
    return found


def test_every_stated_default_has_a_test() -> None:
    stated = {(name, option.opts[0]) for name, option in options() if STATED.search(option.help or "")}
    assert stated == SAME.keys() | ELSEWHERE.keys()
    for file, test in ELSEWHERE.values():
        assert f"def {test}(" in Path(__file__).with_name(file).read_text("utf-8"), (file, test)


def test_every_other_default_is_shown() -> None:
    """An option with a value of its own says it, by `show_default` or in words."""
    for name, option in options():
        has_value = not option.is_flag and isinstance(option.default, str | int | float)
        if has_value and option.multiple is False:
            assert option.show_default or STATED.search(option.help or ""), (name, option.opts)


def contents(written: str, result: Result) -> dict[str, bytes]:
    """What a command wrote, by the names of the files."""
    if written == STDOUT:
        return {STDOUT: result.stdout_bytes}
    files = (
        [Path(written)] if Path(written).is_file() else [path for path in Path(written).rglob("*") if path.is_file()]
    )
    # evaluate names a model by the rate that was asked for
    return {re.sub(r"speech16k-\d+", "speech16k", str(path)): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("command", "option"), [pytest.param(*key, marks=[pytest.mark.slow] * (key[0] in SLOW)) for key in SAME]
)
def test_without_the_option_is_as_with_its_default(
    command: str, option: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    row = SAME[command, option]
    assert (row.words.split()[0], row.stated.split()[0]) == (command, option)
    folder = request.getfixturevalue(row.folder)
    stated = row.stated.format_map(Values())  # type: ignore[arg-type]
    before = shutil.copytree(folder, tmp_path / "before", symlinks=True)
    first = contents(row.written, done(*row.words.split()))
    assert first
    shutil.rmtree(folder)
    shutil.copytree(before, folder, symlinks=True)
    os.chdir(folder)  # it is another one of the same name
    assert contents(row.written, done(*row.words.split(), *stated.split())) == first
