"""Module names of release 0.1.0: they import for one release more, with a warning that names the present ones."""

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

# former module -> the modules that its names are in now, all below sqcodec
MODULES = {
    "values": ("spectrogram", "codes", "corpus.splits"),
    "convnext": ("nn.convnext",),
    "bitstream.integer": ("bitstream.ans",),
    "bitstream.tables": ("bitstream.entropy_tables",),
    "bitstream.space": ("bitstream.code_space",),
    "bitstream.header": ("bitstream.sqc_header",),
    "corpus.items": ("corpus.abx_task",),
    "metrics.brought": ("metrics.external",),
    "metrics.warp": ("metrics.dtw",),
    "metrics.words": ("metrics.wer",),
    "metrics.pair": ("metrics.signals",),
    "metrics.interval": ("metrics.bootstrap",),
    "metrics.usage": ("metrics.codebook_usage",),
    "metrics.spectral": ("metrics.mel_error",),
    "model.codec": ("model.spectrogram_codec", "model.assembly"),
    "model.convnext": ("model.convnext_network",),
    "model.encoder": ("model.paper_network",),
    "model.decoder": ("model.paper_network",),
    "model.classes": ("model.mel_classes",),
    "model.file": ("model.model_file", "model.model_header"),
    "model.summary": ("model.model_header",),
    "model.sony": ("model.sony_weights",),
    "model.normalisation": ("nn.batch_norm",),
    "vocoder.file": ("vocoder.vocoder_file", "vocoder.vocoder_header"),
    "vocoder.windows": ("windows",),
    "prior.file": ("prior.prior_file",),
    "pipeline.files": ("pipeline.coding.files",),
    "pipeline.folders": ("pipeline.coding.folders",),
    "pipeline.manipulation": ("pipeline.coding.manipulation",),
    "pipeline.inspection": ("pipeline.coding.inspection",),
    "pipeline.vocode": ("pipeline.coding.copy_synthesis",),
    "pipeline.lookup": ("pipeline.finding.models",),
    "pipeline.models": ("pipeline.finding.shipped",),
    "pipeline.vocoders": ("pipeline.finding.vocoders",),
    "pipeline.space": ("pipeline.finding.code_spaces",),
    "pipeline.scoring": ("pipeline.measuring.scoring",),
    "pipeline.evaluation": ("pipeline.measuring.evaluation",),
    "pipeline.standing": ("pipeline.measuring.results",),
    "pipeline.systems": ("pipeline.measuring.codecs",),
    "pipeline.units": ("pipeline.measuring.units",),
    "pipeline.submission": ("pipeline.measuring.submission",),
    "pipeline.prepare": ("pipeline.training.prepare", "pipeline.training.shards"),
    "pipeline.corpora": ("pipeline.training.corpora",),
    "pipeline.vocoder_training": ("pipeline.training.train_vocoder",),
    "pipeline.coded_store": ("pipeline.training.coded_store",),
    "pipeline.prior": ("pipeline.training.train_prior", "pipeline.coding.generation"),
    "pipeline.tables": ("pipeline.training.count_tables",),
    "pipeline.importing": ("pipeline.training.import_sony",),
    "pipeline.shipping": ("pipeline.training.shipping",),
    "pipeline.blockwise": ("model.blockwise",),
    "pipeline.comparison": ("pipeline.training.comparison",),
    "train.loop": ("train.codec_trainer",),
    "train.bound": ("train.elbo",),
    "train.evaluation": ("train.reconstruction",),
    "train.pictures": ("train.curves", "report.figure"),
    "train.prior": ("train.prior_trainer",),
    "train.vocoder.engine": ("train.vocoder.vocoder_trainer",),
    "train.vocoder.listening": ("train.vocoder.validation",),
    "report.spectrogram": ("report.spectrogram_image",),
}


class FormerModules(MetaPathFinder, Loader):
    """Finds the former modules after everything else was asked for them in vain."""

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """A module of a former name, or None."""
        former = fullname.removeprefix("sqcodec.")
        return ModuleSpec(fullname, self) if former != fullname and former in MODULES else None

    def exec_module(self, module: ModuleType) -> None:
        """Give it a `__getattr__` that looks into the present modules."""
        present = [f"sqcodec.{name}" for name in MODULES[module.__name__.removeprefix("sqcodec.")]]
        warn(module.__name__, " and ".join(present))
        module.__dict__["__getattr__"] = lambda name: look_up(name, module.__name__, present)


def look_up(name: str, former: str, present: Sequence[str]) -> Any:
    """`name` from the first of the present modules that has it. Raises AttributeError: none has."""
    for module in map(importlib.import_module, present):
        if name in vars(module):
            return vars(module)[name]
    raise AttributeError(f"module {former!r} is now {' and '.join(present)}, where there is no {name!r}")


def of_package(package: str, name: str, module: str) -> Any:
    """`name` of a package that was a module in release 0.1.0, whose names are in its `module` now.

    Raises AttributeError: it is not there, or it is a module of the package, which `import` then finds by itself.
    """
    if name.startswith("_") or find_spec(f"{package}.{name}"):
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    found = look_up(name, package, [f"{package}.{module}"])
    warn(f"{package}.{name}", f"{package}.{module}.{name}")
    return found


def warn(former: str, present: str) -> None:
    """Say that a name is a former one."""
    warnings.warn(f"{former} is now {present}; the former name goes with the next release", FutureWarning, stacklevel=4)


def install() -> None:
    """Let `import` find the former modules."""
    if not any(isinstance(finder, FormerModules) for finder in sys.meta_path):
        sys.meta_path.append(FormerModules())
