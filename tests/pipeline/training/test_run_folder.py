"""Which folder, store and recipe a training takes, anew and resumed."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from sqcodec.errors import RecipeError, TrainingError
from sqcodec.model.model_file import add_tables
from sqcodec.pipeline.training.run_folder import begin, last_evaluation, refuse_second, run_training
from sqcodec.recipe import load_recipe
from tests.conftest import copy_model

FOLDERS = {
    "model": "",
    "vocoder": "vocoder",
    "vocoder-on-codec": "vocoder-on-codec",
    "joint": "joint",
    "context": "context",
    "contrast": "contrast",
    "prior": "prior",
}


@pytest.mark.parametrize("stage", FOLDERS)
def test_folders_and_store_are_named_after_the_recipe(stage, tmp_path) -> None:
    plan = begin("vctk", (), stage=stage)
    assert (plan.run, plan.folder) == (Path("runs/vctk"), Path("runs/vctk") / FOLDERS[stage])
    assert (plan.features, plan.resume) == (Path("data/vctk"), False)
    plan = begin("vctk", (), stage=stage, features=tmp_path / "store", out=tmp_path / "run")
    assert (plan.features, plan.folder) == (tmp_path / "store", tmp_path / "run" / FOLDERS[stage])


def test_the_seed_is_that_of_the_stage() -> None:
    assert begin("vctk", ("train.seed=1",), stage="model", seed=5).recipe.train.seed == 5
    assert begin("istft", (), stage="vocoder", seed=5).recipe.vocoder.train.seed == 5
    assert begin("istft", (), stage="vocoder-on-codec", seed=5).recipe.vocoder.train.seed == 5
    together = begin("speech16k", ("joint.vocoder.train.seed=3",), stage="joint", seed=5).recipe
    assert together.joint_vocoder.train.seed == 5
    assert begin("speech16k", (), stage="live", seed=5).recipe.joint_vocoder.train.seed == 5
    recipe = begin("vctk", (), stage="prior", seed=5).recipe
    assert (recipe.prior.seed, recipe.train.seed) == (5, 0)


@pytest.mark.parametrize("stage", FOLDERS)
def test_a_resume_takes_the_recipe_that_the_training_began_with(stage, tmp_path) -> None:
    begun = load_recipe("vctk", ("prior.dropout=0.25", "name=other"))
    folder = tmp_path / FOLDERS[stage]
    folder.mkdir(exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(begun.model_dump(mode="json")), "utf-8")
    plan = begin("vctk", ("train.steps=7",), stage=stage, out=tmp_path, resume=True)
    assert (plan.recipe.prior.dropout, plan.recipe.train.steps) == (0.25, 7)
    assert (plan.run, plan.features) == (tmp_path, Path("data/other"))
    assert begin("vctk", (), stage=stage, out=tmp_path).recipe == load_recipe("vctk")
    nothing_begun = begin("vctk", (), stage=stage, out=tmp_path / "nothing", resume=True)
    assert nothing_begun.recipe == load_recipe("vctk")


def test_a_new_name_names_folder_and_store() -> None:
    plan = begin("vctk", ("train.steps=3", "name=mine"), stage="model")
    assert (plan.run, plan.features) == (Path("runs/mine"), Path("data/mine"))


@pytest.mark.parametrize(("recipe", "stage"), [("istft", "context"), ("vctk", "vocoder"), ("istft", "model")])
def test_a_seed_is_nothing_to_a_recipe_without_the_section(recipe, stage) -> None:
    """The stage itself says what is missing."""
    assert begin(recipe, (), stage=stage, seed=3).recipe == load_recipe(recipe)


def test_the_receiver_that_follows_has_its_folder() -> None:
    assert begin("speech16k", (), stage="live").folder == Path("runs/speech16k/live")
    with pytest.raises(RecipeError, match="recipe vctk has no section 'joint.live'"):
        begin("vctk", (), stage="live")


def test_the_overrides_of_the_receiver_that_follows_count_in_its_resume_too(tmp_path) -> None:
    change = ("joint.live.vocoder.train.steps=77",)
    begun = begin("speech16k", change, stage="live", out=tmp_path)
    assert begun.recipe.joint_vocoder.train.steps == 77
    begun.folder.mkdir()
    (begun.folder / "recipe.yaml").write_text(yaml.safe_dump(begun.recipe.model_dump(mode="json")), "utf-8")
    for more, steps in (("joint.live.vocoder.train.steps=99", 99), ("joint.vocoder.train.steps=99", 77)):
        again = begin("speech16k", (more,), stage="live", out=tmp_path, resume=True)
        assert again.recipe.joint_vocoder.train.steps == steps


@pytest.mark.parametrize(
    "changes",
    [
        ("joint.vocoder.train.learning_rate=1e-4",),  # joint.live has another one
        ("joint.live.vocoder.train.steps=500", "joint.vocoder.train.steps=900"),
        ("joint.decoder_lookahead=2", "joint.vocoder.lookahead=3"),
        ("joint.heard.balance=0.5",),  # which it has not
        ("joint.mel=7.0",),  # this one counts
    ],
)
def test_the_same_command_resumes_the_same_receiver(changes, tmp_path) -> None:
    begun = begin("speech16k", changes, stage="live", out=tmp_path)
    begun.folder.mkdir()
    (begun.folder / "recipe.yaml").write_text(yaml.safe_dump(begun.recipe.model_dump(mode="json")), "utf-8")
    assert begin("speech16k", changes, stage="live", out=tmp_path, resume=True).recipe == begun.recipe


def test_wrong_overrides_are_refused() -> None:
    with pytest.raises(RecipeError, match="train.stepps: unknown key"):
        begin("vctk", ("train.stepps=3",), stage="model")


def test_a_second_training_is_refused_unless_it_resumes(tmp_path) -> None:
    refuse_second(tmp_path, resume=False)
    (tmp_path / "checkpoint.pt").touch()
    refuse_second(tmp_path, resume=True)
    with pytest.raises(TrainingError, match="holds a training already: add `resume` to go on with it, or `folder` DIR"):
        refuse_second(tmp_path, resume=False)


@pytest.mark.parametrize("name", ["model.safetensors", "vocoder.safetensors"])
def test_what_a_training_made_is_not_replaced_where_its_checkpoint_is_gone(name, tmp_path) -> None:
    (tmp_path / name).touch()
    refuse_second(tmp_path, resume=True)
    with pytest.raises(TrainingError, match=rf"holds {name}, and no checkpoint.pt to go on from: move"):
        refuse_second(tmp_path, resume=False)


def test_a_finished_model_is_not_replaced_where_its_checkpoint_is_gone(tmp_path, made_model) -> None:
    """What a crash left before its first checkpoint is."""
    path = copy_model(made_model, tmp_path / "run" / "model.safetensors")
    path.with_name("recipe.yaml").touch()
    refuse_second(path.parent, resume=False)
    add_tables(path, path, {"0.counts": np.ones(16, np.uint32)}, "0123456789ab")
    with pytest.raises(TrainingError, match="holds model.safetensors, and no checkpoint.pt"):
        refuse_second(path.parent, resume=False)


def test_a_training_that_another_process_ended_meanwhile_is_not_begun_again(tmp_path) -> None:
    """Both saw an empty folder; the second gets the lock when the first has ended."""
    late = SimpleNamespace(fabric=SimpleNamespace(is_global_zero=True), folder=tmp_path / "run", step=0)
    late.folder.mkdir()
    (late.folder / "checkpoint.pt").touch()
    with pytest.raises(TrainingError, match="holds a training already"):
        run_training(late, load_recipe("vctk"), lambda entry: None, None)
    assert [path.name for path in late.folder.iterdir()] == ["checkpoint.pt"]


def test_the_last_evaluation_is_found_or_missed(tmp_path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 1, "test_x": 5}\n{"step": 2, "test_x": 4}\n{"step": 3}\n', "utf-8")
    assert last_evaluation(tmp_path, "test_x") == {"step": 2, "test_x": 4}
    with pytest.raises(TrainingError, match="the log holds no evaluation; it was changed by hand"):
        last_evaluation(tmp_path, "test_y")
