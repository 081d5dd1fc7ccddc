"""Packages that not everybody installs: which extra of sqcodec brings which, and the error where one is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqcodec.errors import SqcodecError

# module -> extra; coding needs none of them
MODULES = {
    **dict.fromkeys(
        (
            "torch", "torchaudio", "lightning_fabric", "tensorboard", "pydantic", "yaml", "scipy", "pyworld", "numba",
            "jinja2", "matplotlib", "PIL",
        ),
        "train",
    ),
    **dict.fromkeys(("pesq", "pystoi", "speechmos", "onnxruntime", "pocketsphinx", "distillmos"), "eval"),
    "pyarrow": "export",
    **dict.fromkeys(("dask", "distributed"), "cluster"),
}  # fmt: skip


def missing(error: ModuleNotFoundError) -> SqcodecError | None:
    """The error for a package that an extra brings; None: another module is missing."""
    package = (error.name or "").partition(".")[0]
    if package not in MODULES:
        return None
    extra = MODULES[package]
    return SqcodecError(
        f"this needs the package {package}, which is not installed; in a checkout of sqcodec, pip install '.[{extra}]'"
        " brings it"
    )


@contextmanager
def required() -> Iterator[None]:
    """Around work that needs an extra. Raises SqcodecError: a package of it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing(error) or error from error
