"""Nothing goes through an unrestricted unpickler: sources are searched, and a harmful file is given to each reader."""

import ast
import io
import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest
import torch

from sqcodec.bitstream.npy import unpack
from sqcodec.corpus.store import open_store
from sqcodec.errors import SqcodecError
from sqcodec.model.model_file import load_model
from sqcodec.prior.prior_file import load_prior
from sqcodec.train.checkpoint import load_checkpoint

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*(ROOT / "sqcodec").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "bin").iterdir()])
CPU = torch.device("cpu")


def unrestricted(tree: ast.Module) -> list[str]:
    """Calls that unpickle whatever a file says."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        loads = name.rpartition(".")[0] in ("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib")
        found += [name] if loads and name.rpartition(".")[2] in ("load", "loads", "open", "Unpickler") else []
        found += [name] if name == "torch.load" and given.get("weights_only") != "True" else []
        found += [name] if given.get("allow_pickle", "False") != "False" else []
        found += [name] if name in ("yaml.load", "yaml.unsafe_load", "yaml.full_load") else []
        found += [name] if name.endswith("fabric.load") else []
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_source_unpickles(path: Path) -> None:
    text = path.read_text("utf-8")
    if path.suffix == ".py" or text.startswith("#!/usr/bin/env python"):
        assert unrestricted(ast.parse(text)) == []


@pytest.mark.parametrize(
    ("module", "call"),
    [("pickle", "loads(x)"), ("torch", "load(p)"), ("torch", "load(p, weights_only=no)"), ("yaml", "load(t)"),
     ("np", "load(p, allow_pickle=yes)"), ("joblib", "load(p)"), ("self.fabric", "load(p)")],
)  # fmt: skip
def test_the_search_finds_unpickling(module, call) -> None:
    assert unrestricted(ast.parse(f"{module}.{call}")) != []


class Harm:
    """Leaves a trace as soon as somebody unpickles it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return (Path.mkdir, (self.trace,))


def harmful_files(folder: Path) -> dict[str, Path]:
    harm = Harm(folder / "harm")
    (folder / "plain.pt").write_bytes(pickle.dumps(harm, protocol=2))  # what torch writes
    torch.save({"step": harm}, folder / "zip.pt")
    np.save(folder / "array.npy", np.array([harm], dtype=object))  # NumPy writes a pickle
    (folder / "store").mkdir()
    (folder / "store" / "store.json").write_bytes(pickle.dumps(harm))
    return {path.name: path for path in folder.iterdir()}


def test_a_harmful_file_does_no_harm(tmp_path: Path) -> None:
    files = harmful_files(tmp_path)
    content = io.BytesIO(files["array.npy"].read_bytes()).read()
    readers = [
        *(lambda name=name: load_checkpoint(files[name], CPU) for name in ("plain.pt", "zip.pt")),
        *(lambda name=name: load_model(files[name]) for name in ("plain.pt", "zip.pt")),
        lambda: load_prior(files["zip.pt"], fingerprint="", speakers=(), device=CPU),
        lambda: unpack(content, where="x"),
        lambda: open_store(files["store"]),
    ]
    for read in readers:
        with pytest.raises(SqcodecError):
            read()
    assert not (tmp_path / "harm").exists()
    operations = {code.name for code, _, _ in pickletools.genops(files["plain.pt"].read_bytes())}
    assert {"GLOBAL", "REDUCE"} <= operations  # reading it would have called what it names
