"""Recipes: what ships loads, wrong keys are named all at once, overrides are typed."""

import pytest
import yaml

from sqcodec.errors import RecipeError
from sqcodec.recipe import available_recipes, find_recipe, load_recipe


@pytest.mark.parametrize("name", ["vctk", "zerospeech2019", "folder", "tiny"])
def test_every_recipe_that_ships_loads(name):
    assert load_recipe(name).name == name
    assert name in available_recipes()


def test_a_recipe_is_found_by_name_folder_or_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = available_recipes()["vctk"] / "recipe.yaml"
    assert find_recipe("vctk") == find_recipe("recipes/vctk") == shipped
    mine = tmp_path / "recipes" / "vctk"
    mine.mkdir(parents=True)
    (mine / "recipe.yaml").write_text(shipped.read_text())
    assert find_recipe("recipes/vctk").resolve() == mine / "recipe.yaml"  # one's own copy comes first
    assert find_recipe("vctk") == shipped
    assert find_recipe(str(mine / "recipe.yaml")) == mine / "recipe.yaml"


def test_an_unknown_recipe_lists_what_there_is():
    with pytest.raises(RecipeError) as caught:
        load_recipe("vctkk")
    assert str(caught.value) == (
        "recipe 'vctkk': no such folder or file, and no recipe of that name comes with sqcodec; there are:"
        f" {', '.join(available_recipes())}. 'sqcodec recipe list' describes them"
    )


def test_all_wrong_keys_are_named_at_once(tmp_path):
    tree = yaml.safe_load(find_recipe("vctk").read_text())
    del tree["quantizer"]["dim"]
    tree["train"]["stpes"] = 3
    tree["train"]["batch"] = "many"
    tree["corpus"]["microphone"] = 3
    tree["network"]["jitter"] = 1.5
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path))
    assert str(caught.value).splitlines() == [
        f"{path}: 5 error(s)",
        "  corpus.microphone: Input should be less than or equal to 2, got 3",
        "  quantizer.dim: missing",
        "  network.jitter: Input should be less than or equal to 1, got 1.5",
        "  train.batch: Input should be a valid integer, got 'many'",
        "  train.stpes: unknown key (got 3); remove it, or mind the spelling",
    ]


def test_overrides_are_typed_and_checked():
    recipe = load_recipe("vctk", ("train.steps=7", "train.learning_rate=1e-3", "quantizer.variance=III"))
    assert (recipe.train.steps, recipe.train.learning_rate, recipe.quantizer.variance) == (7, 1e-3, "III")
    for bad in ("train.steps", "trian.steps=3", "=3", "train.steps.more=3"):
        with pytest.raises(RecipeError) as caught:
            load_recipe("vctk", (bad,))
        assert str(caught.value) == f"--set {bad}: expected section.key=value, such as --set train.steps=1000"
    with pytest.raises(RecipeError, match=r"--set train.steps=\[: the value is not YAML"):
        load_recipe("vctk", ("train.steps=[",))


@pytest.mark.parametrize(("text", "expected"), [("- a\n", "got list, expected a mapping"), ("a: [", "not a YAML file")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, expected):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(RecipeError, match=expected):
        load_recipe(str(tmp_path / "recipe.yaml"))


def test_milestones_must_rise():
    with pytest.raises(RecipeError, match=r"train.milestones must rise, got \[5, 3\]"):
        load_recipe("vctk", ("train.milestones=[5, 3]",))


RESIDUAL = "kind: residual, stages: 2, codewords: 8, dim: 4, initial_variance: 1.0, ratio: 0.5, dropout: 0.5"


def test_former_keys_of_a_residual_quantiser_are_read(tmp_path):
    tree = yaml.safe_load(find_recipe("tiny").read_text())
    tree["quantizer"] = yaml.safe_load(f"{{{RESIDUAL}, warmup: 7, settled: 9}}")
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree))
    quantizer = load_recipe(str(path)).quantizer
    assert (quantizer.warmup_steps, quantizer.freeze_step) == (7, 9)
    assert load_recipe(str(path), ("quantizer.freeze_step=3",)).quantizer.freeze_step == 3
    assert load_recipe(str(path), ("prior.warmup=3",)).prior.warmup == 3  # another section's keeps its name
    tree["quantizer"]["freeze_step"] = 9
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(RecipeError, match="quantizer.settled: unknown key"):
        load_recipe(str(path))


def test_a_former_key_can_be_set_with_a_warning():
    with pytest.warns(FutureWarning, match="quantizer.settled is now quantizer.freeze_step; the former name works"):
        recipe = load_recipe("speech16k", ("quantizer.settled=11",))
    assert recipe.quantizer.freeze_step == 11
    whole = load_recipe("tiny", (f"quantizer={{{RESIDUAL}, warmup: 1, settled: null}}",)).quantizer
    assert (whole.warmup_steps, whole.freeze_step) == (1, None)
