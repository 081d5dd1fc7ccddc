"""The house: what each room may import, what ships, what the README promises."""

import ast
import re
import subprocess
from pathlib import Path

import click
import pytest

from sqcodec.cli.main import COMMANDS
from sqcodec.recipe import available_recipes, load_recipe

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "sqcodec"

GROUND = {
    "errors", "former_names", "spectrogram", "codes", "layouts", "processors", "recording", "resampling", "storage",
    "tensor_files", "locking", "extras", "arrays", "mel_scale", "windows", "batching", "engine", "file_names",
    "stamps",
}  # fmt: skip
STAGES = {"corpus", "features", "quantizers", "model", "bitstream", "vocoder", "prior", "metrics", "report", "runtime"}
VERBS = {"pipeline.finding", "pipeline.coding", "pipeline.training", "pipeline.measuring"}
BELOW_VERBS = GROUND | STAGES | {"dsp", "recipe", "train", "pipeline"}
# room -> the rooms it may import besides itself
MAY_IMPORT = {
    "errors": set(),
    "former_names": set(),
    "spectrogram": set(),
    "storage": {"errors"},
    "tensor_files": {"errors", "storage"},
    "locking": {"errors"},
    "layouts": {"errors"},
    "extras": {"errors"},
    "arrays": set(),
    "mel_scale": {"spectrogram"},
    "windows": {"arrays"},
    "batching": set(),
    "engine": set(),
    "file_names": set(),
    "stamps": set(),
    "codes": {"spectrogram"},
    "processors": set(),
    "resampling": {"errors"},
    "recording": {"errors", "resampling"},
    "dsp": GROUND,
    "ranks": set(),
    "nn": {"ranks"},
    **{stage: GROUND | {"dsp"} for stage in STAGES},
    "quantizers": GROUND | {"dsp", "ranks", "recipe"},  # a quantiser is built from its section of the recipe
    "model": GROUND | {"dsp", "nn", "quantizers", "ranks", "recipe"},  # a model is made from its recipe, and carries it
    "vocoder": GROUND | {"dsp", "nn", "recipe"},  # so is a vocoder
    "prior": GROUND | {"dsp", "recipe"},  # as a model
    "recipe": GROUND,
    "runtime": GROUND | {"model", "nn", "vocoder"},  # it reads the headers of models and vocoders
    "train": GROUND | STAGES | {"dsp", "ranks", "recipe"},
    "pipeline": GROUND | {"corpus"},  # its own files: devices, processes, paths
    "pipeline.finding": BELOW_VERBS - {"train"},
    "pipeline.coding": (BELOW_VERBS - {"train"}) | {"pipeline.finding", ""},
    "pipeline.training": BELOW_VERBS | {"pipeline.finding"},
    "pipeline.measuring": (BELOW_VERBS - {"train"}) | {"pipeline.finding", "pipeline.coding", ""},
    "cli": {"pipeline", *VERBS, "recipe", "errors", "extras", "processors", ""},  # "": sqcodec itself, for its version
    "adapters": {"", "errors", "features", "recording"},
    "__main__": {"cli"},
    "quickstart": {"", "bitstream", "errors", "file_names", "pipeline.finding"},  # a program that runs the commands
    "": GROUND | {"pipeline.coding", "metrics"},
}


def room_of(parts: list[str]) -> str:
    """['sqcodec', 'model', 'blockwise'] -> 'model'; ['sqcodec'] -> ''; the pipeline has rooms of its own."""
    room = ".".join(parts[1:3]) if len(parts) > 2 else ""
    return room if room in VERBS else parts[1] if len(parts) > 1 else ""


