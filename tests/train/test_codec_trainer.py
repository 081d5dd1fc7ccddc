"""Training a tiny recipe: resume bit for bit, stop on signals, refuse what cannot go on, diverge with a reason."""

import json
import math
import os
import signal

import pytest
import torch
from safetensors.torch import load_file

from sqcodec.corpus.store import open_store
from sqcodec.errors import RecipeError, TrainingError
from sqcodec.model.model_file import load_model
from sqcodec.model.model_header import read_header
from sqcodec.pipeline.training.launch import make_fabric
from sqcodec.pipeline.training.train_codec import train
from sqcodec.recipe import load_recipe
from sqcodec.train.codec_trainer import CodecTrainer, usage
from sqcodec.train.crops import Crops, step_seed
from sqcodec.train.log import read_log
from sqcodec.train.reconstruction import evaluate
from tests.train.conftest import SMALL, make_store


def run(recipe, store, folder, *, resume=False, report=lambda entry: None):
    return train(recipe, store, folder, device="cpu", resume=resume, report=report)


def with_steps(steps, *more):
    return load_recipe("zerospeech2019", (*SMALL, f"train.steps={steps}", *more))


@pytest.mark.slow
def test_a_training_leaves_model_log_and_pictures(recipe, store, tmp_path):
    entries = []
    done = run(recipe, store, tmp_path / "run", report=entries.append)
    assert done.step == 20
    names = {path.name for path in done.folder.iterdir()}
    pictures = {"curves.png", "spectrograms.png"}
    assert names == {"model.safetensors", "checkpoint.pt", "log.jsonl", "recipe.yaml", "tensorboard"} | pictures
    assert entries == read_log(done.folder / "log.jsonl")
    logged = next(entry for entry in entries if entry["step"] == 10)
    assert {"loss", "reconstruction", "quadratic", "entropy", "mse", "log_var", "posterior_entropy", "temperature",
            "test_mse", "test_perplexity", "test_codewords"} <= logged.keys()  # fmt: skip
    assert logged["loss"] == pytest.approx(logged["reconstruction"] + logged["quadratic"] - logged["entropy"])
    assert entries[-1]["test_mse"] == done.test_mse
    assert entries[-1]["learning_rate"] == pytest.approx(2e-4)  # halved once, at step 12
    assert any("epoch_perplexity" in entry for entry in entries)
    assert next((done.folder / "tensorboard").iterdir()).stat().st_size > 500
    assert read_header(done.folder / "model.safetensors").step == 20


@pytest.mark.slow
def test_the_loss_falls(store, tmp_path):
    entries = []
    run(with_steps(150, "train.log_every=10"), store, tmp_path / "run", report=entries.append)
    losses = [entry["loss"] for entry in entries if "loss" in entry]
    assert losses[-1] < losses[0] - 50


@pytest.mark.slow
def test_ten_steps_resumed_for_ten_are_twenty_bit_for_bit(recipe, store, tmp_path):
    run(recipe, store, tmp_path / "whole")
    run(with_steps(10), store, tmp_path / "parts")
    run(recipe, store, tmp_path / "parts", resume=True)
    whole, parts = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    states = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "parts")]
    for index, moments in states[0]["optimizer"]["state"].items():
        for name, value in moments.items():
            assert torch.equal(value, states[1]["optimizer"]["state"][index][name])
    tests = [
        [(entry["step"], entry["test_mse"]) for entry in read_log(tmp_path / name / "log.jsonl") if "test_mse" in entry]
        for name in ("whole", "parts")
    ]
    assert tests[0] == tests[1]
    assert [step for step, _ in tests[0]] == [10, 20]


