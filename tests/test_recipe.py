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
        assert (
            str(caught.value) == f"`overrides` {bad}: expected section.key=value, such as `overrides` train.steps=1000"
        )
    with pytest.raises(RecipeError, match=r"`overrides` train.steps=\[: the value is not YAML"):
        load_recipe("vctk", ("train.steps=[",))


@pytest.mark.parametrize(("text", "expected"), [("- a\n", "got list, expected a mapping"), ("a: [", "not a YAML file")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, expected):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(RecipeError, match=expected):
        load_recipe(str(tmp_path / "recipe.yaml"))


def test_milestones_must_rise():
    with pytest.raises(RecipeError, match=r"train.milestones must rise, got \[5, 3\]"):
        load_recipe("vctk", ("train.milestones=[5, 3]",))
