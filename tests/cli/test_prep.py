import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from sqcodec.cli.main import main
from sqcodec.cli.prep import _duration


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["prep", *map(str, arguments), "--jobs", "1"])


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for number in range(4):
        path = tmp_path / "corpus" / "anna" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.3 * np.sin(np.arange(9000) * 0.1), 16000)
    (tmp_path / "corpus" / "anna" / "bad.wav").write_text("no sound")
    return tmp_path / "corpus"


def test_results_on_stdout_reports_on_stderr(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "s"
    summary = "  test: 1 utterances, 1 speakers, 0.6 s\n  train: 3 utterances, 1 speakers, 1.7 s\n"
    after = f"  1 reports: {out / 'report.txt'}\nnext: sqcodec train recipes/folder --features {out}\n"
    for state in ("made", "nothing new to do"):
        result = invoke("folder", "--data", corpus, "--out", out)
        assert result.exit_code == 0
        assert result.stdout == f"{out}: {state}\n{summary}{after}"
        assert result.stderr == "skipped, broken: 1\n"


def test_default_folder_and_overrides_in_the_next_command(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("folder", "--data", corpus, "--set", "features.kind=log-mel")
    assert result.exit_code == 0
    assert (tmp_path / "data" / "folder" / "store.json").is_file()
    assert result.stdout.endswith("next: sqcodec train recipes/folder --set features.kind=log-mel\n")


def test_strict(corpus: Path, tmp_path: Path) -> None:
    result = invoke("folder", "--data", corpus, "--out", tmp_path / "s", "--strict")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: anna/bad: broken: Format not recognised; expected a recording (WAV, FLAC, Ogg, MP3...);"
        " without --strict the rest goes on\n"
    )


VCTK = (
    "wav48_silence_trimmed/<speaker>/<speaker>_<number>_mic1.flac (release 0.92) or wav48/<speaker>/*.wav"
    " (release 0.80); 'sqcodec prep vctk --data VCTK-Corpus-0.92 --download' downloads it (10.9 GiB)"
)
ZEROSPEECH = "train/unit/, train/voice/, train/parallel/{source,voice}/ and test/ with <speaker>_<number>.wav"
ERRORS = [
    (["vctk"], f"VCTK-Corpus-0.92: got no such folder, expected {VCTK}"),
    (
        ["zerospeech2019"],
        f"2019: got no such folder, expected english/ with {ZEROSPEECH};"
        " 'sqcodec prep zerospeech2019 --data 2019 --download' downloads it (2.5 GB)",
    ),
    (
        ["folder"],
        "recipe folder: got no --data, expected --data DIR, a folder with <speaker>/<utterance>.wav"
        " (or .flac, .ogg, ...); or --list TSV with your own list",
    ),
    (
        ["folder", "--data", "here", "--download"],
        "--download: the recipe folder is for your own recordings; give --data DIR or --list TSV",
    ),
    (["vctk", "--list", "l.tsv"], "--list l.tsv: recipe vctk is for vctk; a list needs the recipe folder"),
    (
        ["zerospeech2019", "--data", "d", "--download", "--set", "corpus.language=surprise"],
        "--download: its archive needs a password: ask for it at https://zerospeech.com, then unpack it into d",
    ),
    (
        ["zerospeech2019", "--data", "gone"],
        f"gone: got no such folder, expected english/ with {ZEROSPEECH};"
        " 'sqcodec prep zerospeech2019 --data gone --download' downloads it (2.5 GB)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "error"), ERRORS)
def test_errors(arguments: list[str], error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"Error: {error}\n")


def test_unusable_device(corpus: Path, tmp_path: Path) -> None:
    result = invoke("folder", "--data", corpus, "--out", tmp_path / "s", "--device", "abacus")
    text = "Error: device 'abacus': expected auto, cpu, cuda or cuda:N\n"
    assert (result.exit_code, result.stderr) == (1, text)


def test_microphone_reaches_the_recipe(tmp_path: Path) -> None:
    for name in ("p225_001_mic1", "p225_009_mic1"):
        path = tmp_path / "wav48_silence_trimmed" / "p225" / f"{name}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    result = invoke("vctk", "--data", tmp_path, "--mic", "2")
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: {tmp_path / 'wav48_silence_trimmed'}: got no recordings of microphone 2 (release 0.80 has one);"
        " use --set corpus.microphone=1\n"
    )
    assert invoke("vctk", "--data", tmp_path, "--mic", "3").exit_code == 2


def test_download_then_prep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fetched archive is unpacked where the walker looks; a second run downloads nothing."""
    from sqcodec.corpus import download

    wav = io.BytesIO()
    soundfile.write(wav, 0.3 * np.sin(np.arange(9000) * 0.1), 16000, format="WAV")
    names = ["train/voice/V001_1", "train/parallel/voice/V001_2"]

    def receive(source: download.Source, part: Path, progress: object) -> bool:
        with tarfile.open(part, "w:gz") as tar:
            for name in names:
                member = tarfile.TarInfo(f"english/{name}.wav")
                member.size = len(wav.getvalue())
                tar.addfile(member, io.BytesIO(wav.getvalue()))
        return True

    monkeypatch.setattr(download, "_receive", receive)
    arguments = ["zerospeech2019", "--data", tmp_path / "2019", "--out", tmp_path / "s", "--download"]
    first = invoke(*arguments)
    assert first.exit_code == 0, first.stderr
    assert first.stderr.splitlines()[0] == (
        f"https://download.zerospeech.com/2019/english.tgz: downloaded and unpacked into {tmp_path / '2019'},"
        " archive tested (nobody publishes a checksum of it)"
    )
    second = invoke(*arguments)
    assert second.stderr.splitlines()[0] == f"{tmp_path / '2019/english'}: there already, nothing downloaded"
    assert second.stdout.startswith(f"{tmp_path / 's'}: nothing new to do\n")


def test_progress_on_a_terminal(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqcodec.cli import progress

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(progress.sys, "stderr", terminal := Terminal())
    with progress.progress_bar() as show:
        show("features", 1, 4)
        show("features", 4, 4)
    assert "features" in terminal.getvalue()
    assert "4/4" in terminal.getvalue()


def test_reports_name_each_problem_recording_and_the_reason(corpus: Path, tmp_path: Path) -> None:
    anna = corpus / "anna"
    tone = 0.3 * np.sin(np.arange(9000) * 0.1)
    soundfile.write(anna / "stereo.wav", np.stack([tone, tone], 1), 16000)
    soundfile.write(anna / "slow.wav", tone, 8000)
    soundfile.write(anna / "fast.wav", tone, 96000)
    soundfile.write(anna / "short.wav", tone[:320], 16000)
    soundfile.write(anna / "empty.wav", tone[:0], 16000)
    soundfile.write(anna / "silent.wav", 0 * tone, 16000)
    soundfile.write(anna / "nan.wav", np.nan * tone, 16000, subtype="FLOAT")
    result = invoke("folder", "--data", corpus, "--out", tmp_path / "s")
    assert result.exit_code == 0, result.output
    counts = [
        "skipped, broken: 1", "skipped, empty: 1", "skipped, not finite: 1", "skipped, silent: 1",
        "skipped, too short: 1", "kept, mixed down: 1", "kept, narrow band: 1", "kept, unusual rate: 1",
    ]  # fmt: skip
    assert result.stderr.splitlines() == counts
    report = (tmp_path / "s" / "report.txt").read_text().splitlines()
    for line in (
        "skipped\tanna/short\ttoo short\tgot 320 samples at 16000 Hz, expected 400 (25 ms) or more",
        "skipped\tanna/silent\tsilent\tgot a peak of 0.0e+00, expected 1.0e-04 (-80 dB) or more",
        "kept\tanna/stereo\tmixed down\t2 channels were mixed down to one",
        "kept\tanna/slow\tnarrow band\t8000 Hz says nothing above 4000 Hz",
        "kept\tanna/fast\tunusual rate\tresampled from 96000 Hz",
    ):
        assert line in report
    assert sum(line.startswith(("skipped\tanna/nan\tnot finite", "skipped\tanna/empty\tempty")) for line in report) == 2


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.34, "12.3 s"), (59.9, "59.9 s"), (60, "1.0 min"), (3599, "60.0 min"), (5400, "1.50 h")]
)
def test_durations_have_the_unit_that_suits_them(seconds: float, text: str) -> None:
    assert _duration(seconds / 3600) == text
