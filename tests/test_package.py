"""The package as it is installed: what `import sqcodec` costs, what the wheel carries, the speech that ships."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import soundfile
import yaml
from click.testing import CliRunner

import sqcodec
from sqcodec.cli.main import main

ROOT = Path(__file__).resolve().parent.parent
SPEECH = ROOT / "recipes" / "tiny" / "speech"


@pytest.mark.parametrize("statement", ["import sqcodec", "from sqcodec.cli.main import main; main(['--help'])"])
def test_importing_and_asking_for_help_load_nothing_heavy(statement: str) -> None:
    program = f"""
import sys
try:
    {statement}
except SystemExit:
    pass
print('heavy:', sorted({{'torch', 'librosa', 'numpy', 'pydantic'}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'sqcodec' has no attribute 'nonsense'$"):
        _ = sqcodec.nonsense


def test_version_of_the_command() -> None:
    done = CliRunner().invoke(main, ["--version"])
    assert (done.exit_code, done.output) == (0, f"sqcodec {sqcodec.__version__}\n")


def test_an_unknown_command_is_a_usage_error() -> None:
    done = CliRunner().invoke(main, ["nonsense"], prog_name="sqcodec")
    assert done.exit_code == 2
    assert "Error: No such command 'nonsense'." in done.stderr


def test_the_wheel_carries_types_and_recipes() -> None:
    wheel = pytest.importorskip(
        "hatchling.builders.wheel", reason="hatchling, which builds the wheel, is not installed"
    )
    builder = wheel.WheelBuilder(str(ROOT))
    files = {included.distribution_path for included in builder.recurse_included_files()}
    forced = builder.config.get_force_include()
    assert "sqcodec/py.typed" in files
    assert "sqcodec/models/speech16k/model.safetensors" in files
    assert not any("speech16k-1" in file for file in files)  # it is in the sources alone: finding/older_models.py
    assert {"sqcodec/report/assets/page.html", "sqcodec/corpus/zerospeech2019.tsv"} <= files
    assert forced[str(ROOT / "recipes" / "vctk")] == "sqcodec/recipes/vctk"


def test_the_wheel_has_every_recipe_and_one_utterance() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    forced = wheel["force-include"]
    assert all(target == f"sqcodec/{source}" for source, target in forced.items())
    whole = {path.relative_to(ROOT).as_posix() for path in (ROOT / "recipes").iterdir()} - {"recipes/tiny"}
    assert whole <= forced.keys()
    tiny = [source.removeprefix("recipes/tiny/") for source in forced.keys() - whole]
    speech = "speech/VCTK-Corpus-0.92/wav48_silence_trimmed/p225/p225_001_mic1.flac"
    assert sorted(tiny) == ["README.md", "recipe.yaml", speech, "splits"]
    assert (ROOT / "sqcodec" / "py.typed").is_file()


def test_every_weights_file_that_ships_has_its_licence_and_corpora() -> None:
    for folder in (path for path in (ROOT / "sqcodec" / "models").iterdir() if path.is_dir()):
        card = (folder / "README.md").read_text("utf-8")
        for word in ("Licence", "MIT", "LibriSpeech", "speechocean762", "Picovoice", "VCTK", "CMU ARCTIC", "LJSpeech"):
            assert word in card, (folder.name, word)


def test_versions_agree() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == sqcodec.__version__
    assert f"## [{sqcodec.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_lock_pins_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["train"], *extras["dev"]]
    wanted = {name_of(line) for line in lines}
    lines = [line for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines() if "==" in line]
    assert wanted <= {name_of(line) for line in lines}
    assert {"torch==2.11.0", "torchaudio==2.11.0"} <= set(lines)
    assert all(";" in line for line in lines if line.startswith(("nvidia-", "triton")))  # Linux only, by marker


def test_the_lock_names_no_index() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text("utf-8")


def name_of(requirement: str) -> str:
    """'types-PyYAML>=6.0' -> 'types-pyyaml'."""
    return requirement.replace("==", ">=").partition(">=")[0].strip().lower()


def test_the_speech_that_ships_is_small_and_long_enough() -> None:
    files = sorted(SPEECH.rglob("*.flac"))
    assert sum(path.stat().st_size for path in files) <= 3_000_000
    assert 100 < sum(soundfile.info(path).duration for path in files) < 140


@pytest.mark.parametrize(("folder", "sample_rate"), [("VCTK-Corpus-0.92", 48000), ("2019", 16000)])
def test_the_speech_that_ships_has_its_corpus_format(folder: str, sample_rate: int) -> None:
    for path in (SPEECH / folder).rglob("*.flac"):
        info = soundfile.info(path)
        assert (info.samplerate, info.channels) == (sample_rate, 1), path


def test_the_shortest_test_file_is_as_short_as_zerospeech_s() -> None:
    shortest = min(soundfile.info(path).duration for path in (SPEECH / "2019" / "english" / "test").glob("*.flac"))
    assert shortest == pytest.approx(0.09)


def test_file_numbers_are_sentences_as_in_vctk() -> None:
    numbers = [path.name.split("_")[1] for path in (SPEECH / "VCTK-Corpus-0.92").rglob("*.flac")]
    assert len(set(numbers)) < len(numbers)
    assert {number <= "005" for number in numbers} == {True, False}
