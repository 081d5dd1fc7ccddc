"""`evaluate`: rows, means, rates, going on after an interruption."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

import sqcodec
from sqcodec.cli.main import main
from sqcodec.codes import Codes
from sqcodec.corpus.splits import Utterance
from sqcodec.errors import CodesError, CorpusError, SqcodecError
from sqcodec.features.mel import extract
from sqcodec.pipeline.coding.codec import open_codec
from sqcodec.pipeline.measuring import codecs, evaluated_rows, evaluation, scoring
from tests.conftest import make_model, speech_like

SETTINGS = scoring.make_settings(mcd="textbook", align=True, asr=None, sv=None)
MODEL = "runs/tiny"


@pytest.fixture
def recordings(workplace: Path) -> Path:
    for number, speaker in enumerate(("p225", "p226", "nobody")):
        path = workplace / "data" / speaker / f"{number}.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, speech_like(20_000 + 1000 * number, seed=number), 16000)
    return workplace


def read_codes(path: Path, model: str = MODEL) -> Codes:
    return open_codec(Path(model) / "model.safetensors", "cpu").unpack(path.read_bytes())


def evaluate(**options):
    return evaluation.evaluate(MODEL, Path("out"), SETTINGS, data=Path("data"), **options)


@pytest.mark.slow
def test_everything_is_written(recordings: Path) -> None:
    done = evaluate(listen=2)
    assert (done.files, done.systems, done.errors) == (3, ("tiny",), 0)
    written = {path.relative_to("out").as_posix() for path in Path("out").rglob("*") if path.is_file()}
    assert written == {
        "scores.jsonl", "scores.json", "scores.md", "index.html",
        "codes/tiny/p225/0.sqc", "codes/tiny/p226/1.sqc", "codes/tiny/nobody/2.sqc",
        "sounds/tiny/nobody/2.flac", "sounds/tiny/p226/1.flac",
        "sounds/reference/nobody/2.flac", "sounds/reference/p226/1.flac",
    }  # fmt: skip
    rows = [json.loads(line) for line in Path("out/scores.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows] == ["nobody/2", "p225/0", "p226/1"]
    assert soundfile.info("out/sounds/tiny/p226/1.flac").frames == 21_000
    assert done.table in Path("out/scores.md").read_text("utf-8")


@pytest.mark.slow
def test_the_files_of_the_command_name_its_options(recordings: Path) -> None:
    done = CliRunner().invoke(main, ["evaluate", MODEL, "--data", "data", "--out", "out"])
    assert "no recogniser was named (--asr pocketsphinx, COMMAND or MODEL.onnx)\n" in done.stderr
    for name in ("scores.md", "scores.json", "index.html"):
        text = Path("out", name).read_text("utf-8")
        assert "no recogniser was named (--asr pocketsphinx, COMMAND or MODEL.onnx)" in text, name
        assert "no speaker encoder was named (--sv resemblyzer" in text, name
        assert not any(f"`{argument}`" in text for argument in ("asr", "sv", "mos")), name


@pytest.mark.slow
def test_lists_name_the_sounds_of_every_file(recordings: Path) -> None:
    """The same names in each list, as VERSA takes them: --gt sounds/reference/wav.scp --pred sounds/tiny/wav.scp."""
    soundfile.write("data/p226/a b.wav", speech_like(20_000), 16000)
    evaluate(listen=0, write_scp=True)
    for system in ("reference", "tiny"):
        lines = Path(f"out/sounds/{system}/wav.scp").read_text("utf-8").splitlines()
        assert [line.split()[0] for line in lines] == ["nobody/2", "p225/0", "p226/1", "p226/a_b"]
        paths = [Path(line.partition(" ")[2]) for line in lines]
        assert [path.relative_to(recordings / "out" / "sounds" / system).as_posix() for path in paths] == [
            "nobody/2.flac", "p225/0.flac", "p226/1.flac", "p226/a b.flac",
        ]  # fmt: skip
        assert [soundfile.info(path).frames for path in paths] == [22_000, 20_000, 21_000, 20_000]
    Path("data/p225/0.wav").write_bytes(b"damaged")
    evaluate(listen=0, write_scp=True)
    assert "p225/0" not in Path("out/sounds/reference/wav.scp").read_text("utf-8")


@pytest.mark.slow
def test_means_rates_and_usage_are_those_of_the_rows(recordings: Path) -> None:
    evaluate()
    rows = [json.loads(line) for line in Path("out/scores.jsonl").read_text().splitlines()]
    tree = json.loads(Path("out/scores.json").read_text("utf-8"))
    scores = tree["systems"]["tiny"]["scores"]
    assert scores["lsd"]["mean"] == pytest.approx(np.mean([row["scores"]["lsd"] for row in rows]))
    bits, seconds = sum(row["bits"] for row in rows), sum(row["seconds"] for row in rows)
    assert scores["bit_rate"]["mean"] == pytest.approx(bits / seconds)  # not the mean of the files' rates
    codes = [read_codes(Path(f"out/codes/tiny/{row['file']}.sqc")).indices for row in rows]
    assert bits == 4 * sum(of.size for of in codes)  # 16 codewords
    rated = tree["systems"]["tiny"]["rates"]
    assert rated["nominal"] == pytest.approx(bits / seconds)
    sizes = sum(path.stat().st_size for path in Path("out/codes").rglob("*.sqc"))
    assert rated["on_disk"] == pytest.approx(8 * sizes / seconds)
    assert tree["systems"]["tiny"]["codewords"]["in_use"] == [len(np.unique(np.concatenate(codes, axis=1)))]
    assert rated["conditional"] <= rated["unigram"] <= rated["nominal"]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "decibels"), [("paper-mel", 80.0), ("log-mel", 20 / np.log(10))])
def test_the_spectral_error_is_the_protocol_s(recordings: Path, kind: str, decibels: float) -> None:
    make_model(Path("runs") / kind / "model.safetensors", f"features.kind={kind}")
    evaluation.evaluate(f"runs/{kind}", Path("out"), SETTINGS, data=Path("data"), vocoder="griffin-lim")
    tree = json.loads(Path("out/scores.json").read_text("utf-8"))
    codec = open_codec(Path("runs") / kind / "model.safetensors", "cpu")
    total = values = 0.0
    for path in sorted(Path("data").rglob("*.wav")):
        samples = soundfile.read(path, dtype="float32")[0]
        frames = (1 + len(samples) // 160) // 2 * 2
        features = extract(torch.from_numpy(samples), codec.model.features)[:, :frames]
        row = read_codes(Path("out/codes") / kind / path.relative_to("data").with_suffix(".sqc"), f"runs/{kind}")
        voice = torch.tensor([codec.speakers.index(row.speaker)])
        decoded = codec.model.decode(codec.model.encode(features[None]), voice)[0]
        total += (features[:, 1:-1] - decoded).double().square().sum().item()
        values += decoded.numel()
    # float32 convolutions on the same data: the same figure but for the order of sums
    assert tree["systems"][kind]["scores"]["db2"]["mean"] == pytest.approx(decibels**2 * total / values, rel=1e-6)


@pytest.mark.slow
def test_speakers_that_the_model_knows_keep_their_voice(recordings: Path) -> None:
    evaluate()
    assert read_codes(Path("out/codes/tiny/p226/1.sqc")).speaker == "p226"


@pytest.mark.slow
def test_an_interrupted_evaluation_goes_on(recordings: Path, monkeypatch) -> None:
    evaluate()
    first = Path("out/scores.jsonl").read_text().splitlines()
    Path("out/scores.jsonl").write_text("\n".join(first[:2]) + '\n{"key": "cut off')
    made = []
    real = codecs.ModelUnderTest.encode_decode
    monkeypatch.setattr(
        codecs.ModelUnderTest,
        "encode_decode",
        lambda self, samples, speaker: made.append(speaker) or real(self, samples, speaker),
    )
    evaluate()
    assert made == ["p226"]
    assert Path("out/scores.jsonl").read_text().splitlines() == first
    evaluate()
    assert made == ["p226"]
    soundfile.write("data/p225/0.wav", speech_like(18_000), 16000)  # another recording of the same name
    evaluate()
    assert made == ["p226", "p225"]
    Path("out/sounds/tiny/p226/1.flac").unlink()
    evaluate()
    assert made == ["p226", "p225", "p226"]


@pytest.mark.slow
def test_a_model_of_several_codebooks_takes_part_at_several_rates(recordings: Path) -> None:
    section = (
        "quantizer={kind: residual, stages: 3, codewords: 16, dim: 4,"
        " initial_variance: 1.0, ratio: 0.25, dropout: 0.5, warmup_steps: 0, freeze_step: null}"
    )
    make_model(Path("runs/residual/model.safetensors"), section)
    done = evaluation.evaluate(
        "runs/residual", Path("out"), SETTINGS, data=Path("data"), bit_rates=[200, 650], vocoder="griffin-lim"
    )
    assert done.systems == ("residual-200", "residual-600")
    tree = json.loads(Path("out/scores.json").read_text())["systems"]
    rates = [tree[name]["scores"]["bit_rate"]["mean"] for name in done.systems]
    assert rates[1] == pytest.approx(3 * rates[0])
    assert tree["residual-200"]["scores"]["db2"]["mean"] != tree["residual-600"]["scores"]["db2"]["mean"]
    assert read_codes(Path("out/codes/residual-200/p226/1.sqc"), "runs/residual").indices.shape[0] == 1
    with pytest.raises(CodesError, match=r"`bitrate` 100: the lowest of .*residual is 200 bit/s"):
        evaluation.evaluate("runs/residual", Path("out"), SETTINGS, data=Path("data"), bit_rates=[100])


@pytest.mark.slow
@pytest.mark.ships
def test_a_model_with_true_rates_takes_part_at_them(recordings: Path) -> None:
    """Whole files are counted, and two evaluations are compared at equal quality."""

    def rated(out: str, **options: Any) -> tuple[evaluation.Evaluated, dict[str, Any]]:
        done = evaluation.evaluate("speech16k", Path(out), SETTINGS, data=Path("data"), listen=0, **options)
        return done, json.loads(Path(out, "scores.json").read_text())["systems"]

    nominal, books = rated("nominal", bit_rates=[800, 1600], effort=0)
    assert nominal.systems == ("speech16k-800", "speech16k-1600")
    assert books["speech16k-800"]["scores"]["bit_rate"]["mean"] == pytest.approx(800, rel=0.05)  # half a code a file
    done, systems = rated("true", bit_rates=[500, 900], against=Path("nominal"))
    assert done.systems == ("speech16k-500", "speech16k-900")
    seconds = sum(soundfile.info(path).duration for path in Path("data").rglob("*.wav"))
    for name, wanted in (("speech16k-500", 500), ("speech16k-900", 900)):
        sizes = sum(path.stat().st_size for path in Path("true/codes", name).rglob("*.sqc"))
        assert systems[name]["scores"]["bit_rate"]["mean"] == pytest.approx(8 * sizes / seconds)
        assert 8 * sizes / seconds == pytest.approx(wanted, rel=0.1)  # files of 1.3 s
        assert systems[name]["rates"]["on_disk"] == pytest.approx(8 * sizes / seconds)
        assert systems[name]["rates"]["unigram"] <= systems[name]["rates"]["nominal"]
    assert not any("bit_rate" in note for note in done.notes)
    beyond, _ = rated("beyond", bit_rates=[9000], against=Path("nominal"))
    assert any(
        note.startswith("BD-rate of speech16k against speech16k of the other results: none; each needs two bit rates")
        for note in beyond.notes
    )
    assert any(note.startswith("speech16k-9000: 3 files, for example: `bitrate` 9000: all") for note in beyond.notes)
    lines = [note for note in done.notes if note.startswith("BD-rate of speech16k against speech16k of the other")]
    assert len(lines) == 1
    assert "% at equal PESQ" in lines[0] or "% at equal ESTOI" in lines[0]
    with pytest.raises(SqcodecError, match=r"^data/scores\.json: no results of an evaluation \(FileNotFoundError\)"):
        rated("other", against=Path("data"))


@pytest.mark.slow
def test_results_among_the_recordings_are_not_recordings(recordings: Path) -> None:
    for _ in range(2):
        done = evaluation.evaluate(MODEL, Path("data/out"), SETTINGS, data=Path("data"))
        assert done.files == 3


@pytest.mark.slow
def test_other_settings_are_scored_anew(recordings: Path) -> None:
    evaluate()
    other = scoring.make_settings(mcd="versa", align=True, asr=None, sv=None)
    done = evaluation.evaluate(MODEL, Path("out"), other, data=Path("data"))
    assert "MCD (versa) (dB)" in done.table


@pytest.mark.slow
def test_a_broken_recording_is_counted(recordings: Path) -> None:
    Path("data/p225/broken.wav").write_bytes(b"RIFF")
    done = evaluate()
    assert (done.files, done.errors) == (4, 1)
    note = done.notes[-1]
    assert note.startswith("1 could not be coded and are in no mean: tiny, p225/broken: data/p225/broken.wav: broken: ")
    assert json.loads(Path("out/scores.json").read_text("utf-8"))["systems"]["tiny"]["scores"]["lsd"]["files"] == 3


def test_nothing_but_broken_recordings_is_an_error(workplace: Path) -> None:
    Path("data").mkdir()
    Path("data/broken.wav").write_bytes(b"RIFF")
    with pytest.raises(SqcodecError, match=r"^out: no file could be coded; the first: tiny, broken: data/broken.wav: "):
        evaluate()


@pytest.mark.slow
def test_silence_has_no_quality(recordings: Path) -> None:
    soundfile.write("data/p225/silence.wav", np.zeros(20_000), 16000)
    done = evaluate()
    assert any(note.startswith("MCD: not computed for 1 of 4: ") for note in done.notes)
    cell = json.loads(Path("out/scores.json").read_text("utf-8"))["systems"]["tiny"]["scores"]["mcd"]
    assert (cell["files"], cell["failed"]) == (3, 1)


@pytest.mark.slow
def test_two_processes_give_the_same(recordings: Path) -> None:
    evaluate()
    one = Path("out/scores.jsonl").read_text()
    Path("out").rename("serial")
    evaluate(jobs=2)
    first, second = (
        [json.loads(line) for line in text.splitlines()] for text in (one, Path("out/scores.jsonl").read_text())
    )
    for mine, other in zip(first, second, strict=True):
        assert mine["scores"] == pytest.approx(other["scores"], abs=1e-6)  # ESTOI adds noise of 2e-16
        assert mine["key"] == other["key"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "got neither recordings nor a list of them, expected `data` DIR, `list_file` TSV or both"),
        ({"data": Path("none")}, "none: got no such folder, expected a folder of recordings"),
        ({"data": Path("runs")}, "runs: got no recordings, expected .wav, .flac, .ogg, ... in it or below it"),
    ],
)
def test_no_recordings(workplace: Path, options, text) -> None:
    with pytest.raises(CorpusError) as error:
        evaluation.evaluate(MODEL, Path("out"), SETTINGS, **options)
    assert str(error.value) == text
    assert not Path("out").exists()


@pytest.mark.slow
def test_a_transcript_in_another_encoding_stops_nothing(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("data/p225/0.txt").write_bytes("café".encode("latin-1"))
    Path("data/p226/1.txt").write_bytes("\ufeffa cup".encode())
    assert evaluate().errors == 0  # nobody asks for words
    heard = []

    def words(_reference, _degraded, _asr, text):
        heard.append(text)
        return {"wer": 0.0, "words": 1}

    monkeypatch.setattr(scoring, "_word_errors", words)
    settings = scoring.make_settings(mcd="textbook", align=True, asr="echo some words", sv=None)
    done = evaluation.evaluate(MODEL, Path("out"), settings, data=Path("data"))
    assert done.errors == 1
    assert any("data/p225/0.txt: not a transcript in UTF-8 ('utf-8' codec can't decode" in note for note in done.notes)
    assert heard == [None, "a cup"]
    Path("data/p226/1.txt").write_text("two cups")
    evaluation.evaluate(MODEL, Path("out"), settings, data=Path("data"))
    assert heard == [None, "a cup", "two cups"]  # its row is made anew, the other one is kept


@pytest.mark.slow
def test_a_judge_that_was_replaced_scores_anew(recordings: Path) -> None:
    settings = scoring.make_settings(mcd="textbook", align=True, mos=f"{sys.executable} judge.py")
    for mos, replaced in (("3.25", False), ("4.5", True)):
        Path("judge.py").write_text(f"print({mos})\n")
        notes = evaluation.evaluate(MODEL, Path("out"), settings, data=Path("data")).notes
        assert json.loads(Path("out/scores.json").read_text())["systems"]["tiny"]["scores"]["mos"]["mean"] == float(mos)
        assert any("3 rows of other recordings or settings were replaced" in note for note in notes) == replaced


@pytest.mark.slow
def test_what_is_made_anew_leaves_no_row_of_before(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes and sounds of other settings took the place of those that the rows were of."""

    def run(form: str) -> None:
        settings = scoring.make_settings(mcd=form, align=True)
        evaluation.evaluate(MODEL, Path("out"), settings, data=Path("data"), listen=3)

    run("textbook")
    score = evaluated_rows.score_signals

    def interrupted(*args: Any, **options: Any) -> Any:
        if calls:
            raise KeyboardInterrupt
        calls.append(args)
        return score(*args, **options)

    calls: list[Any] = []
    with monkeypatch.context() as patched:
        patched.setattr(evaluated_rows, "score_signals", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("versa")
    made: list[str] = []
    monkeypatch.setattr(
        evaluated_rows, "_make_row", lambda task, make=evaluated_rows._make_row: made.append(task.key) or make(task)
    )
    run("textbook")
    assert len(made) == 3


@pytest.mark.slow
def test_names_that_are_taken_are_others(recordings: Path) -> None:
    """`sounds/reference` is that of the recordings."""
    for name in ("reference", "original"):
        make_model(Path("runs", name, "model.safetensors"))
        done = evaluation.evaluate(f"runs/{name}", Path(name), SETTINGS, data=Path("data"), listen=1)
        assert done.systems == (f"{name}-model",)
    samples = [soundfile.read(f"reference/sounds/{name}/nobody/2.flac")[0] for name in ("reference", "reference-model")]
    assert not np.array_equal(*samples)
    Path("runs/tiny/results").mkdir()
    os.chdir("runs/tiny/results")
    done = evaluation.evaluate("..", Path("out"), SETTINGS, data=recordings / "data", listen=0)
    assert done.systems == ("tiny",)


@pytest.mark.slow
def test_a_codec_that_is_named_twice_counts_once(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "find_baselines", lambda names: ([], names))
    done = evaluate(baselines=["codec2-3200", "codec2-3200"])
    assert list(done.notes).count("codec2-3200") == 1
    monkeypatch.setattr(
        evaluation, "find_baselines", lambda _: ([codecs.OriginalUnderTest(name="tiny", family="tiny")], [])
    )
    with pytest.raises(SqcodecError, match="^tiny: the name of two codecs here; copy the model to a folder of another"):
        evaluate(baselines=["whatever"])


@pytest.mark.ships
def test_rates_of_one_name_are_one(recordings: Path) -> None:
    codec = sqcodec.load("speech16k", device="cpu")
    asked = evaluation._Asked((800.0, 800.00001, 1600.0), None)
    names = [model.name for model in evaluation._models(codec, codec.path, asked, "griffin-lim", "cpu")]
    assert names == ["speech16k-800", "speech16k-1600"]


def test_a_row_is_of_its_recording_and_its_speaker(recordings: Path) -> None:
    system, folder = codecs.OriginalUnderTest(), Path("out")
    key = {}
    for name, speaker, root in (("a", "p225", "data"), ("a", "p226", "data"), ("a", "p225", "other")):
        Path(root).mkdir(exist_ok=True)
        soundfile.write(f"{root}/a.wav", speech_like(4000), 16000)
        os.utime(f"{root}/a.wav", (0, 0))
        utterance = Utterance(name=name, path=Path(root, "a.wav"), speaker=speaker, split="data")
        key[speaker, root] = evaluated_rows.task_of(system, utterance, SETTINGS, folder, ()).key
    assert len(set(key.values())) == 3


def test_nothing_to_evaluate_is_an_error(recordings: Path) -> None:
    Path("list.tsv").write_text("path\tspeaker\tsplit\n")
    with pytest.raises(CorpusError, match=r"^list.tsv: got no recordings \(earlier results do not count\), expected"):
        evaluation.evaluate(MODEL, Path("out"), SETTINGS, list_file=Path("list.tsv"))
    with pytest.raises(CorpusError, match=r"^data: got no recordings \(earlier results do not count\), expected"):
        evaluation.evaluate(MODEL, Path("data"), SETTINGS, data=Path("data"))


@pytest.mark.slow
def test_names_of_any_kind_are_evaluated(recordings: Path) -> None:
    sound = Path("data/p225/0.wav").read_bytes()
    for name in ("x" * 251 + ".wav", os.fsdecode(b"caf\xe9.wav"), "a b.wav", "a_b.wav"):
        Path("data/p225", name).write_bytes(sound)
    done = evaluate(listen=20, write_scp=True)
    assert (done.files, done.errors) == (7, 1)
    assert any(
        "its name is too long for the codes and sounds that are kept of it; rename it" in note for note in done.notes
    )
    lines = Path("out/sounds/tiny/wav.scp").read_text("utf-8", "surrogateescape").splitlines()
    names = [line.split()[0] for line in lines]
    assert len(set(names)) == len(names) == 6
    assert {"p225/a_b", "p225/a_b_"} <= set(names)
    assert Path("out/index.html").is_file()


@pytest.mark.slow
def test_rows_of_other_systems_stay(recordings: Path) -> None:
    """Baselines take long; the next evaluation of the model alone does not throw them away."""
    settings = scoring.make_settings(mcd="textbook", align=True)
    evaluation.evaluate(MODEL, Path("out"), settings, data=Path("data"))
    first = Path("out/scores.jsonl").read_text().splitlines()
    shutil.copytree(MODEL, "runs/other")
    notes = evaluation.evaluate("runs/other", Path("out"), settings, data=Path("data")).notes
    rows = Path("out/scores.jsonl").read_text().splitlines()
    assert rows[: len(first)] == first
    assert {json.loads(row)["system"] for row in rows} == {"tiny", "other"}
    assert f"out/scores.jsonl: {len(first)} rows of other systems stay, and are not in the tables" in notes
    assert list(json.loads(Path("out/scores.json").read_text())["systems"]) == ["other"]


@pytest.mark.slow
def test_a_reference_that_is_gone_is_written_again(recordings: Path) -> None:
    settings = scoring.make_settings(mcd="textbook", align=True)
    evaluation.evaluate(MODEL, Path("out"), settings, data=Path("data"), listen=1)
    shutil.rmtree("out/sounds/reference")
    assert evaluation.evaluate(MODEL, Path("out"), settings, data=Path("data"), listen=1).errors == 0
    assert len(list(Path("out/sounds/reference").rglob("*.flac"))) == 1
