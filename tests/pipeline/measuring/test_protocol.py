"""The table of a protocol, on recordings that are laid out as LibriSpeech's."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from sqcodec.cli.main import main
from sqcodec.errors import CorpusError
from sqcodec.metrics import pair_scores
from sqcodec.metrics.rate import Rates
from sqcodec.pipeline.coding.codec import open_codec
from sqcodec.pipeline.coding.rate_control import Goal
from sqcodec.pipeline.finding.models import SHIPPED  # as it is, before any fixture
from sqcodec.pipeline.measuring import codecs, evaluation, protocol, results, scoring
from sqcodec.pipeline.measuring.complexity import complexity_of

SPEECH = Path(__file__).parents[3] / "recipes" / "tiny" / "speech" / "VCTK-Corpus-0.92" / "wav48_silence_trimmed"
WORDS = {"225-1-0000": "ONE TWO", "225-1-0001": "ONE TWO THREE FOUR", "226-1-0000": "ONE TWO"}
HOOKS = ("--asr", "sh -c 'echo one two'", "--sv", "sh -c 'echo 1 2'", "--mos", "sh -c 'echo 3.25'")


@pytest.fixture
def librispeech(workplace: Path) -> Path:
    """LibriSpeech/test-clean of three recordings of two speakers."""
    for name, words in WORDS.items():
        speaker, chapter, number = name.split("-")
        folder = workplace / "LibriSpeech" / "test-clean" / speaker / chapter
        folder.mkdir(parents=True, exist_ok=True)
        source = sorted((SPEECH / f"p{speaker}").glob("*.flac"))[int(number)]
        shutil.copyfile(source, folder / f"{name}.flac")
        with (folder / f"{speaker}-{chapter}.trans.txt").open("a") as file:
            file.write(f"{name} {words}\n")
    return workplace


def run(*words: str) -> str:
    options = ("--protocol", "test-clean", "--data", "LibriSpeech", "--out", "o", "--listen", "0")
    done = CliRunner().invoke(main, ["evaluate", *words, *options], prog_name="sqcodec")
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.slow
@pytest.mark.ships
def test_the_columns_of_the_field(librispeech: Path) -> None:
    for package in pair_scores.PACKAGES:
        pytest.importorskip(package, reason="the eval extra is not installed")
    printed = run("speech16k", "--bitrate", "800,3200", "--effort", "0", *HOOKS)
    tree = json.loads(Path("o/protocol.json").read_text("utf-8"))
    assert list(tree["columns"].values()) == [
        "Rate (kb/s)", "Parameters (M)", "Sending (GMAC/s)", "Receiving (GMAC/s)", "PESQ wb ↑", "Predicted MOS ↑",
        "DNSMOS P.808 ↑", "DNSMOS P.835 ↑", "STOI ↑", "WER (%) ↓", "Similarity ↑", "Latency (ms) ↓",
    ]  # fmt: skip
    original, low, high = (tree["systems"][name] for name in ("original", "speech16k-800", "speech16k-3200"))
    assert not original.keys() & {"kilobits", "parameters", "sending", "receiving", "latency"}
    assert original["pesq"]["mean"] == pytest.approx(4.644, abs=1e-3)  # the top of P.862.2's mapping
    assert original["stoi"]["mean"] == pytest.approx(1.0, abs=1e-6)  # short of 1 by rounding
    assert (original["speaker"]["mean"], original["mos"]["mean"]) == (pytest.approx(1.0), 3.25)
    assert original["wer"]["mean"] == low["wer"]["mean"] == pytest.approx(100 * 2 / 8)  # of files: 16.7
    assert low["pesq"]["mean"] < high["pesq"]["mean"] < original["pesq"]["mean"]
    rows = [json.loads(line) for line in Path("o/scores.jsonl").read_text("utf-8").splitlines()]
    seconds = sum(row["seconds"] for row in rows if row["system"] == "original")
    size = sum(path.stat().st_size for path in Path("o/codes/speech16k-800").rglob("*.sqc"))
    assert low["kilobits"]["mean"] == pytest.approx(8 * size / seconds / 1000)
    assert low["parameters"]["mean"] == pytest.approx(9.36509)
    assert (low["sending"]["mean"], high["receiving"]["mean"]) == (
        pytest.approx(0.171, abs=5e-4),
        pytest.approx(0.536, abs=5e-4),
    )
    assert low["latency"]["mean"] == 180
    document = Path("o/protocol.md").read_text("utf-8")
    table = printed.rpartition("o: 3 files")[0]
    assert table in document
    assert "| original | – | – | – | – | 4.64 | 3.25 |" in table
    assert "3 of the 2620 recordings of LibriSpeech test-clean; model speech16k (" in document
    assert "WER: errors over words of all transcripts together" in document
    lines = Path("o/protocol.tex").read_text("utf-8").splitlines()
    assert lines[1:5] == ["% \\usepackage{booktabs}", "\\begin{tabular}{lrrrrrrrrrrrr}", "\\toprule", lines[4]]
    assert "WER (\\%) $\\downarrow$" in lines[4]
    assert lines[6].startswith("original & -- & -- & -- & -- & 4.64 & 3.25 & ")


@pytest.mark.ships
@pytest.mark.parametrize(("mean_stages", "alike"), [(1.3, 1), (1.5, 2), (2.3, 4), (6.1, 8)])  # as many iterations
def test_at_a_true_rate_all_codebooks_are_searched(mean_stages: float, alike: int) -> None:
    path = SHIPPED / "speech16k" / "model.safetensors"
    model = codecs.ModelUnderTest(
        name="m", family="m", path=path, fingerprint="f", codebooks=8, vocoder="istft", device="cpu",
        goal=Goal(bit_rate=1000.0),
    )  # fmt: skip
    codes = round(100 * 50 * mean_stages)  # of 100 s
    rated = Rates(nominal=0, unigram=0, conditional=0, on_disk=1000.0, seconds=100.0, codes=codes)
    summary = results.SystemResult(
        name="m", family="m", cells={}, rates=rated, codewords=(), in_use=(), perplexity=()
    )  # fmt: skip
    costs = protocol.costs_of([model], [summary])["m"]
    sending, receiving = (complexity_of(open_codec(path, "cpu"), codebooks=number) for number in (8, alike))
    assert costs.macs("sending") == sending.macs("sending")
    assert costs.macs("receiving") == receiving.macs("receiving")


def test_columns_without_a_figure_are_left_out(librispeech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "installed_groups", lambda _: [])
    table = run("tiny", "--vocoder", "griffin-lim")
    assert table.splitlines()[0] == "|  | Rate (kb/s) | Parameters (M) | Sending (GMAC/s) | Receiving (GMAC/s) |"
    assert table.splitlines()[2].startswith("| original | – |")
    assert table.splitlines()[3].startswith("| tiny | 0.")


def test_a_protocol_needs_its_recordings_and_their_words(librispeech: Path) -> None:
    settings = scoring.make_settings(mcd="textbook", align=True, asr="sh -c 'echo one two'")
    listed = Path("LibriSpeech/test-clean/226/1/226-1.trans.txt")
    listed.unlink()
    with pytest.raises(
        CorpusError, match=r"226-1-0000.flac: its words are missing, expected a line of .*226-1.trans.txt"
    ):
        evaluation.evaluate("tiny", Path("o"), settings, data=Path("LibriSpeech"), protocol="test-clean")
    with pytest.raises(
        CorpusError, match="^`protocol` test-clean takes the folder of LibriSpeech, expected `data` DIR"
    ):
        evaluation.evaluate("tiny", Path("o"), settings, protocol="test-clean")
    assert not Path("o").exists()
