"""Recipes: what ships loads, wrong keys are named all at once, overrides are typed."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sqcodec.errors import RecipeError
from sqcodec.recipe import CodecRecipe, VocoderRecipe, available_recipes, find_recipe, load_recipe, validate_recipe
from sqcodec.spectrogram import FEATURES

VOCODERS_ALONE = {"istft", "world"}
SECTIONS = ("quantizer", "target", "network", "train")


@pytest.mark.parametrize("name", sorted(available_recipes()))
def test_every_recipe_that_ships_loads(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert isinstance(recipe, VocoderRecipe if name in VOCODERS_ALONE else CodecRecipe)


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
        "  train.stpes: unknown key (got 3); did you mean train.steps?",
    ]


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("train.stepz=5", "  train.stepz: unknown key (got 5); did you mean train.steps?"),
        ("quantizer.codeword=5", "  quantizer.codeword: unknown key (got 5); did you mean quantizer.codewords?"),
        ("corpus.mikrophone=1", "  corpus.mikrophone: unknown key (got 1); did you mean corpus.microphone?"),
        ("train.zebra=5", "  train.zebra: unknown key (got 5); remove it"),
        ("trian.steps=3", "`overrides` trian.steps=3: no section 'trian'; did you mean train.steps?"),
        (
            "vocoder.trian.steps=3",
            "`overrides` vocoder.trian.steps=3: no section 'trian'; did you mean vocoder.train.steps?",
        ),
    ],
)
def test_a_wrong_key_gets_the_one_that_may_be_meant(override, text):
    with pytest.raises(RecipeError) as caught:
        load_recipe("istft" if override.startswith("vocoder") else "vctk", (override,))
    assert str(caught.value).splitlines()[-1] == text


def test_a_key_of_a_section_that_is_not_set_is_told_how_to_set_it():
    with pytest.raises(RecipeError) as caught:
        load_recipe("folder", ("corpus.variations.lowered=0.2",))
    assert str(caught.value) == (
        "`overrides` corpus.variations.lowered=0.2: corpus.variations is not set; set it whole:"
        " corpus.variations={lowered: 0.2}"
    )


def test_a_misspelt_key_that_is_missing_is_the_one_that_is_meant(tmp_path):
    text = find_recipe("vctk").read_text().replace("learning_rate: 4.0e-4", "learningrate: 4.0e-4")
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"train\.learningrate: unknown key .* did you mean train\.learning_rate\?"):
        load_recipe(str(tmp_path / "recipe.yaml"))


def test_overrides_are_typed_and_checked():
    recipe = load_recipe("vctk", ("train.steps=7", "train.learning_rate=1e-3", "quantizer.variance=III"))
    assert (recipe.train.steps, recipe.train.learning_rate, recipe.quantizer.variance) == (7, 1e-3, "III")
    for bad in ("train.steps", "=3", "train.steps.more=3"):
        with pytest.raises(RecipeError) as caught:
            load_recipe("vctk", (bad,))
        assert (
            str(caught.value) == f"`overrides` {bad}: expected section.key=value, such as `overrides` train.steps=1000"
        )
    with pytest.raises(RecipeError, match=r"`overrides` train.steps=\[: the value is not YAML"):
        load_recipe("vctk", ("train.steps=[",))


def test_a_section_that_is_not_there_is_named():
    with pytest.raises(RecipeError, match=r"^`overrides` zebra.steps=3: the recipe has no section 'zebra'$"):
        load_recipe("vctk", ("zebra.steps=3",))
    with pytest.raises(RecipeError) as caught:  # unknown keys are no advice for each other
        load_recipe("vctk", ("quantizer.kind=vq",))
    assert "did you mean quantizer.variance" not in str(caught.value)
    assert "did you mean quantizer.initial_variance" not in str(caught.value)


@pytest.mark.parametrize(("text", "expected"), [("- a\n", "got list, expected a mapping"), ("a: [", "not a YAML file")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, expected):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(RecipeError, match=expected):
        load_recipe(str(tmp_path / "recipe.yaml"))


def test_more_refinement_is_for_more_stages():
    with pytest.raises(RecipeError, match=r"more.stages must be above stages, 5, got 4"):
        load_recipe("speech16k", ("vocoder.refinement.stages=5", "vocoder.refinement.more={stages: 4, iterations: 9}"))


def test_milestones_must_rise():
    with pytest.raises(RecipeError, match=r"train.milestones must rise, got \[5, 3\]"):
        load_recipe("vctk", ("train.milestones=[5, 3]",))


def tree_of(name):
    return yaml.safe_load(find_recipe(name).read_text())


def flat(tree, prefix=""):
    """{"train.steps": 7, ...}"""
    values = {}
    for key, value in tree.items():
        values |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return values


def test_the_papers_recipes_differ_in_what_their_corpora_ask_for_alone():
    """They stay whole files, so that each can be read and copied by itself."""
    may_differ = ("name", "corpus.", "prior.steps")
    trees = [flat(tree_of(name)) for name in ("vctk", "zerospeech2019", "folder")]
    shared = [{key: value for key, value in tree.items() if not key.startswith(may_differ)} for tree in trees]
    assert shared[0] == shared[1] == shared[2]
    assert {"quantizer.dim", "network.gru", "train.batch", "vocoder.iterations", "prior.layers"} <= shared[0].keys()


@pytest.mark.parametrize("left", SECTIONS)
def test_half_a_codec_names_what_is_missing(left):
    tree = tree_of("speech16k")
    for section in {*SECTIONS} - {left}:
        del tree[section]
    with pytest.raises(RecipeError) as caught:
        validate_recipe(tree, where="mine")
    missing = [section for section in SECTIONS if section != left]
    assert str(caught.value).splitlines() == [
        "mine: 3 error(s)",
        *(
            f"  {section}: missing; a codec has the sections quantizer, target, network, train: add it, or have none of"
            " them"
            for section in missing
        ),
    ]


@pytest.mark.parametrize("key", ["prior", "bit_rate"])
def test_what_belongs_to_a_codec_asks_for_one(key):
    tree = tree_of("istft") | {key: tree_of("vctk")["prior"] if key == "prior" else 400}
    with pytest.raises(RecipeError, match="mine: 4 error"):
        validate_recipe(tree, where="mine")


def test_a_recipe_without_codec_and_vocoder_is_refused():
    tree = {key: value for key, value in tree_of("istft").items() if key != "vocoder"}
    with pytest.raises(RecipeError) as caught:
        validate_recipe(tree, where="mine")
    assert str(caught.value).splitlines()[1:] == [
        "  vocoder: missing; a recipe has a vocoder, a codec (quantizer, target, network, train), or both"
    ]
    with pytest.raises(RecipeError, match="vocoder: Input tag 'griffin-lim' .* expected tags: 'world', 'istft'"):
        validate_recipe(tree | {"vocoder": tree_of("vctk")["vocoder"]}, where="mine")  # nothing to train


def test_a_codec_may_come_without_a_vocoder_and_a_vocoder_without_a_codec():
    alone = load_recipe("speech16k", ("vocoder=null",))
    assert alone.codec is alone
    assert (alone.vocoder, alone.evaluate_split) == (None, "test")
    vocoder = load_recipe("istft", ("vocoder.train.evaluate_split=dev",))
    assert vocoder.evaluate_split == "dev"
    with pytest.raises(RecipeError) as caught:
        _ = vocoder.codec
    assert str(caught.value) == (
        "recipe istft has no codec (sections quantizer, target, network, train), only a vocoder: train that (stage"
        " vocoder), or choose a recipe with a codec, such as speech16k"
    )


def test_a_recipe_written_out_is_the_same_recipe(tmp_path):
    """What a run folder keeps."""
    for name in available_recipes():
        for overrides in ((), ("vocoder=null",)) if name not in VOCODERS_ALONE else ((),):
            recipe = load_recipe(name, overrides)
            (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))
            assert load_recipe(str(tmp_path / "recipe.yaml")) == recipe


def test_on_the_codec_the_vocoder_trains_with_changes_of_its_own():
    natural, tuned = load_recipe("speech16k").vocoder, load_recipe("speech16k", on_codec=True).vocoder
    assert (natural.train.steps, natural.train.learning_rate, natural.train.smoothing) == (7000, 1e-3, 0.1)
    assert (tuned.train.steps, tuned.train.learning_rate, tuned.train.smoothing) == (4000, 5e-4, 0)
    assert (natural.refinement.iterations, natural.refinement.fades) == (8, None)
    refinement = tuned.refinement.model_dump()
    more = {"stages": 6.0, "iterations": 8, "contrast": 0.75}
    assert refinement == {"iterations": 6, "momentum": 0.99, "stages": 1.4, "fades": (2000, 8000), "more": more}
    changed = {"on_codec": None, "refinement": None, "train": None}
    assert natural.model_copy(update=changed) == tuned.model_copy(update=changed)
    assert load_recipe("istft", on_codec=True) == load_recipe("istft")


def test_the_receiver_that_follows_hears_only_where_its_own_section_says_so():
    recipe = load_recipe("speech16k", ("joint.mel=20.0",), on_codec=True).codec
    live = recipe.live.joint
    assert recipe.joint.heard.balance == 0.8
    judging = [part.joint_vocoder.discriminators.balance for part in (recipe, recipe.live)]
    assert judging == [0.4, 1.0]  # of the discriminators
    assert (live.heard, live.mel, live.live) == (None, 20, None)
    assert (live.decoder_lookahead, recipe.joint.decoder_lookahead) == (1, 2)
    own = ("joint.live.heard={balance: 0.25, disturbance: 1.0, envelopes: 2.0}",)
    assert load_recipe("speech16k", own, on_codec=True).codec.live.joint.heard.balance == 0.25


def test_an_override_counts_for_both_trainings_unless_it_is_of_one():
    both = ("vocoder.train.steps=3", "vocoder.refinement={iterations: 1, momentum: 0.5}")
    for on_codec in (False, True):
        vocoder = load_recipe("speech16k", both, on_codec=on_codec).vocoder
        assert (vocoder.train.steps, vocoder.refinement.iterations, vocoder.refinement.momentum) == (3, 1, 0.5)
    for order in (1, -1):
        own = ("vocoder.on_codec.train.steps=5", *both)[::order]
        assert load_recipe("speech16k", own).vocoder.train.steps == 3
        assert load_recipe("speech16k", own, on_codec=True).vocoder.train.steps == 5
    none = load_recipe("speech16k", ("vocoder.on_codec=null",), on_codec=True)
    assert none.vocoder.train.steps == 7000


def test_an_override_reaches_what_a_section_of_changes_leaves_out():
    own = "vocoder.on_codec.discriminators.start=5"
    assert load_recipe("speech16k", (own,)).vocoder.discriminators.start is None
    tuned = load_recipe("speech16k", (own,), on_codec=True).codec
    assert (tuned.vocoder.discriminators.start, tuned.vocoder.discriminators.warmup) == (5, 400)
    losses = ("joint.vocoder.losses.stft=3.0", "joint.live.vocoder.losses.mel=2.0")
    joint = load_recipe("speech16k", losses, on_codec=True).codec
    assert (joint.joint_vocoder.losses.stft, joint.joint_vocoder.losses.mel) == (3, 45)
    assert (joint.live.joint_vocoder.losses.stft, joint.live.joint_vocoder.losses.mel) == (3, 2)
    with pytest.raises(RecipeError, match=r"no section 'refinment'; did you mean vocoder\.on_codec\.refinement"):
        load_recipe("speech16k", ("vocoder.on_codec.refinment.iterations=5",))
    with pytest.raises(RecipeError, match=r"joint\.vocoder\.loses|vocoder\.loses"):
        load_recipe("speech16k", ("joint.vocoder.loses.stft=3.0",), on_codec=True)
    with pytest.raises(
        RecipeError, match=r"vocoder\.on_codec is not set; .* vocoder\.on_codec=\{train: \{steps: 3\}\}$"
    ):
        load_recipe("speech16k", ("vocoder.on_codec=null", "vocoder.on_codec.train.steps=3"))


@pytest.mark.parametrize("section", ["joint.vocoder", "joint.live.vocoder"])
def test_the_joint_training_takes_no_changes_for_another_one(section):
    with pytest.raises(RecipeError, match=rf"{section}\.on_codec: has no effect, expected its values in {section}"):
        load_recipe("speech16k", (f"{section}.on_codec.train.steps=3",), on_codec=True)
    with pytest.raises(RecipeError, match=r"expected section\.key=value"):
        load_recipe("speech16k", ("joint.vocoder=3", "joint.vocoder.train.steps=3"))


def test_the_recipe_of_a_run_folder_takes_the_overrides_that_it_began_with(tmp_path):
    own = ("vocoder.on_codec.train.steps=5", "vocoder.on_codec.discriminators.start=0", "vocoder.train.batch=3")
    begun = load_recipe("speech16k", own, on_codec=True)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(begun.model_dump(mode="json"), sort_keys=False))
    assert load_recipe(str(tmp_path), own, on_codec=True) == begun
    longer = load_recipe(str(tmp_path), ("vocoder.on_codec.train.steps=6", "vocoder.train.steps=9"), on_codec=True)
    assert longer.vocoder.train.steps == 6


@pytest.mark.parametrize("on_codec", [False, True])
def test_a_wrong_change_is_found_before_the_first_training(on_codec):
    wrong = ("vocoder.on_codec.train.stpes=5", "vocoder.on_codec.train.frames=1")
    with pytest.raises(RecipeError) as caught:
        load_recipe("speech16k", wrong, on_codec=on_codec)
    text = str(caught.value)
    assert "as vocoder.on_codec changes it" in text.splitlines()[0]
    assert "  vocoder.train.stpes: unknown key (got 5); did you mean vocoder.train.steps?" in text.splitlines()


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


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("2024-13-45", "a value that cannot be read (month must be in 1..12)"),
        ("!!int ''", "a value that cannot be read (string index out of range)"),
        ("!!float x", "a value that cannot be read (could not convert string to float: 'x')"),
        ("9" * 4400, "a value that cannot be read (Exceeds the limit (4300 digits) for integer string conversion"),
        ("[" * 400 + "]" * 400, "nested more than 50 deep"),
        ("[" * 1100 + "]" * 1100, "nested more than 50 deep"),
        ("[1, ", "while parsing a flow node expected the node content, but found '<stream end>' in"),
        ("!!python/object:os.system x", "could not determine a constructor for the tag"),
        ("{a: &a [1,1,1,1,1,1,1,1], b: &b [*a,*a,*a,*a,*a,*a,*a,*a], c: &c [*b,*b,*b,*b,*b,*b,*b,*b],"
         " d: &d [*c,*c,*c,*c,*c,*c,*c,*c], e: [*d,*d,*d,*d,*d,*d,*d,*d]}", "more than 10000 values, with what its"),
    ],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_values_that_yaml_cannot_read_are_one_short_error(tmp_path: Path, value: str, reason: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("tiny", (f"name={value}",))
    text = str(caught.value)
    assert text.startswith(f"`overrides` {f'name={value}'[:200]}: the value is not YAML: {reason}")
    assert len(text) < 1000
    assert "\n" not in text
    (tmp_path / "recipe.yaml").write_text(f"name: {value}\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(tmp_path / "recipe.yaml"))
    assert len(str(caught.value)) < 1000


def test_long_values_are_shortened_in_errors(tmp_path: Path) -> None:
    many = "[" + ", ".join(["&x " + "x" * 900, *["*x"] * 2000]) + "]"
    with pytest.raises(RecipeError) as caught:
        load_recipe("tiny", (f"name={many}", f"train.steps={many}", f"train.other={many}"))
    assert "train.other: unknown key (got ['xxx" in str(caught.value)
    assert len(str(caught.value).partition("error(s)")[2]) < 3000


def test_many_errors_are_counted_and_not_all_listed(tmp_path: Path) -> None:
    tree = yaml.safe_load((available_recipes()["istft"] / "recipe.yaml").read_text())
    tree["train"] = {f"x{number}": 1 for number in range(300)}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tree))
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(tmp_path / "recipe.yaml"))
    lines = str(caught.value).splitlines()
    assert len(lines) == 52
    count = int(lines[0].partition(": ")[2].split()[0])
    assert lines[-1] == f"  and {count - 50} more"


def test_a_key_that_is_there_twice_is_refused(tmp_path):
    """YAML readers take the last one; the first would be lost without a word."""
    path = tmp_path / "recipe.yaml"
    text = (available_recipes()["tiny"] / "recipe.yaml").read_text()
    for more in ("train: {steps: 7}\n", "corpus: {kind: folder, kind: vctk}\n"):
        path.write_text(text + more)
        with pytest.raises(RecipeError, match="not a YAML file: '(train|corpus|kind)' is there twice in .*line"):
            load_recipe(str(path))
    path.write_text(
        text + "x: &x {steps: 7}\na: {y: &y {<<: *x, steps: 8}}\ny: {<<: *y, steps: 9}\n"
    )  # merging does it
    with pytest.raises(RecipeError, match="y: unknown key"):
        load_recipe(str(path))


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("joint.live.vocoder.lookahead=abc", "as joint.live.vocoder changes it: 1 error.*vocoder.lookahead: "),
        ("vocoder.losses.resolutions=[]", "losses.resolutions: .*at least 1 item"),
    ],
)
def test_values_of_another_type_or_none_are_one_error(override, text):
    with pytest.raises(RecipeError, match=f"(?s){text}"):
        load_recipe("speech16k", (override,))
