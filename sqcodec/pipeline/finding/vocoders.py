"""Find a vocoder: by kind, name or path, or the best one with weights."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sqcodec.errors import VocoderError
from sqcodec.extras import required
from sqcodec.file_names import VOCODER
from sqcodec.pipeline.device import find_device, is_gpu
from sqcodec.pipeline.finding.models import RUNS, SHIPPED
from sqcodec.pipeline.finding.older_models import shared_vocoder
from sqcodec.runtime.istft_vocoder import NumpyIstftVocoder
from sqcodec.spectrogram import FeatureConfig
from sqcodec.vocoder.interface import Vocoder, VocoderPrecision
from sqcodec.vocoder.vocoder_header import VocoderHeader, header_for, read_header

KINDS = ("istft", "world", "griffin-lim")  # best first
STAGE = "vocoder"  # folder of the vocoder within a run folder


class FoundVocoder(NamedTuple):
    """A vocoder, the file of its weights (None: it has none), and a note for the user on the choice ("": none)."""

    vocoder: Vocoder
    path: Path | None
    note: str


class ChosenVocoder(NamedTuple):
    """The file of a vocoder (None: Griffin-Lim), and a note for the user on the choice ("": none)."""

    path: Path | None
    note: str


def find_vocoder(
    name: str | None,
    features: FeatureConfig,
    *,
    device: str,
    settings: Mapping[str, Any] | None = None,
    codec: str | None = None,
    beside: Path | None = None,
    runs: Path | None = RUNS,
    precision: VocoderPrecision = "float32",
) -> FoundVocoder:
    """The vocoder `name`: a kind, a file, a run folder or a run's name. None: the best one for these features.

    device: as `find_device` takes it. settings: the recipe's section `vocoder`, for Griffin-Lim. codec: fingerprint of
    the codec whose output is synthesised; weights that were fine-tuned on it come first, those of another codec last.
    beside: the codec's file, whose folder may hold vocoders, the first of equals. runs: the folder of trained ones;
    None: none. precision: of an `istft` network; with bfloat16 the sound differs between machines. Raises VocoderError:
    there is none, or it takes other features.
    """
    chosen = choose_vocoder(name, features, codec=codec, beside=beside, runs=runs)
    header = header_for(chosen.path, features) if chosen.path else None
    kind = header.kind if header else "griffin-lim"
    if precision != "float32" and kind != "istft":
        raise VocoderError(f"`precision` {precision}: for istft vocoders only, got {kind}; leave it out")
    if header is None:
        return FoundVocoder(_griffin_lim(features, settings), None, "")
    return FoundVocoder(_load(header, device, precision), chosen.path, chosen.note)


def choose_vocoder(
    name: str | None,
    features: FeatureConfig,
    *,
    codec: str | None = None,
    beside: Path | None = None,
    runs: Path | None = RUNS,
) -> ChosenVocoder:
    """As `find_vocoder`, without its weights."""
    if name is not None and name not in KINDS:
        return ChosenVocoder(resolve_vocoder(name), "")
    own = vocoder_file(beside.parent) if beside else None
    usable = () if name == "griffin-lim" else _usable(features, name, own, runs)
    headers = sorted(usable, key=lambda header: _rank(header, codec, beside.parent.resolve() if beside else None))
    if headers:
        path = headers[0].path
        note = f"using {path} ({headers[0].kind})"
        return ChosenVocoder(path, "" if path == own or path.is_relative_to(SHIPPED) else note)
    if name in ("istft", "world"):
        raise VocoderError(
            f"vocoder {name}: no weights for {features.name} features{f' under {runs}/' if runs else ''}, and none ship"
            f" with this version; 'sqcodec train recipes/{name}' with `stage` vocoder and `overrides`"
            f" features.kind={features.kind} makes them"
        )
    return ChosenVocoder(None, "")


def runs_of(model: Path) -> Path | None:
    """The runs/ that a model file lies in, where a program looks for its vocoder; None: it lies in none."""
    folders = (*model.parents, *model.absolute().parents)
    return next((folder for folder in folders if folder.name == RUNS.name), None)


def vocoder_file(folder: Path) -> Path:
    """The vocoder file of a run folder."""
    return folder / STAGE / VOCODER


def vocoder_name(path: Path | None) -> str:
    """How texts call a vocoder: griffin-lim for none, speech16k/vocoder for one that ships, else its path."""
    if path is None:
        return "griffin-lim"
    return path.parent.relative_to(SHIPPED).as_posix() if path.is_relative_to(SHIPPED) else str(path)


def resolve_vocoder(name: str) -> Path:
    """The vocoder file of a path, a run folder, what ships or a run's name. Raises VocoderError: there is none."""
    path = Path(name)
    paths = [path, path / VOCODER, vocoder_file(path), vocoder_file(SHIPPED / path), vocoder_file(RUNS / path)]
    for candidate in paths:
        if candidate.is_file():
            return candidate
    raise VocoderError(
        f"vocoder {name!r}: no such file, and none at {vocoder_file(path)} or {vocoder_file(RUNS / path)}; expected"
        f" {', '.join(KINDS)}, a {VOCODER} or a run folder"
    )


