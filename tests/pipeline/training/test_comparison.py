"""`compare`: the plan, a whole comparison of tiny trainings, going on, several at once, and what is refused."""

import json
import os
import signal
import statistics

import pytest
import torch
from matplotlib.figure import Figure

from sqcodec.errors import RecipeError, TrainingError
from sqcodec.model.model_file import load_model
from sqcodec.pipeline.training.comparison import compare, plan, system_names
from sqcodec.pipeline.training.comparison.charts import _capacity
from sqcodec.pipeline.training.comparison.plan import read_systems
from sqcodec.pipeline.training.comparison.summary import Row, _swept
from tests.train.conftest import SMALL, make_store

SETS = tuple(text for text in SMALL if not text.startswith("vocoder"))


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "corpus")


def cells_of(systems, *, seeds=(0,), steps=20, overrides=(), **options):
    overrides = (*SETS, f"train.steps={steps}", *overrides)
    return plan("zerospeech2019", systems=systems, seeds=seeds, overrides=overrides, **options)


def run(cells, store, folder, *, jobs=1, report_line=lambda text: None):
    return compare(
        "zerospeech2019", cells, store, folder, device="cpu", jobs=jobs, backend="local", command="the command",
        report_line=report_line,
    )  # fmt: skip


def test_every_system_of_the_list_makes_a_valid_recipe():
    names = [
        "vae",
        "vq",
        "vq-ema",
        "vq-ema-reset",
        "vq-ema-classic",
        "fsq",
        "fixed",
        "sq-I",
        "sq-II",
        "sq-III",
        "sq-IV",
    ]
    assert system_names("mel") == names
    assert system_names("mel-classes") == ["vmf", "nc"]
    for cell in [*cells_of(names), *cells_of([], target="mel-classes")]:
        sections = read_systems()[cell.system]
        assert cell.recipe.quantizer.kind == sections["quantizer"]["kind"]
        assert cell.recipe.target.kind == sections["target"]["kind"]
        size = {"fsq": (3, 512), "vae": (4, 0)}.get(cell.system, (4, 16))  # the recipe's, with its overrides
        assert (cell.recipe.quantizer.dim, cell.recipe.quantizer.codewords) == size


def test_the_plan_is_systems_times_seeds():
    cells = cells_of(["sq-IV", "vq-ema"], seeds=[3, 5])
    assert [cell.name for cell in cells] == ["sq-IV/seed3", "sq-IV/seed5", "vq-ema/seed3", "vq-ema/seed5"]
    assert [cell.recipe.train.seed for cell in cells] == [3, 5, 3, 5]


def test_a_sweep_varies_one_key():
    cells = cells_of(["sq-IV"], sweeps=[("quantizer.codewords", ["4", "8"]), ("quantizer.dim", ["2"])])
    assert [cell.name for cell in cells] == [
        "sq-IV/quantizer.codewords=4/seed0", "sq-IV/quantizer.codewords=8/seed0", "sq-IV/quantizer.dim=2/seed0",
    ]  # fmt: skip
    assert [(cell.recipe.quantizer.codewords, cell.recipe.quantizer.dim) for cell in cells] == [(4, 4), (8, 4), (16, 2)]
    assert cells[0].sweep == ("quantizer.codewords", 4.0)


def test_an_override_of_the_quantiser_reaches_the_systems_that_have_its_key():
    cells = cells_of(["vq-ema", "sq-I"], overrides=("quantizer.initial_variance=1.0", "quantizer.codewords=8"))
    ema, sq = (cell.recipe.quantizer for cell in cells)
    assert sq.initial_variance == 1.0
    assert (ema.codewords, sq.codewords) == (8, 8)
    assert ema == cells_of(["vq-ema"], overrides=("quantizer.codewords=8",))[0].recipe.quantizer


