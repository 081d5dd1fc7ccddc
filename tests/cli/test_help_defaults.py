"""Each default that a help text states is what happens without the option. What ships is in place."""

import json
import re
import shutil
from pathlib import Path

import click
import pytest
import soundfile

from sqcodec.cli.main import COMMANDS, main
from tests.cli.runner import run
from tests.conftest import copy_model, speech_like

pytestmark = pytest.mark.ships

ROOT = Path(__file__).parents[2]
STATED = re.compile(r"\[default: (.*?)\]")

# option -> a command without it, the option with the default that its help states, and the file that both write
SAME = {
    ("encode", "--model"): ("encode in.wav o.sqc", "--model speech16k", "o.sqc"),
    ("encode", "--format"): ("encode in.wav o.sqc", "--format sqc", "o.sqc"),
    ("encode", "--dtype"): ("encode in.wav o.npy", "--dtype uint16", "o.npy"),
    ("encode", "--codebooks"): ("encode in.wav o.sqc", "--codebooks 4", "o.sqc"),
    ("encode", "--effort"): ("encode in.wav o.sqc", "--effort 1", "o.sqc"),
    ("encode", "--max-bytes"): ("encode in.wav o.bin", "--max-bytes 230", "o.bin"),
    ("encode", "--block"): ("encode in.wav o.sqc", "--block 10", "o.sqc"),
    ("decode", "--model"): ("decode in.sqc o.wav", "--model speech16k", "o.wav"),
    ("decode", "--vocoder"): ("decode in.sqc o.wav", "--vocoder istft", "o.wav"),
    ("decode", "--rate"): ("decode in.sqc o.wav", "--rate 16000", "o.wav"),
    ("vocode", "--vocoder"): ("vocode in.wav o.wav", "--vocoder istft", "o.wav"),
    ("vocode", "--features"): ("vocode in.wav o.wav", "--features log-mel", "o.wav"),
    ("perturb", "--model"): ("perturb in.wav o.wav", "--model speech16k", "o.wav"),
    ("morph", "--model"): ("morph in.wav in.wav o.wav --steps 2", "--model speech16k", "o.wav"),
    ("encode", "--coder"): ("encode in.wav o.sqc", "--coder context", "o.sqc"),
    ("inspect", "--model"): ("inspect in.sqc --json", "--model speech16k", None),
    ("export", "--model"): ("export in o --to jsonl", "--model speech16k", "o/codes-00000.jsonl.gz"),
    ("export", "--codebooks"): ("export in o --to jsonl", "--codebooks 4", "o/codes-00000.jsonl.gz"),
    ("export", "--bitrate"): ("export in o --to jsonl", "--bitrate 1600", "o/codes-00000.jsonl.gz"),
}
# the same with a model of three speakers, runs/tiny; {nearest}: the speaker that encode says it found
SAME_OF_SPEAKERS = {
    ("encode", "--speaker"): ("encode in.wav o.npy", "--speaker {nearest}", "o.npy"),
    ("decode", "--speaker"): ("decode s5.sqc o.wav", "--speaker s5", "o.wav"),
    ("export", "--speaker"): ("export in o --to jsonl", "--speaker {nearest}", "o/codes-00000.jsonl.gz"),
    ("morph", "--speaker"): ("morph in.wav in.wav o.wav --steps 2", "--speaker {nearest}", "o.wav"),
    ("perturb", "--speaker"): ("perturb in.wav o.wav", "--speaker {nearest}", "o.wav"),
    ("convert", "--model"): ("convert in.wav o.wav --speaker s5", "--model runs/tiny", "o.wav"),
}
FIND = "tests/pipeline/finding/test_default_model.py"
# the others, with the test that shows them
ELSEWHERE = {
    ("generate", "--speaker"): ("tests/cli/test_prior.py", "test_"),
    ("generate", "--model"): (FIND, "test_the_newest_that_was_trained_here_wins_over_what_ships"),
    ("abx", "--model"): (FIND, "test_the_newest_that_was_trained_here_wins_over_what_ships"),
    ("evaluate", "--bitrate"): ("tests/cli/test_score.py", "test_"),
    ("evaluate", "--effort"): ("tests/pipeline/measuring/test_evaluation.py", "test_a_model_with_true_rates"),
    ("evaluate", "--vocoder"): ("tests/pipeline/finding/test_vocoders.py", "test_"),
    ("submit", "--vocoder"): ("tests/pipeline/finding/test_vocoders.py", "test_"),
    ("submit", "--synthesis"): ("tests/cli/test_zerospeech.py", "test_"),
    ("abx", "--frequency"): ("tests/cli/test_zerospeech.py", "test_"),
    ("prep", "--data"): ("tests/test_end_to_end.py", "test_prep_train_encode_decode"),
    ("prep", "--out"): ("tests/test_end_to_end.py", "test_prep_train_encode_decode"),
    ("prep", "--mic"): ("tests/cli/test_prep.py", "test_"),
    ("prep", "--jobs"): ("tests/test_processors.py", "test_"),
    ("train", "--features"): ("tests/test_end_to_end.py", "test_prep_train_encode_decode"),
    ("train", "--out"): ("tests/test_end_to_end.py", "test_prep_train_encode_decode"),
    ("train", "--from"): ("tests/cli/test_train.py", "test_"),
    ("tables", "--out"): ("tests/cli/test_sqc_files.py", "test_"),
    ("compare", "--systems"): ("tests/pipeline/training/test_comparison.py", "test_"),
    ("compare", "--features"): ("tests/test_documents.py", "test_every_command_and_python_block_of_a_page"),
    ("compare", "--out"): ("tests/test_documents.py", "test_every_command_and_python_block_of_a_page"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with in.wav (1 s), in.sqc and the folder in with in.wav."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SQCODEC_MODEL", raising=False)
    soundfile.write("in.wav", speech_like(16_000), 16000)
    assert run("encode", "in.wav", "in.sqc").exit_code == 0
    Path("in").mkdir()
    shutil.copy("in.wav", "in/in.wav")
    return tmp_path


def options() -> list[tuple[str, click.Option]]:
    found = []
    for group in COMMANDS.values():
        for name in group:
            command = main.get_command(click.Context(main), name)
            found += [(name, option) for option in command.params if isinstance(option, click.Option)]
    return found


def test_every_stated_default_has_a_test() -> None:
    stated = {(name, option.opts[0]) for name, option in options() if STATED.search(option.help or "")}
    assert stated == SAME.keys() | SAME_OF_SPEAKERS.keys() | ELSEWHERE.keys()
    for file, test in ELSEWHERE.values():
        assert f"def {test}" in (ROOT / file).read_text("utf-8"), (file, test)


def test_every_other_default_is_shown() -> None:
    """An option with a value of its own says it, by `show_default` or in words."""
    for name, option in options():
        has_value = not option.is_flag and isinstance(option.default, str | int | float)
        if has_value and option.multiple is False:
            assert option.show_default or STATED.search(option.help or ""), (name, option.opts)


@pytest.mark.parametrize(("command", "option"), SAME)
def test_without_the_option_is_as_with_its_default(folder: Path, command: str, option: str) -> None:
    words, stated, written = SAME[command, option]
    assert words.split()[0] == command
    assert result_of(words, written) == result_of(f"{words} {stated}", written)


@pytest.mark.parametrize(("command", "option"), SAME_OF_SPEAKERS)
def test_so_it_is_with_a_model_of_speakers(folder: Path, made_model: Path, command: str, option: str) -> None:
    copy_model(made_model, Path("runs/tiny/model.safetensors"))
    assert run("encode", "in.wav", "s5.sqc", "--speaker", "s5").exit_code == 0
    nearest = json.loads(run("encode", "in.wav", "nearest.sqc", "--json").stdout)["speaker"]
    words, stated, written = SAME_OF_SPEAKERS[command, option]
    assert words.split()[0] == command
    assert result_of(words, written) == result_of(f"{words} {stated.format(nearest=nearest)}", written)


def result_of(words: str, written: str | None) -> bytes:
    """What a command writes to a file, which is removed with its folder, or to standard output."""
    done = run(*words.split())
    assert done.exit_code == 0, done.output
    if written is None:
        return done.stdout_bytes
    content = Path(written).read_bytes()
    if len(Path(written).parts) > 1:
        shutil.rmtree(Path(written).parts[0])
    else:
        Path(written).unlink()
    return content
