from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sqcodec.cli.main import main
from sqcodec.recipe import available_recipes, load_recipe


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["recipe", *map(str, arguments)])


def test_list_prints_names_and_headlines() -> None:
    result = invoke("list")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(available_recipes())
    assert "vctk            Gaussian SQ-VAE (IV) on VCTK: 50 codes/s x 9 bit = 450 bit/s.\n" in result.stdout


@pytest.mark.parametrize("name", sorted(available_recipes()))
def test_show_prints_the_file(name: str) -> None:
    expected = (available_recipes()[name] / "recipe.yaml").read_text()
    assert invoke("show", name).stdout == expected
    assert invoke("show", f"recipes/{name}").stdout == expected


def test_copy_can_be_used_as_a_recipe(tmp_path: Path) -> None:
    result = invoke("copy", "vctk", tmp_path / "mine")
    assert result.exit_code == 0
    copied = tmp_path / "mine" / "recipe.yaml"
    assert result.stdout == f"{copied}: a copy of vctk; next: sqcodec prep {tmp_path / 'mine'} --data CORPUS\n"
    mine = load_recipe(str(tmp_path / "mine"))
    assert mine.name == "mine"  # so that data and runs are its own
    assert mine.model_copy(update={"name": "vctk"}) == load_recipe("vctk")
    assert invoke("copy", "vctk", tmp_path / "_my recipe 2").exit_code == 0
    assert load_recipe(str(tmp_path / "_my recipe 2")).name == "my-recipe-2"
    assert invoke("copy", "vctk", tmp_path / "ой").exit_code == 1
    assert not (tmp_path / "ой").exists()
    (tmp_path / "mine" / "recipe.yaml").rename(tmp_path / "mine" / "my.yaml")
    assert invoke("copy", tmp_path / "mine" / "my.yaml", tmp_path / "three").exit_code == 0
    assert load_recipe(str(tmp_path / "three")).name == "three"
    assert (tmp_path / "mine" / "splits" / "unseen.txt").is_file()


def test_copy_overwrites_nothing(tmp_path: Path) -> None:
    result = invoke("copy", "vctk", tmp_path)
    assert result.exit_code == 1
    assert (
        result.stderr == f"Error: {tmp_path}: exists already, expected a new folder; choose another name or remove it\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_recipe_lists_the_known() -> None:
    result = invoke("show", "nothing")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: recipe 'nothing': no such folder or file, and no recipe of that name comes")


def test_copy_of_a_file_takes_it_and_its_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of a user's recipe may hold anything, the copy too."""
    monkeypatch.chdir(tmp_path)
    assert invoke("copy", "vctk", "proj").exit_code == 0
    (tmp_path / "proj" / "private.txt").write_text("mine")
    done = invoke("copy", "proj/recipe.yaml", "proj/runs/my copy")
    assert done.exit_code == 0, done.output
    copied = {path.relative_to("proj/runs/my copy").as_posix() for path in Path("proj/runs/my copy").rglob("*.*")}
    lists = load_recipe("proj/recipe.yaml").corpus.splits.values()
    assert copied == {"recipe.yaml", *lists}
    assert done.stdout.endswith("next: sqcodec prep 'proj/runs/my copy' --data CORPUS\n")
    text = Path("proj/recipe.yaml").read_text()
    Path("proj/recipe.yaml").write_text(text.replace(next(iter(lists)), "../train.txt"))
    refused = invoke("copy", "proj/recipe.yaml", "three")
    assert (refused.exit_code, Path("three").exists()) == (1, False)
    assert "its list ../train.txt lies in another folder, expected it beside the recipe" in refused.stderr


def test_a_folder_with_its_path_comes_before_what_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Completion writes `tiny/`; only the bare word is what ships."""
    monkeypatch.chdir(tmp_path)
    assert invoke("copy", "tiny", "tiny").stdout.endswith("next: sqcodec prep ./tiny --data CORPUS\n")
    own, shipped = (tmp_path / "tiny" / "recipe.yaml").read_text(), (available_recipes()["tiny"] / "recipe.yaml")
    (tmp_path / "tiny" / "recipe.yaml").write_text(own := own.replace("steps: ", "steps: 1"))
    for name in ("tiny/", "./tiny", "./tiny/", f"{tmp_path}/tiny"):
        assert invoke("show", name).stdout == own
    assert invoke("show", "tiny").stdout == shipped.read_text()
    assert "no such folder or file" in invoke("show", "vctk/").stderr


def test_show_of_what_is_no_text_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("name: caf\xe9".encode("latin-1"))
    done = invoke("show", tmp_path / "latin.yaml")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "latin.yaml: not a YAML file: 'utf-8' codec can't decode" in done.stderr


def test_copy_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("copy", "vctk", "proj").exit_code == 0
    lost = Path("proj", next(iter(load_recipe("proj/").corpus.splits.values())))
    lost.unlink()
    done = invoke("copy", "proj/", "two")
    assert (done.exit_code, Path("two").exists()) == (1, False)
    assert f"proj/recipe.yaml: its list {lost} is missing; expected it beside the recipe" in done.stderr
