import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sqcodec.corpus import store
from sqcodec.errors import AudioError, CorpusError, TrainingError
from sqcodec.features.mel import extract
from sqcodec.pipeline.training import prepare
from sqcodec.pipeline.training.comparison import compare, plan
from sqcodec.pipeline.training.corpora import scan
from sqcodec.pipeline.training.run_folder import begin
from sqcodec.pipeline.training.shards import SILENCE, shortest
from sqcodec.recipe import load_recipe
from sqcodec.spectrogram import FEATURES


def tone(path: Path, seconds: float = 0.3, rate: int = 16000, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.4 * np.sin(np.arange(int(seconds * rate)) * 0.1)
    soundfile.write(path, np.tile(samples[:, None], (1, channels)), rate)
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    for number in range(6):
        tone(root / f"s{number % 2}" / f"{number}.wav", 0.2 + 0.01 * number)
    return root


def run(root: Path, out: Path, **options: object) -> prepare.Prepared:
    return prepare.prepare("folder", data=root, out=out, **options)  # type: ignore[arg-type]


def test_store_holds_features_and_audio_of_each_recording(corpus: Path, tmp_path: Path) -> None:
    done = run(corpus, tmp_path / "s")
    assert done.fresh
    assert done.reports == ()
    assert [(split.name, split.utterances, split.speakers) for split in done.splits] == [
        ("test", 2, 2),
        ("train", 4, 2),
    ]
    for split in store.open_store(tmp_path / "s").splits.values():
        for row in split.rows:
            samples = soundfile.read(corpus / f"{row.name}.wav", dtype="float32")[0]
            assert row.gain == pytest.approx(abs(samples).max() / 0.999)
            expected = extract(torch.from_numpy(samples), FEATURES["paper-mel"]).T.numpy()
            stored = split.features[row.frame : row.frame + row.frames]
            np.testing.assert_allclose(stored, expected, atol=2**-11)  # half a float16 step below 2
            audio = split.audio[row.sample : row.sample + row.samples] * (row.gain / 32767)
            np.testing.assert_allclose(audio, samples, atol=row.gain / 32767 / 2 + 1e-6)  # half an int16 step


def test_one_process_equals_several(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "UTTERANCES_A_SHARD", 2)
    run(corpus, tmp_path / "one", jobs=1)
    run(corpus, tmp_path / "two", jobs=2)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) == 9
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_nothing_new_makes_nothing(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(corpus, tmp_path / "s")
    monkeypatch.setattr(prepare, "make_shard", None)
    again = run(corpus, tmp_path / "s")
    assert not again.fresh
    assert sum(split.utterances for split in again.splits) == 6


@pytest.mark.parametrize("change", ["touched", "added", "features", "split"])
def test_any_change_makes_it_new(corpus: Path, tmp_path: Path, change: str) -> None:
    run(corpus, tmp_path / "s")
    overrides = {"features": ("features.kind=log-mel",), "split": ("corpus.test_fraction=0.9",)}.get(change, ())
    match change:
        case "touched":
            os.utime(corpus / "s0" / "0.wav", (1, 1))
        case "added":
            tone(corpus / "s0" / "new.wav")
    assert run(corpus, tmp_path / "s", overrides=overrides).fresh


def test_interrupted_work_resumes(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "UTTERANCES_A_SHARD", 2)
    made, real = [], prepare.make_shard

    def interrupted(task: prepare.ShardTask) -> tuple[int, list[store.Report]]:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(task.shard)
        return real(task)

    monkeypatch.setattr(prepare, "make_shard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(corpus, tmp_path / "s")
    assert not (tmp_path / "s").exists()
    assert all(shard.is_dir() for shard in made)
    rest: list[Path] = []
    monkeypatch.setattr(prepare, "make_shard", lambda task: (rest.append(task.shard), real(task))[1])
    progress: list[int] = []
    run(corpus, tmp_path / "s", progress=lambda what, done, total: progress.append(done))
    assert len(rest) == 1
    assert not set(rest) & set(made)
    assert progress == [0, 2, 4, 6]
    assert not store.partial_folder(tmp_path / "s").exists()


def test_shards_of_another_corpus_are_not_used(corpus: Path, tmp_path: Path) -> None:
    partial = store.partial_folder(tmp_path / "s")
    store.write_shard(partial / "shards" / "train" / "00000", [], [])
    (partial / "digest").write_text("of something else")
    assert sum(split.utterances for split in run(corpus, tmp_path / "s").splits) == 6


def test_a_store_is_of_its_recordings_wherever_they_lie(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a relative path, and after they were moved; not after one of them was changed."""
    tone(tmp_path / "noises" / "n.wav")
    noisy = (f"corpus.variations={{noisy: 0.9, noise: {tmp_path / 'noises'}}}",)
    assert run(corpus, tmp_path / "s", overrides=noisy).fresh
    corpus.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    noisy = ("corpus.variations={noisy: 0.9, noise: noises}",)
    assert not run(Path("moved"), tmp_path / "s", overrides=noisy).fresh
    os.utime(tmp_path / "noises" / "n.wav", ns=(0, 0))
    assert run(Path("moved"), tmp_path / "s", overrides=noisy).replaced
    os.utime(tmp_path / "moved" / "s0" / "0.wav", ns=(0, 0))
    assert run(Path("moved"), tmp_path / "s", overrides=noisy).replaced


def test_a_store_of_release_0_1_0_is_not_made_again(corpus: Path, tmp_path: Path) -> None:
    """Its digest held the paths as they were given."""
    run(corpus, tmp_path / "s")
    manifest = scan(load_recipe("folder"), Path(), data=corpus, list_file=None)
    rows = [
        (each.name, str(each.path), each.speaker, each.split, each.path.stat().st_size, each.path.stat().st_mtime_ns)
        for each in manifest.utterances
    ]
    features = load_recipe("folder").features.configuration
    tree = [store.FORMAT, features.as_dict(), shortest(features), SILENCE, rows, manifest.left_out]
    tree.append(sorted(manifest.usual_rates))
    header = json.loads((tmp_path / "s" / "store.json").read_text())
    header["digest"] = hashlib.sha256(json.dumps(tree).encode()).hexdigest()
    (tmp_path / "s" / "store.json").write_text(json.dumps(header))
    assert not run(corpus, tmp_path / "s").fresh
    corpus.rename(tmp_path / "moved")
    assert run(tmp_path / "moved", tmp_path / "s").replaced


def awkward(root: Path) -> None:
    """One recording of each kind that wants a report."""
    tone(root / "s0" / "stereo.wav", channels=2)
    tone(root / "s0" / "slow.wav", rate=8000)
    tone(root / "s0" / "fast.wav", rate=96000)
    tone(root / "s0" / "short.wav", 0.02)
    tone(root / "s0" / "empty.wav", 0.0)
    soundfile.write(root / "s0" / "silent.wav", np.zeros(8000), 16000)
    soundfile.write(root / "s0" / "nan.wav", np.full(8000, np.nan), 16000, subtype="FLOAT")
    (root / "s0" / "broken.flac").write_bytes(b"fLaC" + bytes(40))


def test_awkward_recordings_are_reported_and_the_rest_goes_on(corpus: Path, tmp_path: Path) -> None:
    awkward(corpus)
    done = run(corpus, tmp_path / "s")
    assert prepare.count_reasons(done.reports) == [
        "skipped, broken: 1",
        "skipped, empty: 1",
        "skipped, not finite: 1",
        "skipped, silent: 1",
        "skipped, too short: 1",
        "kept, mixed down: 1",
        "kept, narrow band: 1",
        "kept, unusual rate: 1",
    ]
    assert sum(split.utterances for split in done.splits) == 6 + 3
    details = {report.name: report.detail for report in done.reports}
    assert details["s0/stereo"] == "2 channels were mixed down to one"
    assert details["s0/slow"] == "8000 Hz says nothing above 4000 Hz"
    assert details["s0/fast"] == "resampled from 96000 Hz"
    assert details["s0/short"] == "got 320 samples at 16000 Hz, expected 400 (25 ms) or more"
    assert details["s0/silent"] == "got a peak of 0.0e+00, expected 1.0e-04 (-80 dB) or more"
    text = (tmp_path / "s" / "report.txt").read_text().splitlines()
    assert text[:9] == [*prepare.count_reasons(done.reports), ""]
    assert "kept\ts0/fast\tunusual rate\tresampled from 96000 Hz" in text
    assert run(corpus, tmp_path / "s").reports == done.reports  # a second run tells them again


@pytest.mark.parametrize("finished", [False, True])
def test_strict_stops(corpus: Path, tmp_path: Path, finished: bool) -> None:
    tone(corpus / "s0" / "stereo.wav", channels=2)
    if finished:
        run(corpus, tmp_path / "s")
    with pytest.raises(
        AudioError, match=r"^s0/stereo: mixed down: 2 channels were mixed down to one; without `strict` the rest"
    ):
        run(corpus, tmp_path / "s", strict=True)
    assert (tmp_path / "s").exists() == finished


def test_listed_recordings_that_are_missing_are_reported(corpus: Path, tmp_path: Path) -> None:
    listed = tmp_path / "corpus" / "l.tsv"
    listed.write_text("path\tspeaker\tsplit\ns0/0.wav\ta\ttrain\ns0/2.wav\ta\ttest\ns0/gone.wav\ta\ttest\n")
    done = prepare.prepare("folder", list_file=listed, out=tmp_path / "s")
    assert [(report.name, report.reason) for report in done.reports] == [("s0/gone", "missing")]


def test_a_split_that_training_needs_must_not_be_empty(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError) as error:
        run(corpus, tmp_path / "s", overrides=("corpus.test_fraction=0.0",))
    assert str(error.value) == (
        f"split 'test' is empty: none that corpus.test_fraction=0.0 of {corpus} lists can be used;"
        " training needs it, get the audio or change the split"
    )
    with pytest.raises(CorpusError, match=r"split 'dev' is empty: no such split in recipe folder; training needs it"):
        run(corpus, tmp_path / "s", overrides=("train.evaluate_split=dev",))
    for path in corpus.rglob("*.wav"):
        path.write_text("no sound")
    with pytest.raises(CorpusError, match="split 'train' is empty"):
        run(corpus, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_partial_vctk_says_what_is_missing(tmp_path: Path) -> None:
    for name in ("p225_001", "p225_009", "p226_002"):
        tone(tmp_path / "wav48_silence_trimmed" / name[:4] / f"{name}_mic1.flac", rate=48000)
    done = prepare.prepare("vctk", data=tmp_path, out=tmp_path / "s")
    assert [split.name for split in done.splits] == ["test", "train"]
    assert done.remarks[-2:] == (
        "test: 1 speaker(s) have no training recordings here (p226)",
        "unseen: empty, left out of the store",
    )
    assert [remark.partition(" entries")[0] for remark in done.remarks[:3]] == [
        "train: 100 of 102", "test: 508 of 510", "unseen: 8 of 8",
    ]  # fmt: skip


def test_a_foreign_folder_is_not_overwritten(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(CorpusError, match=r"mine: got other files, expected a feature store"):
        run(corpus, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()


@pytest.mark.parametrize("corpus_name", ["VCTK-Corpus-0.92", "zerospeech2019"])
def test_real_speech(corpus_name: str, tmp_path: Path) -> None:
    speech = os.environ.get("SQCODEC_SPEECH")
    if not speech:
        pytest.skip("SQCODEC_SPEECH does not name a folder of real speech")
    recipe = "vctk" if corpus_name.startswith("VCTK") else corpus_name
    done = prepare.prepare(recipe, data=Path(speech) / corpus_name, out=tmp_path / "s")
    assert not [report for report in done.reports if report.skipped]
    counts = {split.name: split.utterances for split in done.splits}
    expected = {
        "vctk": {"test": 32, "train": 57, "unseen": 2},
        "zerospeech2019": {"evaluation": 56, "test": 10, "train": 64},
    }
    assert counts == expected[recipe]


def copied(*values: str) -> tuple[str, ...]:
    return (f"corpus.variations={{{', '.join(values)}}}",)


def test_copies_of_training_recordings_join_them(corpus: Path, tmp_path: Path) -> None:
    plain = run(corpus, tmp_path / "s")
    done = run(corpus, tmp_path / "s", overrides=copied("lowered: 1.0"))
    assert done.fresh
    assert "train: 4 utterances are copies (4 lowered)" in done.remarks
    assert [(split.name, split.utterances) for split in plain.splits] == [("test", 2), ("train", 4)]
    assert [(split.name, split.utterances) for split in done.splits] == [("test", 2), ("train", 8)]
    rows = {row.name: row for row in store.open_store(tmp_path / "s").splits["train"].rows}
    for name, row in rows.items():
        if not name.endswith("~lowered"):
            assert 1.1 < rows[f"{name}~lowered"].samples / row.samples < 1.43  # a tenth to three tenths slower
            assert rows[f"{name}~lowered"].speaker == f"{row.speaker}~lowered"


def test_a_recipe_without_variations_makes_the_store_of_before(corpus: Path, tmp_path: Path) -> None:
    run(corpus, tmp_path / "s")
    assert not run(corpus, tmp_path / "s", overrides=("corpus.variations=null",)).fresh
    assert "variations" not in load_recipe("folder").model_dump(mode="json")["corpus"]
    assert load_recipe("folder", copied("lowered: 0.5")).model_dump()["corpus"]["variations"]["lowered"] == 0.5


def test_noise_and_rooms_from_folders_and_their_changes(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tone(tmp_path / "noises" / "n.wav", 0.5, rate=44100, channels=2)
    tone(tmp_path / "rooms" / "r.wav", 0.1)
    noisy = copied("noisy: 1.0", "noise: noises", "rooms: rooms")
    for jobs, out in ((1, "one"), (2, "two")):
        assert run(corpus, tmp_path / out, overrides=noisy, jobs=jobs).splits[1].utterances == 8
    one, two = (store.open_store(tmp_path / out).splits["train"].audio for out in ("one", "two"))
    np.testing.assert_array_equal(one, two)
    assert not run(corpus, tmp_path / "one", overrides=noisy).fresh
    os.utime(tmp_path / "noises" / "n.wav", (1, 1))
    assert run(corpus, tmp_path / "one", overrides=noisy).fresh


def test_a_copy_that_cannot_be_made_is_reported_with_its_cause(corpus: Path, tmp_path: Path) -> None:
    noise = tmp_path / "noises" / "broken.wav"
    noise.parent.mkdir()
    noise.write_bytes(b"RIFF")
    noisy = copied("noisy: 1.0", f"noise: {noise.parent}")
    done = run(corpus, tmp_path / "s", overrides=noisy)
    assert done.splits[1].utterances == 4  # the recordings themselves
    assert {(report.reason, report.name.rpartition("~")[2], report.skipped) for report in done.reports} == {
        ("no copy", "noisy", True)
    }
    assert all(report.detail.startswith(f"{noise}: ") for report in done.reports)
    with pytest.raises(AudioError, match="~noisy: no copy: .*broken.wav: "):
        run(corpus, tmp_path / "strict", overrides=noisy, strict=True)


def test_what_is_unusual_in_a_recording_is_said_once(tmp_path: Path) -> None:
    for name in ("a/1", "a/2", "a/3"):
        tone(tmp_path / "corpus" / f"{name}.wav", rate=8000, channels=2)
    plain = run(tmp_path / "corpus", tmp_path / "s")
    assert run(tmp_path / "corpus", tmp_path / "s", overrides=copied("raised: 1.0")).reports == plain.reports


def test_a_training_on_another_corpus_than_was_prepared_is_refused(corpus: Path, tmp_path: Path) -> None:
    """Its model would say that it was trained on what the override names."""
    folder, own = tmp_path / "s", ("corpus.test_fraction=0.4",)
    run(corpus, folder, overrides=own)
    assert begin("folder", own, stage="model", features=folder).recipe.corpus.test_fraction == 0.4
    begin("folder", stage="model", features=folder)
    text = (
        f"`overrides` corpus.test_fraction=0.3: {folder} was prepared with corpus.test_fraction 0.4; a training takes"
        " what is there. Give it to 'sqcodec prep' with another `out`, or leave it out"
    )
    with pytest.raises(TrainingError) as caught:
        begin("folder", ("corpus.test_fraction=0.3",), stage="model", features=folder)
    assert str(caught.value) == text
    cells = plan("folder", systems=["sq-IV"], seeds=[0], overrides=("corpus.test_fraction=0.3",))
    with pytest.raises(TrainingError, match="^`overrides` corpus: .* was prepared with corpus.test_fraction 0.4"):
        compare(
            "folder",
            cells,
            folder,
            tmp_path / "c",
            device="cpu",
            jobs=1,
            backend="local",
            command="",
            report_line=print,
        )


def test_a_new_store_has_its_section_from_the_first(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed when the store is there leaves nothing to be added."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sqcodec.corpus.store.record_section", killed)
    with pytest.raises(KeyboardInterrupt):
        run(corpus, tmp_path / "s")
    header = (tmp_path / "s" / "store.json").read_text()
    assert json.loads(header)["section"] == load_recipe("folder").corpus.model_dump(mode="json")
    monkeypatch.undo()
    assert not run(corpus, tmp_path / "s").fresh
    assert (tmp_path / "s" / "store.json").read_text() == header


def test_a_store_of_an_earlier_version_gets_its_section(corpus: Path, tmp_path: Path) -> None:
    run(corpus, tmp_path / "s")
    path = tmp_path / "s" / "store.json"
    header = json.loads(path.read_text())
    section = header.pop("section")
    assert section == load_recipe("folder").corpus.model_dump(mode="json")
    path.write_text(json.dumps(header))
    begin("folder", ("corpus.test_fraction=0.3",), stage="model", features=tmp_path / "s")  # it does not tell
    assert not run(corpus, tmp_path / "s").fresh
    assert json.loads(path.read_text())["section"] == section