def _usable(features: FeatureConfig, kind: str | None, own: Path | None, runs: Path | None) -> Iterator[VocoderHeader]:
    """Headers of the vocoders for these features. Files that are no vocoders of sqcodec are skipped."""
    beside = [own] if own and own.is_file() else []
    trained = runs.glob(f"**/{VOCODER}") if runs else ()
    for path in sorted({*beside, *trained, *SHIPPED.glob(f"**/{VOCODER}")}):
        try:
            header = read_header(path)
        except VocoderError:
            continue
        if header.features == features and kind in (None, header.kind):
            yield header


def _rank(header: VocoderHeader, codec: str | None, run: Path | None) -> tuple[int, int, bool, bool, float]:
    """Sort key, best first: kind, codec of the fine-tuning, of the codec's folder `run` itself (not of a stage below it
    that has a model of its own), what ships before runs, newest run."""
    shipped = header.path.is_relative_to(SHIPPED)
    kind, tuning = KINDS.index(header.kind), _tuning_rank(header, codec)
    return kind, tuning, header.path.resolve().parents[1] != run, not shipped, -header.path.stat().st_mtime


def _tuning_rank(header: VocoderHeader, codec: str | None) -> int:
    """0: fine-tuned on `codec` (without a codec: not fine-tuned) or known to serve it, 1: not fine-tuned, 2: fine-tuned
    on another codec."""
    shared = shared_vocoder(codec)
    if header.codec == codec or (shared and header.path == vocoder_file(SHIPPED / shared)):
        return 0
    return 1 if header.codec is None else 2


def _load(header: VocoderHeader, device: str, precision: VocoderPrecision) -> Vocoder:
    """In NumPy where that knows the vocoder and no GPU is asked for, else in torch."""
    if header.kind == "istft" and precision == "float32" and not is_gpu(device):
        return NumpyIstftVocoder(header)
    with required():
        from sqcodec.vocoder.vocoder_file import load_vocoder

        return load_vocoder(header.path, header.features, find_device(device), precision)


def _griffin_lim(features: FeatureConfig, settings: Mapping[str, Any] | None) -> Vocoder:
    """With the recipe's settings, or those of the recipe `folder` if the recipe has another vocoder."""
    with required():
        from sqcodec.recipe import GriffinLimConfig, load_recipe
        from sqcodec.vocoder.griffin_lim import GriffinLim

    if settings and settings["kind"] == "griffin-lim":
        return GriffinLim(features, GriffinLimConfig(**settings))
    chosen = load_recipe("folder").vocoder
    assert isinstance(chosen, GriffinLimConfig)
    return GriffinLim(features, chosen)