def imported_modules(tree: ast.Module) -> set[str]:
    """Every module of sqcodec that a file names in an import, however deep it stands in the code."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which room is meant"
            module = node.module or ""
            # `from sqcodec import recipe` names a room; `from sqcodec import __version__` does not
            modules = {alias.name for alias in node.names if is_module(module, alias.name)}
            found |= {f"{module}.{name}" for name in modules} or {module}
    return {module for module in found if module.partition(".")[0] == "sqcodec"}


def is_module(package: str, name: str) -> bool:
    path = ROOT.joinpath(*package.split("."), name)
    return path.with_suffix(".py").is_file() or path.is_dir()


SOURCES = sorted(path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("source", SOURCES)
def test_a_room_imports_only_what_it_may(source: str) -> None:
    room = room_of(list(Path(source).with_suffix("").parts))
    room = "" if room == "__init__" else room
    imported = {
        room_of(module.split(".")) for module in imported_modules(ast.parse((ROOT / source).read_text("utf-8")))
    }
    assert imported - {room} <= MAY_IMPORT[room], source


def test_the_import_test_finds_a_forbidden_import() -> None:
    tree = ast.parse("def f():\n    from sqcodec.vocoder import griffin_lim\nfrom sqcodec import corpus, __version__")
    assert imported_modules(tree) == {"sqcodec.vocoder.griffin_lim", "sqcodec.corpus"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "cli").glob("*.py")), ids=lambda path: path.name)
def test_the_command_line_defers_heavy_imports(path: Path) -> None:
    at_the_top = [
        node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    modules = {alias.name for node in at_the_top if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in at_the_top if isinstance(node, ast.ImportFrom)}
    heavy = {
        "torch",
        "torchaudio",
        "numpy",
        "scipy",
        "librosa",
        "soundfile",
        "pydantic",
        "matplotlib",
        "lightning_fabric",
    }
    assert not {module.partition(".")[0] for module in modules} & heavy
    assert not any(module.startswith(("sqcodec.pipeline", "sqcodec.recipe")) for module in modules)


def test_coding_and_training_do_not_import_each_other() -> None:
    assert "pipeline.training" not in MAY_IMPORT["pipeline.coding"]
    assert "pipeline.coding" not in MAY_IMPORT["pipeline.training"]
    assert {room_of(source.split("/")[:-1]) for source in SOURCES} >= VERBS


def writing_by_hand(tree: ast.Module) -> list[str]:
    """Calls that rename, move or flush a file, as `storage` alone does, and imports of safetensors (`tensor_files`)."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, owner = node.func.attr, node.func.value
            module = owner.id if isinstance(owner, ast.Name) else ""
            path_replace = name == "replace" and len(node.args) == 1 and not node.keywords  # that of a text has two
            if name in ("rename", "renames", "fsync", "fdatasync") or path_replace:
                found.append(name)
            elif (module, name) in (("os", "replace"), ("shutil", "move")):
                found.append(f"{module}.{name}")
        elif isinstance(node, ast.ImportFrom) and node.module in ("os", "shutil"):
            found += [alias.name for alias in node.names if alias.name in ("rename", "replace", "fsync", "move")]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [module for module in modules if module.partition(".")[0] == "safetensors"]
    return found


@pytest.mark.parametrize("source", [source for source in SOURCES if source != "sqcodec/storage.py"])
def test_files_are_written_by_storage_alone(source: str) -> None:
    kinds = {name.partition(".")[0] for name in writing_by_hand(ast.parse((ROOT / source).read_text("utf-8")))}
    assert kinds == ({"safetensors"} if source == "sqcodec/tensor_files.py" else set())


def test_the_write_test_finds_direct_writes() -> None:
    by_hand = [
        "draft.replace(path)", "draft.rename(path)", "os.replace(a, b)", "os.rename(a, b)", "os.fsync(file.fileno())",
        "shutil.move(a, b)", "from os import replace", "from safetensors.torch import save", "import safetensors",
    ]  # fmt: skip
    for line in by_hand:
        assert len(writing_by_hand(ast.parse(f"def f():\n    {line}"))) == 1, line
    for line in ("text.replace('a', 'b')", "replace(row, name=a)", "dataclasses.replace(row, name=a)", "import os"):
        assert not writing_by_hand(ast.parse(line)), line
    assert len(writing_by_hand(ast.parse((PACKAGE / "storage.py").read_text("utf-8")))) > 4