@pytest.mark.parametrize(
    ("systems", "options", "text"),
    [
        (["vq-ema"], {"overrides": ("quantizer.initial_variance=1.0",)}, "override quantizer.initial_variance=1.0: none"
                     " of these systems has the key quantizer.initial_variance"),
        (["sq-I"], {"overrides": ("quantizer.kind=vq",)}, "each system has its own quantizer; choose among systems"),
        (["sq-I"], {"overrides": ("target.loudness=0.4",)}, "each system has its own target; choose among systems"),
        (["sq-V"], {}, "`systems`: got sq-V, expected some of: vae, vq, vq-ema, vq-ema-reset, vq-ema-classic, fsq,"
                       " fixed, sq-I, sq-II, sq-III, sq-IV, vmf, nc"),
        (["vmf"], {}, "`systems`: vmf decode to mel-classes, the comparison is of mel; use `target` mel-classes"),
        (["vae"], {"sweeps": [("quantizer.codewords", ["4"])]}, "sweep of quantizer.codewords: vae has no such key;"
                                                                " leave it out of `systems`"),
        (["sq-IV"], {"overrides": ("quantizer.variance=I",)}, "each system has its own quantizer; choose among"),
        (["sq-IV"], {"overrides": ("train.seed=7",)}, "override train.seed=7: each training has one of `seeds`"),
        (["sq-IV"], {"sweeps": [("train.seed", ["7", "8"])]}, "sweep of train.seed: it is what cells are told apart"),
        (["sq-IV"], {"sweeps": [("quantizer.variance", ["I"])]}, "sweep of quantizer.variance: it is what cells are"),
        (["sq-IV"], {"sweeps": [("corpus.microphone", ["1", "2"])]}, "sweep of corpus.microphone: every cell takes"),
        (["sq-IV"], {"sweeps": [("name", ["a"])]}, "sweep of name: it is what cells are told apart by; give `systems`"),
        (["sq-IV"], {"sweeps": [("features.kind", ["a", "b"])]}, "sweep of features.kind: every cell takes one store"),
        (["sq-IV"], {"sweeps": [("prior.layers", ["1", "2"])]},
         "sweep of prior.layers: every value would train the same model; expected a key of the sections quantizer,"
         " network and train"),
        (["vq", "sq-IV"], {"sweeps": [("quantizer.dim", ["4"]), ("train.learning_rate", ["1e-3", "0.001"])]},
         "sweep of train.learning_rate: 1e-3 and 0.001 are the same value; leave one out"),
        (["vq", "sq-IV"], {"overrides": ("train.batch=9",), "sweeps": [("quantizer.codewords", ["4", "0"])]},
         " `overrides` train.batch=9 `overrides` quantizer.codewords=0: 1 error(s)\n  quantizer.codewords: Input"),
    ],
)  # fmt: skip
def test_a_wrong_plan_is_refused(systems, options, text):
    with pytest.raises(RecipeError) as caught:
        cells_of(systems, **options)
    assert text in str(caught.value)


def test_systems_that_do_not_fit_the_recipe_are_named():
    with pytest.raises(RecipeError) as caught:
        plan("speech16k", systems=["vq", "sq-II", "sq-IV"], seeds=[0])
    reason = "sq-II does not fit it (quantizer.variance II needs network.kind paper, whose encoder keeps padding out)"
    assert str(caught.value) == f"recipe speech16k: {reason}; leave out what does not fit: `systems` vq,sq-IV"
    with pytest.raises(RecipeError, match=r"keeps padding out\); choose others with `systems`"):
        plan("speech16k", systems=["sq-II"], seeds=[0])


def test_a_value_that_is_given_twice_is_trained_once():
    cells = cells_of(["sq-IV"], sweeps=[("quantizer.dim", ["4", "4"]), ("quantizer.codewords", ["16"])])
    assert [cell.name for cell in cells] == ["sq-IV/quantizer.dim=4/seed0", "sq-IV/quantizer.codewords=16/seed0"]