@pytest.mark.slow
def test_a_crash_between_saves_loses_nothing_but_the_steps_since(recipe, store, tmp_path):
    run(recipe, store, tmp_path / "whole")

    class CrashError(Exception):
        pass

    def crash(entry):
        if entry["step"] == 15:
            raise CrashError

    with pytest.raises(CrashError):
        run(recipe, store, tmp_path / "crashed", report=crash)
    assert read_log(tmp_path / "crashed" / "log.jsonl")[-1]["step"] == 15
    run(recipe, store, tmp_path / "crashed", resume=True)
    assert read_log(tmp_path / "crashed" / "log.jsonl") == read_log(tmp_path / "whole" / "log.jsonl")
    whole, crashed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "crashed"))
    assert all(torch.equal(whole[name], crashed[name]) for name in whole)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_save_and_say_how_to_go_on(recipe, store, tmp_path, number):
    def interrupt(entry):
        if entry["step"] == 5:
            os.kill(os.getpid(), number)

    with pytest.raises(TrainingError) as caught:
        run(recipe, store, tmp_path / "run", report=interrupt)
    assert str(caught.value) == (
        f"stopped at step 5 of 20, all saved in {tmp_path / 'run'}; the same command with `resume` goes on from here"
    )
    assert run(recipe, store, tmp_path / "run", resume=True).step == 20
    run(recipe, store, tmp_path / "whole")
    whole, parts = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "run"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_loss_that_is_not_finite_stops_with_step_and_cause(store, tmp_path):
    text = r"^the loss is not finite at step \d+ \(reconstruction .*\): most often train.learning_rate \(1e\+30\)"
    with pytest.raises(TrainingError, match=text):
        run(with_steps(20, "train.learning_rate=1e30"), store, tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_a_temperature_that_has_fallen_too_far_is_the_cause(store, tmp_path):
    text = (
        r"^the loss is not finite at step 2 \(.*\): train.temperature_rate \(100\) is too high, the temperature has"
        r" fallen to 3.7e-44; .* should be about 1.5, which for 20 steps is a rate of 0.075. Change it"
    )
    with pytest.raises(TrainingError, match=text):
        run(with_steps(20, "train.temperature_rate=100"), store, tmp_path / "run")


def test_batches_of_one_latent_are_refused(store, tmp_path):
    with pytest.raises(RecipeError, match="train.batch 1 and train.frames 2 .* a single latent, .* enlarge either"):
        run(with_steps(1, "train.batch=1", "train.frames=2"), store, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("change", ["train.batch=2", "train.frames=4"])
def test_two_latents_are_enough(store, tmp_path, change):
    assert run(with_steps(1, "train.batch=1", "train.frames=2", change), store, tmp_path / "run").step == 1


def test_a_split_that_cannot_be_evaluated_is_refused_before_the_first_step(tmp_path):
    store = make_store(tmp_path / "corpus", samples=(9000,))  # the test split has no utterance of s0
    with pytest.raises(TrainingError, match="set train.evaluate_split to a split of seen speakers"):
        run(with_steps(1), store, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_folder_in_use_is_not_overwritten(recipe, store, tmp_path):
    run(with_steps(1), store, tmp_path / "run")
    with pytest.raises(TrainingError) as caught:
        run(recipe, store, tmp_path / "run")
    assert str(caught.value) == (
        f"{tmp_path / 'run'} holds a training already: add `resume` to go on with it, or `folder` DIR to start another"
    )


@pytest.mark.slow
def test_resume_refuses_what_does_not_fit(recipe, store, tmp_path):
    with pytest.raises(
        TrainingError, match=r"checkpoint.pt: there is no checkpoint to resume from; leave `resume` out"
    ):
        run(recipe, store, tmp_path / "run", resume=True)
    run(with_steps(1), store, tmp_path / "run")
    with pytest.raises(TrainingError, match="cannot resume, quantizer differ"):
        run(with_steps(20, "quantizer.variance=I"), store, tmp_path / "run", resume=True)
    other = make_store(tmp_path / "other", level=2.0)
    with pytest.raises(TrainingError, match="cannot resume, the feature store differ"):
        run(recipe, other, tmp_path / "run", resume=True)
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-2000])
    with pytest.raises(TrainingError, match="checkpoint.pt: damaged, or not a checkpoint of sqcodec"):
        run(recipe, store, tmp_path / "run", resume=True)


def test_a_store_of_other_features_or_splits_is_refused(store, tmp_path):
    with pytest.raises(TrainingError) as caught:
        run(with_steps(1, "features.kind=log-mel"), store, tmp_path / "run")
    assert str(caught.value).startswith(
        f"{store} holds paper-mel features, recipe zerospeech2019 expects log-mel; prepare the corpus"
    )
    with pytest.raises(TrainingError) as caught:
        run(with_steps(1, "features.sample_rate=24000", "features.hop_length=200"), store, tmp_path / "run")
    assert str(caught.value).startswith(
        f"{store} holds paper-mel features, recipe zerospeech2019 expects paper-mel (hop_length 200, sample_rate 24000)"
    )
    with pytest.raises(TrainingError, match="has no split 'nothing', it has train, test; set train.evaluate_split"):
        run(with_steps(1, "train.evaluate_split=nothing"), store, tmp_path / "run")


def test_crops_are_whole_cuts_of_long_enough_utterances(store):
    split = open_store(store).splits["train"]
    crops = Crops(split, ("s0", "s1"), 32, torch.device("cpu"))
    batch = crops.draw(500, seed=3)
    assert batch.features.shape == (500, 80, 34)
    long = [row for row in split.rows if row.frames > 36]
    assert len(long) == 2  # 25 frames are too few
    places = {}
    for row in long:
        features = torch.tensor(split.features[row.frame : row.frame + row.frames], dtype=torch.float32).T
        for start in range(row.frames - 33):
            places[features[:, start : start + 34].numpy().tobytes()] = (
                row.name,
                start,
                {"s0": 0, "s1": 1}[row.speaker],
            )
    found = [places[features.numpy().tobytes()] for features in batch.features]
    assert [speaker for _, _, speaker in found] == batch.speaker.tolist()
    for (
        row
    ) in long:  # each utterance is equally likely: 5 standard deviations of 500 draws; first and last offset occur
        starts = [start for name, start, _ in found if name == row.name]
        assert abs(len(starts) - 250) < 56
        assert min(starts) == 0 or row.frames > 60
    assert torch.equal(batch.features, crops.draw(500, seed=3).features)
    assert not torch.equal(batch.features, crops.draw(500, seed=4).features)


def test_crops_from_the_mapped_file_are_the_same(store, monkeypatch):
    split = open_store(store).splits["train"]
    resident = Crops(split, ("s0", "s1"), 8, torch.device("cpu")).draw(64, seed=1)
    monkeypatch.setattr("sqcodec.train.crops._fits", lambda split, device: False)
    mapped = Crops(split, ("s0", "s1"), 8, torch.device("cpu")).draw(64, seed=1)
    assert torch.equal(resident.features, mapped.features)
    assert torch.equal(resident.speaker, mapped.speaker)


def test_too_short_utterances_are_named(tmp_path):
    store = make_store(tmp_path / "short", samples=(1000, 1200))
    with pytest.raises(TrainingError, match=r"no utterance of the training split is longer than 36 frames \(the longest"
                                            r" has 8\)"):  # fmt: skip
        Crops(open_store(store).splits["train"], ("s0", "s1"), 32, torch.device("cpu"))


def test_step_seeds_differ_by_seed_step_and_stream():
    seeds = {step_seed(seed, step, stream) for seed in range(5) for step in range(200) for stream in range(3)}
    assert len(seeds) == 3000
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.slow
def test_evaluation_follows_the_official_protocol(recipe, store, tmp_path):
    run(recipe, store, tmp_path / "run")
    codec = load_model(tmp_path / "run" / "model.safetensors")
    split = open_store(store).splits["test"]
    result = evaluate(codec, split, torch.device("cpu"))
    assert (result.utterances, result.left_out) == (1, 1)  # the stranger's utterance cannot be decoded
    # 8123 samples are 51 frames as librosa counts; the odd one is dropped, then frames 1 to T - 2 are scored
    assert result.frames == 48
    row = split.rows[0]
    source = torch.tensor(split.features[row.frame : row.frame + 50], dtype=torch.float32).T
    codes = codec.encode(source[None])
    decoded = codec.decode(codes, torch.tensor([codec.speakers.index("s1")]))[0]
    error = (decoded - source[:, 1:-1]).double().square().sum() / (80 * 48) * 80**2
    assert result.mse == pytest.approx(error.item(), rel=1e-12)
    shares = torch.bincount(codes.flatten()) / codes.numel()
    shares = shares[shares > 0].double()
    logged = usage("test", result.counts)
    assert logged["test_perplexity"] == pytest.approx(torch.exp(-(shares * shares.log()).sum()).item(), rel=1e-6)
    assert logged["test_codewords"] == len(shares)


@pytest.mark.slow
def test_evaluation_without_a_seen_speaker_is_refused(recipe, store, tmp_path):
    run(with_steps(1), store, tmp_path / "run")
    codec = load_model(tmp_path / "run" / "model.safetensors")
    codec.speakers = ("x", "y")
    with pytest.raises(TrainingError, match="no utterance of the evaluation split has a speaker that the model was"):
        evaluate(codec, open_store(store).splits["test"], torch.device("cpu"))


def test_a_log_cut_short_by_a_crash_is_read_to_its_last_whole_line(tmp_path):
    (tmp_path / "log.jsonl").write_text(json.dumps({"step": 1}) + '\n{"step": 2, "lo')
    assert read_log(tmp_path / "log.jsonl") == [{"step": 1}]


ANY_SPEAKER = (
    "network={kind: convnext, dim: 12, hidden: 16, encoder_layers: 1, decoder_layers: 1, encoder_lookahead: 1,"
    " decoder_lookahead: 1}",
    "features.kind=log-mel",
    "quantizer={kind: residual, stages: 2, codewords: 8, dim: 4, initial_variance: 1.0, ratio: 0.5, dropout: 0.5,"
    " warmup_steps: 7, freeze_step: 15}",
    "target.loudness=0.2", "train.level=[-20, -3]",
)  # fmt: skip


def any_speaker(steps, *more):
    changes = [change for change in SMALL if not change.startswith(("network", "quantizer"))]
    return load_recipe("zerospeech2019", (*changes, *ANY_SPEAKER, f"train.steps={steps}", *more))


@pytest.mark.slow
def test_a_model_for_any_speaker_warms_up_and_resumes_bit_for_bit(tmp_path):
    store = make_store(tmp_path / "corpus", kind="log-mel")
    entries = []
    run(any_speaker(20), store, tmp_path / "whole", report=entries.append)
    run(any_speaker(10), store, tmp_path / "parts")
    run(any_speaker(20), store, tmp_path / "parts", resume=True)
    run(any_speaker(16), store, tmp_path / "early")
    whole, parts = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    header = read_header(tmp_path / "whole" / "model.safetensors")
    assert header.speakers == ()
    first, last = (next(e for e in entries if e["step"] == step) for step in (5, 20))
    assert first["entropy"] == 0.0  # nothing was quantised yet
    assert last["entropy"] > 0.0
    early = load_file(tmp_path / "early" / "model.safetensors")
    moved = {name.split(".")[0] for name in whole if not torch.equal(whole[name], early[name])}
    assert moved == {"decoder"}  # since the codebooks were refitted before step 16 the decoder alone has gone on
    assert last["test_utterances"] == 2  # the stranger's is scored too
    assert last["test_left_out"] == 0


def test_crops_come_at_the_level_drawn(tmp_path):
    split = open_store(make_store(tmp_path / "corpus", kind="log-mel", level=0.1)).splits["train"]
    plain = Crops(split, (), 8, torch.device("cpu")).draw(64, 5)
    levelled = Crops(split, (), 8, torch.device("cpu"), (-30.0, -6.0)).draw(64, 5)
    louder = (levelled.features - plain.features).mean((1, 2)) * (20 / math.log(10))
    # the recordings' gain is 0.5 of a peak of 0.999: -6.03 dB of full scale
    assert louder.min() > -30 + 6
    assert louder.max() < -6 + 6.1
    assert louder.max() - louder.min() > 18
    assert (levelled.speaker == 0).all()


def test_a_step_reads_nothing_from_the_device(recipe, store, tmp_path, monkeypatch):
    """On a GPU each of these would wait for it; nothing is asked until something is logged."""
    trainer = CodecTrainer(recipe, open_store(store), tmp_path / "run", make_fabric("cpu", "32-true"))
    trainer.model.train()

    def refuse(*_arguments):
        raise AssertionError("a training step read a tensor")

    with monkeypatch.context() as patch:
        for name in ("item", "tolist", "__bool__", "__float__", "__int__", "cpu", "numpy"):
            patch.setattr(torch.Tensor, name, refuse)
        for _ in range(3):
            trainer.advance()
        with pytest.raises(AssertionError, match="read a tensor"):
            trainer.stop_if_bad()


def test_a_checkpoint_of_release_0_1_0_goes_on_with_its_sums_of_losses(recipe, store, tmp_path):
    """It kept them in one tensor, with one number of steps."""
    (tmp_path / "run").mkdir()
    begun, resumed = (
        CodecTrainer(recipe, open_store(store), tmp_path / "run", make_fabric("cpu", "32-true")) for _ in range(2)
    )
    for _ in range(3):
        begun.advance()
    begun.save()
    state = torch.load(begun.checkpoint, weights_only=True)
    former = {"sums": torch.stack(list(state["sums"].values())), "summed": 3}
    torch.save(state | former, begun.checkpoint)
    resumed.resume()
    for trainer in (begun, resumed):
        trainer.advance()
    assert resumed.losses.means() == begun.losses.means()
    assert resumed.step == 4


@pytest.mark.slow
def test_a_finished_training_keeps_the_tables_that_files_are_written_with(store, tmp_path, monkeypatch):
    from sqcodec.pipeline.training import train_codec

    run(with_steps(10), store, tmp_path / "run")
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    monkeypatch.setattr(train_codec, "count_tables", lambda *_: pytest.fail("tables are counted again"))
    run(with_steps(10), store, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("per_code", [1, 2, 3, 4])
def test_codebooks_begin_with_as_many_latents_as_they_ask_for(tmp_path, per_code):
    store = open_store(make_store(tmp_path / "corpus", kind="log-mel"))
    recipe = any_speaker(20, f"features.frames_per_code={per_code}", "train.frames=12")
    trainer = CodecTrainer(recipe, store, tmp_path / "run", make_fabric("cpu", "32-true"))
    for enough in (1, 100, 1000):
        assert enough <= len(trainer._latents(enough)) < enough + recipe.train.batch * 12 // per_code