def classes_asked_for(tree: ast.Module) -> set[str]:
    """Names imported from sqcodec that an `isinstance`, or a `case` of a `match`, asks for."""
    ours = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqcodec")
        for alias in node.names
    }
    asked: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            asked.append(node.args[1])
        elif isinstance(node, ast.MatchClass):
            asked.append(node.cls)
    return ours & {name.id for each in asked for name in ast.walk(each) if isinstance(name, ast.Name)}


@pytest.mark.parametrize("source", [source for source in SOURCES if source.startswith("sqcodec/train/")])
def test_training_has_no_isinstance(source: str) -> None:
    """Encoders, decoders, quantisers and likelihoods say themselves what they need."""
    assert not classes_asked_for(ast.parse((ROOT / source).read_text("utf-8")))


def test_the_isinstance_test_finds_one() -> None:
    source = "from sqcodec.m import A, B, C\nisinstance(x, A | int)\nmatch x:\n    case B(): pass\n    case int(): pass"
    assert classes_asked_for(ast.parse(source)) == {"A", "B"}


RATES = {16000, 320, 0.02}  # Hz, samples per code, seconds per code of a 16 kHz model
STATED_RATES = {  # rates that are no model's
    "sqcodec/spectrogram.py": "what a feature configuration is unless it says otherwise",
    "sqcodec/metrics/signals.py": "the rate that wide-band PESQ and DNSMOS are defined at",
    "sqcodec/bitstream/sqc_header.py": "rates that the file format has short forms for",
    "sqcodec/corpus/folder.py": "rates of recordings that prep does not remark on",
    "sqcodec/corpus/zerospeech2019.py": "the rate of the challenge's recordings",
}


def rates_in(tree: ast.Module) -> set[float | str]:
    """Numbers that are a 16 kHz model's rates, and imports of rates as constants; `std=0.02` is none."""
    of_weights = {keyword.value for node in ast.walk(tree) if isinstance(node, ast.Call) for keyword in node.keywords
                  if keyword.arg == "std"}  # fmt: skip
    numbers = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node not in of_weights
    }
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names} & {
        "SAMPLE_RATE",
        "HOP_LENGTH",
        "FRAMES_PER_CODE",
        "CODE_RATE",
    }
    return numbers & RATES | names


@pytest.mark.parametrize("source", [source for source in SOURCES if source not in STATED_RATES])
def test_rates_belong_to_the_feature_configuration(source: str) -> None:
    assert not rates_in(ast.parse((ROOT / source).read_text("utf-8")))


def test_the_rate_test_finds_a_rate() -> None:
    assert rates_in(ast.parse("def f(x, rate=16_000):\n    return 0.02 * x + 320.0")) == RATES
    assert rates_in(ast.parse("from sqcodec.spectrogram import HOP_LENGTH as hop")) == {"HOP_LENGTH"}
    assert not rates_in(ast.parse("initialise(weight, std=0.02)"))
    assert all((ROOT / source).is_file() for source in STATED_RATES)


def test_no_two_files_have_one_name() -> None:
    """But for the files of `cli`, which are named as their commands."""
    names = [Path(source).name for source in SOURCES if "/cli/" not in source and not source.endswith("__init__.py")]
    assert not [name for name in names if names.count(name) > 1]


def flags_in(tree: ast.Module) -> set[str]:
    """Options of a command line, such as `--model`, in the texts and docstrings of a file."""
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return {flag for text in texts for flag in re.findall(r"--[a-z][a-z-]*", text)}


# the options of opusenc and opusdec, which it runs
OTHER_PROGRAMS = {"sqcodec/pipeline/measuring/codecs.py": {"--quiet", "--bitrate", "--framesize", "--rate"}}
OTHER_PROGRAMS["sqcodec/metrics/speaker_encoder.py"] = {"--no-deps"}  # of pip
OTHER_PROGRAMS["sqcodec/pipeline/finding/models.py"] = {"--local-dir", "--revision"}  # of hf


COMMAND_LINES = ("/cli/", "/quickstart.py")  # whose texts name options


