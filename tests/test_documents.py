"""Every command and every Python block of README and docs runs, page by page and in order, and so do those of `--help`.

A block of `sh` whose fence says `not run: REASON` is an exception; `EXCEPTIONS` lists all of them. Trainings are
shortened by `SHORTENED`, four processes are two, and nothing else is changed. What ships is in place.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import click
import pytest
import soundfile
from click.testing import CliRunner

from sqcodec.cli.main import COMMANDS, main
from tests.cli.test_context import SMALL as CONTEXT
from tests.cli.test_prior import SMALL as PRIOR
from tests.conftest import speech_like
from tests.train.conftest import SMALL
from tests.train.vocoder.conftest import ISTFT

ROOT = Path(__file__).resolve().parent.parent
SPEECH = ROOT / "recipes" / "tiny" / "speech"
PAGES = (
    "README.md", "docs/quickstart.md", "docs/using.md", "docs/vocoders.md", "docs/training.md", "docs/evaluation.md",
    "docs/zerospeech.md", "docs/building.md", "docs/live.md",
)  # fmt: skip
BLOCK = re.compile(r"^```(sh|python|text)?(?: not run: ([^\n]*))?\n(.*?)^```", re.M | re.S)
EXAMPLE = re.compile(r"^\s*(?:[A-Z]\w+: +)?((?:sqcodec|torchrun|eval) .*?)(?: {3,}.*)?$", re.M)
SHORT = ("train.steps=4", "train.save_every=4", "train.evaluate_every=4", "vocoder.iterations=2")
# words of a command -> the settings that make its training short
SHORTENED = [
    (("train", "--stage", "vocoder"), ISTFT),
    (("train", "--stage", "prior"), [f"prior.{text}" for text in PRIOR]),
    (("train", "--stage", "context"), [f"context.{text}" for text in CONTEXT]),
    (("train",), (*SMALL, "train.frames=32", "train.milestones=[]", *SHORT)),
    (("compare",), (*SMALL, "train.frames=32", "train.milestones=[]", *SHORT)),
]
EXCEPTIONS = {
    "README.md": ["installs"],
    "docs/quickstart.md": ["installs", "trains for two minutes", "activates an environment"],
    "docs/evaluation.md": ["needs LibriSpeech and VCTK", "needs LibriSpeech's test-clean, and models of others"],
    "docs/training.md": ["no trained checkpoint is public"],
    "docs/install.md": ["installs"] * 3,
    "docs/rate.md": ["hours of speech"],
    "docs/vocoders.md": ["hours of speech"],
    "docs/live.md": ["needs a microphone", "the path is that of a checkout"],
}
TRAINED = ("sqcodec prep vctk", "sqcodec train recipes/vctk")
# what a page takes for granted before a line of it
BEFORE = {
    ("docs/using.md", "sqcodec convert in.wav converted.wav --speaker p226"): TRAINED,
    ("docs/using.md", "sqcodec generate samples --seconds 2 --number 2 --top-p 0.95"): (
        "sqcodec train recipes/vctk --stage prior",
    ),
    ("docs/evaluation.md", "sqcodec score originals/ decoded/"): TRAINED,
    ("docs/zerospeech.md", "sqcodec submit zerospeech2019 runs/zerospeech2019 --data 2019 --out submission"): (
        "sqcodec prep zerospeech2019", "sqcodec train recipes/zerospeech2019",
    ),
}  # fmt: skip
STATUS = {"sqcodec submit --check submission --data 2019": 1}  # the speech that ships has no surprise language

pytestmark = [pytest.mark.ships, pytest.mark.slow]


def blocks(page: str) -> list[tuple[str, str, str]]:
    """Language, why it is not run ("": it is), and text of each block of a page."""
    return BLOCK.findall((ROOT / page).read_text("utf-8"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder as the pages assume it: recordings, corpora by their names, and nothing in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SQCODEC_MODEL", raising=False)
    voices = SPEECH / "VCTK-Corpus-0.92" / "wav48_silence_trimmed"
    Path("VCTK-Corpus-0.92").symlink_to(SPEECH / "VCTK-Corpus-0.92")
    Path("2019").symlink_to(SPEECH / "2019")
    Path("recipes").symlink_to(ROOT / "recipes")
    samples, rate = soundfile.read(voices / "p225" / "p225_001_mic1.flac")
    for name in ("in.wav", "a.wav"):
        soundfile.write(name, samples, rate)
    soundfile.write("b.wav", speech_like(30_000), 16000)
    Path("microphone.raw").write_bytes((speech_like(16_000) * 2**15).astype("<i2").tobytes())
    for speaker in ("p225", "p226"):
        Path("recordings", speaker).mkdir(parents=True)
        for path in sorted((voices / speaker).glob("*.flac"))[:2]:
            shutil.copyfile(path, Path("recordings", speaker, path.name))
    for name in ("originals", "decoded"):
        shutil.copytree("recordings", name)
    tests = sorted(Path("2019/english/test").iterdir())
    seconds = [f"test/{path.name} {soundfile.info(path).duration}" for path in tests]
    Path("bitrate_filelist.txt").write_text("\n".join(seconds))
    files = [path.stem for path in tests if soundfile.info(path).duration > 0.3][:4]
    items = [f"{name} 0.0 0.2 {'ab'[index % 2]} x y s{index // 2}" for index, name in enumerate(files)]
    mine = sorted(Path("recordings/p225").iterdir())
    rows = [f"{path}\tp225\t{split}" for path, split in zip(mine, ("train", "test"), strict=True)]
    Path("mine.tsv").write_text("\n".join(["path\tspeaker\tsplit", *rows]))
    Path("triphones.item").write_text("\n".join(["#file onset offset #phone prev-phone next-phone speaker", *items]))
    return tmp_path


def shortened(words: list[str]) -> list[str]:
    """A training of a few steps in place of the one that `words` ask for, and two processes in place of four."""
    words = ["2" if (former, word) == ("--jobs", "4") else word for former, word in pairwise(["", *words])]
    if "--resume" in words:
        return [*words, "--set", "train.steps=8", "--device", "cpu"]  # its run folder has the small network already
    for needed, settings in SHORTENED:
        if set(needed) <= set(words):
            extra = [part for setting in settings for part in ("--set", setting)]
            return [*words, *extra, "--device", "cpu"]
    return words


def without_numbers(text: str) -> str:
    """What is printed, but for figures and bars: a page need not change whenever a model does."""
    return re.sub(r"\d+(\.\d+)?|[0-9a-f]{12,}|\|.*\|", "0", text)


def run_line(line: str) -> str:
    """Run a line of a page; what it prints on standard output."""
    if re.search(r"[|<>]|\beval\b|^python ", line):
        sqcodec = f'sqcodec() {{ {shlex.quote(sys.executable)} -m sqcodec.cli.main "$@"; }}'
        python = f'python() {{ {shlex.quote(sys.executable)} "$@"; }}'
        settings = os.environ | {"PYTHONPATH": str(ROOT)}
        script = f"set -eo pipefail; {sqcodec}; {python}; {line}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=settings, check=False)
        assert done.returncode == 0, (line, done.stderr)
        return done.stdout
    program, *words = shlex.split(line, comments=True)
    assert program == "sqcodec", line
    result = CliRunner().invoke(main, shortened(words), prog_name="sqcodec")
    assert result.exit_code == STATUS.get(line, 0), (line, result.output, result.exception)
    return result.stdout


def test_the_exceptions_are_those_listed() -> None:
    pages = ["README.md", *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("*.md")))]
    found = {page: [reason for _, reason, _ in blocks(page) if reason] for page in pages}
    assert {page: reasons for page, reasons in found.items() if reasons} == EXCEPTIONS


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_python_block_of_a_page(folder: Path, page: str) -> None:
    known: dict[str, object] = {}
    ran = 0
    for language, reason, text in blocks(page):
        if language == "python":
            exec(text, known)
        elif language == "text" and text.startswith("$ "):
            line, _, printed = text.removeprefix("$ ").partition("\n")
            assert without_numbers(run_line(line)) == without_numbers(printed), line
            ran += 1
        elif language == "sh" and not reason:
            for line in text.splitlines():
                line = line.partition("  #")[0].rstrip()
                for needed in BEFORE.get((page, line), ()):
                    run_line(needed)
                run_line(line)
                ran += 1
    assert ran, page


def examples() -> list[str]:
    """The lines of the examples in the help of every command."""
    lines = []
    for group in COMMANDS.values():
        for name in group:
            command = main.get_command(click.Context(main), name)
            for each in (command, *getattr(command, "commands", {}).values()):
                lines += re.findall(
                    r"^\s*(?:[A-Z]\w+: +)?((?:sqcodec|torchrun|eval) .*?)(?: {3,}.*)?$", each.help, re.M
                )
    return lines


# what the examples take for granted, in the order of need; some are examples themselves
READY = (
    "sqcodec prep zerospeech2019", "sqcodec train recipes/zerospeech2019",
    "sqcodec submit zerospeech2019 runs/zerospeech2019 --data 2019 --out submission",
    *TRAINED, "sqcodec train recipes/vctk --stage prior", "sqcodec encode in.wav out.sqc",
    "sqcodec prep recipes/istft --data recordings/", "sqcodec prep recipes/tiny --data VCTK-Corpus-0.92",
)  # fmt: skip
HELP_EXCEPTIONS = {
    "sqcodec completion fish > ~/.config/fish/completions/sqcodec.fish": "writes into the home folder",
    'eval "$(sqcodec completion zsh)"': "for another shell",
    "sqcodec evaluate speech16k --protocol test-clean --data LibriSpeech --asr MODEL.onnx --out results": (
        "needs LibriSpeech: tests/pipeline/measuring/test_protocol.py"
    ),
    "torchrun --nproc-per-node 4 --no-python sqcodec train recipes/vctk": "starts processes: tests/train/test_ranks.py",
    "sqcodec tables runs/sony --features data/zerospeech2019": "of an imported model: tests/cli/test_sqc_files.py",
    "sqcodec import-sony model.ckpt-500000.pt --speakers speakers.json runs/sony": "no trained checkpoint is public",
    "sqcodec recipe copy vctk mine && sqcodec train mine": "trains at full length; both halves are examples too",
}


def test_every_example_of_help(folder: Path) -> None:
    assert set(examples()) >= HELP_EXCEPTIONS.keys()
    shutil.rmtree("decoded")  # an example makes it
    for line in READY:
        run_line(line)
    for line in examples():
        if line in READY or line in HELP_EXCEPTIONS:
            continue
        again = " --out runs/again" if line.startswith("sqcodec train recipes/vctk --set") else ""
        run_line(line + again)