@pytest.mark.slow
def test_a_sweep_with_a_plain_vae_takes_the_place_of_other_pictures(store, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mse.png").write_bytes(b"of before")
    cells = cells_of(["vae", "vq-ema"], sweeps=[("train.learning_rate", ["1e-3", "2e-3"])])
    done = run(cells, store, out, report_line=lambda _: None)
    assert [path.name for path in done.pictures] == ["capacity-train.learning_rate.png"]
    assert not (out / "mse.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("values", "scale"), [((0.0, 0.1, 0.5), "linear"), ((1.0, 2.0, 4.0), "log")])
def test_every_value_of_a_sweep_is_in_the_picture(values, scale):
    figures = {"test_perplexity": (3.0, 0.1), "test_mse": (40.0, None)}
    rows = [
        Row(system="vq", sweep=("network.jitter", value), seeds=(0,), steps=1, figures=figures, published=None)
        for value in values
    ]
    figure = Figure()
    _capacity(figure, rows=rows, key="network.jitter")
    figure.draw_without_rendering()
    for axes in figure.axes:
        assert axes.get_xscale() == scale
        lowest, highest = axes.get_xlim()
        assert all(lowest < value < highest for value in values)


@pytest.mark.parametrize("text", ["1000000", "1234567", "0.1", "0", "1e-05"])
def test_swept_values_are_shown_as_they_are(text):
    row = Row(system="vq", sweep=("train.steps", float(text)), seeds=(0,), steps=1, figures={}, published=None)
    assert _swept(row) == f"train.steps = {text}"


def test_a_comparison_leaves_tables_and_pictures(store, tmp_path):
    lines = []
    done = run(cells_of(["vae", "vq-ema", "sq-IV"], seeds=[0, 1]), store, tmp_path / "out", report_line=lines.append)
    names = {path.name for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert names == {"table.json", "table.md", "mse.png", "perplexity.png", "usage.png", "annealing.png"}
    assert {path.name for path in done.pictures} == {name for name in names if name.endswith(".png")}
    assert all(path.stat().st_size > 5000 for path in done.pictures)
    table = json.loads((tmp_path / "out" / "table.json").read_text())
    by_system = {row["system"]: row for row in table["rows"]}
    assert list(by_system) == ["vae", "vq-ema", "sq-IV"]
    mses = [cell["figures"]["test_mse"] for cell in table["cells"] if cell["system"] == "sq-IV"]
    assert by_system["sq-IV"]["figures"]["test_mse"] == [statistics.fmean(mses), statistics.stdev(mses)]
    assert "test_perplexity" not in by_system["vae"]["figures"]
    lines = done.table.splitlines()
    assert lines[0].startswith("| system | MSE, dB^2 | perplexity |")
    assert lines[4].startswith(f"| sq-IV | {statistics.fmean(mses):.2f} ± {statistics.stdev(mses):.2f} | ")
    assert lines[-1] == "Made by: `the command`"
    assert done.failed == ()


@pytest.mark.slow
def test_finished_cells_are_not_trained_again(store, tmp_path):
    run(cells_of(["sq-I"]), store, tmp_path / "out")
    model = tmp_path / "out" / "sq-I" / "seed0" / "model.safetensors"
    before = model.stat().st_mtime_ns
    lines = []
    run(cells_of(["sq-I", "sq-III"]), store, tmp_path / "out", report_line=lines.append)
    assert model.stat().st_mtime_ns == before
    assert lines[0] == "2 cells, 1 finished before"
    assert not any(line.startswith("sq-I/") for line in lines)


@pytest.mark.slow
def test_a_stopped_comparison_goes_on_where_it_was(store, tmp_path):
    def interrupt(text):
        if text.startswith("sq-III/seed0: step 10:"):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(TrainingError) as caught:
        run(cells_of(["sq-I", "sq-III"]), store, tmp_path / "out", report_line=interrupt)
    assert str(caught.value) == "stopped in sq-III/seed0, all saved; the same command goes on from here"
    done = run(cells_of(["sq-I", "sq-III"]), store, tmp_path / "out")
    whole = run(cells_of(["sq-I", "sq-III"]), store, tmp_path / "whole")
    assert done.table == whole.table


@pytest.mark.slow
def test_several_at_once_give_the_same_table(store, tmp_path):
    cells = cells_of(["sq-I", "vq-ema"])
    assert run(cells, store, tmp_path / "two", jobs=2).table == run(cells, store, tmp_path / "one").table


@pytest.mark.slow
def test_cells_of_another_recipe_or_store_are_refused(store, tmp_path):
    table = run(cells_of(["sq-I"]), store, tmp_path / "out").table
    result = tmp_path / "out" / "sq-I" / "seed0" / "result.json"
    found = json.loads(result.read_text())
    del found["recipe"]["train"]["rate"]  # as written before there was this key
    result.write_text(json.dumps(found))
    assert run(cells_of(["sq-I"]), store, tmp_path / "out").table == table
    text = (
        f"{tmp_path}/out/sq-I/seed0: finished with another recipe or other features than this comparison asks for;"
        " choose another `folder`, or remove that one"
    )
    with pytest.raises(TrainingError) as caught:
        run(cells_of(["sq-I"], steps=30), store, tmp_path / "out")
    assert str(caught.value) == text
    with pytest.raises(TrainingError) as caught:
        run(cells_of(["sq-I"]), make_store(tmp_path / "other", level=2.0), tmp_path / "out")
    assert str(caught.value) == text
    result.unlink()  # as if it was interrupted
    with pytest.raises(TrainingError) as caught:
        run(cells_of(["sq-I"], steps=30), store, tmp_path / "out")
    assert str(caught.value) == text.replace(
        "finished with another recipe or other features", "begun with another recipe"
    )
    assert run(cells_of(["sq-I"]), store, tmp_path / "out").table == table


@pytest.mark.slow
def test_a_training_that_diverges_does_not_stop_the_rest(store, tmp_path):
    cells = cells_of(["sq-I"], sweeps=[("train.learning_rate", ["1e30", "1e-3"])])
    done = run(cells, store, tmp_path / "out")
    assert len(done.failed) == 1
    assert done.failed[0].startswith("sq-I/train.learning_rate=1e30/seed0: the loss is not finite at step")
    assert f"Failed: {done.failed[0]}" in done.table
    assert [path.name for path in done.pictures] == ["capacity-train.learning_rate.png"]
    with pytest.raises(TrainingError, match="no cell finished: sq-I/train.learning_rate=1e30"):
        run(cells[:1], store, tmp_path / "bad")


@pytest.mark.slow
def test_the_papers_figures_stand_beside_its_corpus(store, tmp_path):
    header = json.loads((store / "store.json").read_text())
    (store / "store.json").write_text(json.dumps(header | {"corpus": "zerospeech2019"}))
    assert "the paper" not in run(cells_of(["sq-IV"]), store, tmp_path / "small").table  # 16 codewords
    as_published = ("quantizer.codewords=512", "quantizer.dim=64")
    done = run(cells_of(["vae", "sq-IV"], overrides=as_published), store, tmp_path / "out")
    lines = done.table.splitlines()
    assert lines[0].startswith("| system | MSE, dB^2 | the paper |")
    assert lines[2].split(" | ")[2] == "–"
    assert lines[3].split(" | ")[2] == "32.32 ± 0.88"
    assert "500,000 steps and its own split" in done.table


@pytest.mark.slow
def test_classes_are_compared_by_accuracy(store, tmp_path):
    done = run(cells_of([], target="mel-classes"), store, tmp_path / "out")
    assert done.table.splitlines()[0].startswith("| system | MSE, dB^2 | accuracy, % | perplexity |")
    assert [line.split(" | ")[0] for line in done.table.splitlines()[2:4]] == ["| vmf", "| nc"]


@pytest.mark.slow
def test_the_baseline_as_published_trains_from_counts_of_0(store, tmp_path):
    (cell,) = cells_of(["vq-ema-classic"])
    section = cell.recipe.quantizer
    assert (section.initial_count, section.weighting, section.initialisation) == (0.0, "means", "uniform")
    assert run([cell], store, tmp_path / "out").failed == ()
    codec = load_model(tmp_path / "out" / "vq-ema-classic" / "seed0" / "model.safetensors")
    assert torch.isfinite(codec.quantizer.codebook).all()