@pytest.mark.parametrize("source", [source for source in SOURCES if not any(map(source.count, COMMAND_LINES))])
def test_the_library_names_no_options_of_the_command_line(source: str) -> None:
    """It names its arguments, as `model`; cli/wording.py puts the options in their place."""
    assert flags_in(ast.parse((ROOT / source).read_text("utf-8"))) == OTHER_PROGRAMS.get(source, set())


def test_the_option_test_finds_options() -> None:
    tree = ast.parse("def f(x):\n    'With --model.'\n    raise E(f'{x}: give --list TSV -- or not') # --no\n")
    assert flags_in(tree) == {"--model", "--list"}


def test_no_module_is_named_utils_or_common() -> None:
    drawers = {"utils", "util", "helpers", "common", "core", "misc"}
    assert not [source for source in SOURCES if drawers & set(Path(source).with_suffix("").parts)]


def test_each_command_of_the_table_has_a_module() -> None:
    for commands in COMMANDS.values():
        for module, _ in commands.values():
            assert (PACKAGE / "cli" / f"{module}.py").is_file(), module


@pytest.mark.parametrize("folder", sorted(path.name for path in (ROOT / "recipes").iterdir() if path.is_dir()))
def test_every_recipe_that_ships_loads(folder: str) -> None:
    assert folder in available_recipes()
    recipe = load_recipe(f"recipes/{folder}")
    assert recipe.name == folder
    for split in getattr(recipe.corpus, "splits", {}).values():
        assert (ROOT / "recipes" / folder / split).is_file(), split
    assert (ROOT / "recipes" / folder / "README.md").is_file()


def documented_commands() -> set[tuple[str, str]]:
    """(command, what follows it) of each line of the code of README and docs that calls sqcodec or a script of bin/."""
    pages = (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
    blocks = [block for page in pages for block in page.read_text("utf-8").split("```")[1::2]]
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return {(line.split()[0], line.partition(" ")[2]) for line in lines if re.match(r"sqcodec [a-z-]|bin/", line)}


def test_documented_commands_exist() -> None:
    commands = documented_commands()
    assert ("bin/quickstart", "") in commands
    known = {name for group in COMMANDS.values() for name in group}
    for program, arguments in commands:
        if program == "sqcodec":
            assert arguments.split()[0] in known | {"--help"}, arguments
        else:
            assert (ROOT / program).stat().st_mode & 0o111, program


def test_the_readme_is_read_in_a_minute() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert len(lines) <= 120
    assert max(map(len, lines)) <= 120


def test_links_within_the_documents_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
            assert "://" in target or (page.parent / target).exists(), (page.name, target)


def test_documented_options_exist() -> None:
    from sqcodec.cli.main import main

    for program, arguments in documented_commands():
        name, *words = arguments.split() or [""]
        command = main.get_command(click.Context(main), name) if program == "sqcodec" else None
        if command is None:
            continue
        known = {"--help"} | _options(command)
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used <= known, arguments


def _options(command: click.Command) -> set[str]:
    own = {option for parameter in command.params for option in parameter.opts}
    children = command.commands.values() if isinstance(command, click.Group) else ()
    return own.union(*(_options(child) for child in children))


@pytest.mark.parametrize(
    "script",
    ["setup", "test", "quickstart", "bench"],
)
def test_scripts_can_be_run(script: str) -> None:
    assert (ROOT / "bin" / script).stat().st_mode & 0o111
    assert (ROOT / "bin" / script).read_text("utf-8").startswith("#!/usr/bin/env ")


def test_quickstart_names_a_missing_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "bin" / "quickstart", "no.wav"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Error: {tmp_path}/no.wav: no such file;"
        " give a recording (WAV, FLAC, OGG, MP3), or nothing to use the speech that ships\n"
    )


@pytest.mark.parametrize("script", ["quickstart", "setup"])
def test_an_unknown_option_is_a_usage_error(script: str) -> None:
    done = subprocess.run([ROOT / "bin" / script, "--nonsense"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Usage: bin/" in done.stderr
