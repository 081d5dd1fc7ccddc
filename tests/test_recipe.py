"""Recipes: what ships loads, wrong keys are named all at once, overrides are typed."""

from dataclasses import replace

import pytest
import yaml

from sqcodec.errors import RecipeError
from sqcodec.recipe import available_recipes, find_recipe, load_recipe
from sqcodec.spectrogram import FEATURES


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


def test_features_say_what_is_unlike_their_kind():
    given = ("features.sample_rate=24000", "features.hop_length=240", "features.win_length=960")
    features = load_recipe("folder", given).features
    assert features.configuration == replace(FEATURES[features.kind], sample_rate=24000, hop_length=240, win_length=960)
    assert features.model_dump(mode="json") == {
        "kind": features.kind, "sample_rate": 24000, "hop_length": 240, "win_length": 960,
    }  # fmt: skip


def test_features_that_are_as_their_kind_are_kept_as_before():
    """Checkpoints compare the section, model files hold it."""
    features = load_recipe("vctk", ("features.sample_rate=null",)).features
    assert features.model_dump(mode="json") == {"kind": "paper-mel"}
    assert features.configuration == FEATURES["paper-mel"]


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("features.sample_rate=12000", "f_max must lie above f_min and be at most half the sample_rate, got 8000"),
        ("features.f_min=9000", "f_max must lie above f_min"),
        ("features.hop_length=320", "win_length must be at least 2 hop_length and at most n_fft, got 400 with"),
        ("features.n_fft=256", "win_length must be at least 2 hop_length and at most n_fft, got 400 with"),
        ("features.hop_length=161", "features.hop_length: Input should be a multiple of 2, got 161"),
        ("features.frames_per_code=4", "features.frames_per_code: network.kind paper makes codes of 2 frames, got 4"),
        ("features.frames_per_code=3", "train.frames must be a multiple of 3, the frames per code"),
        ("train.frames=33", "train.frames must be a multiple of 2, the frames per code"),
    ],
)
def test_features_that_cannot_be_are_refused(override, text):
    with pytest.raises(RecipeError) as caught:
        load_recipe("vctk", (override,))
    assert text in str(caught.value)
