"""Which corpus a recipe is for: where its recordings lie, and how to fetch it."""

from collections.abc import Callable
from pathlib import Path

from sqcodec.corpus import download, folder, vctk, zerospeech2019
from sqcodec.corpus.splits import Manifest
from sqcodec.corpus.variations import with_variations
from sqcodec.errors import CorpusError
from sqcodec.recipe import FolderConfig, Recipe, VctkConfig, ZeroSpeech2019Config

Progress = Callable[[str, int, int], None]  # the step, how much is done, how much there is


def scan(recipe: Recipe, recipe_folder: Path, *, data: Path | None, list_file: Path | None) -> Manifest:
    """Find the recordings of a recipe and assign them to splits. No recording is opened.

    Raises CorpusError: no corpus at its path, or a wrong list.
    """
    corpus = recipe.corpus
    if list_file and not isinstance(corpus, FolderConfig):
        raise CorpusError(
            f"`list_file` {list_file}: recipe {recipe.name} is for {corpus.kind}; a list needs the recipe folder"
        )
    if isinstance(corpus, FolderConfig):
        if list_file:
            found = folder.read_list(list_file)
        else:
            found = folder.walk(data or _usual_root(recipe), corpus.test_fraction)
        if (copies := corpus.variations) is None:
            return found
        return with_variations(found, copies.shares, noise=copies.noise, rooms=copies.rooms)
    root = data or _usual_root(recipe)
    match corpus:
        case VctkConfig():
            return vctk.walk(root, _split_files(corpus.splits, recipe_folder), microphone=corpus.microphone)
        case ZeroSpeech2019Config():
            return zerospeech2019.walk(root, _split_files(corpus.splits, recipe_folder), language=corpus.language)


def _usual_root(recipe: Recipe) -> Path:
    """The default path of a corpus, relative to the working folder: the name in its archive."""
    match recipe.corpus:
        case VctkConfig():
            return next(filter(Path.is_dir, map(Path, vctk.USUAL_ROOTS)), Path(vctk.USUAL_ROOTS[0]))
        case ZeroSpeech2019Config():
            return Path(zerospeech2019.USUAL_ROOT)
        case FolderConfig():
            raise CorpusError(
                f"recipe {recipe.name}: got no `data`, expected `data` DIR, a folder with <speaker>/<utterance>.wav"
                " (or .flac, .ogg, ...); or `list_file` TSV with your own list"
            )


def _split_files(splits: dict[str, str], recipe_folder: Path) -> dict[str, Path]:
    return {split: recipe_folder / name for split, name in splits.items()}


def download_corpus(recipe: Recipe, data: Path | None, progress: Progress) -> tuple[str, ...]:
    """Download the corpus unless it is there. Returns remarks for the user."""
    corpus = recipe.corpus
    root = data or _usual_root(recipe)
    match corpus:
        case VctkConfig():
            there, source = vctk.audio_folder(root), download.VCTK
        case ZeroSpeech2019Config(language="english"):
            there, source = zerospeech2019.language_folder(root, "english"), download.ZEROSPEECH2019_ENGLISH
        case ZeroSpeech2019Config():
            raise CorpusError(f"`fetch`: {zerospeech2019.FETCH[corpus.language].format(root=root)}")
        case FolderConfig():
            raise CorpusError(
                "`fetch`: the recipe folder is for your own recordings; give `data` DIR or `list_file` TSV"
            )
    if there is not None:
        return (f"{there}: there already, nothing downloaded",)
    download.fetch(source, root, progress=progress)
    checked = "SHA-256 verified" if source.sha256 else "archive tested (nobody publishes a checksum of it)"
    return (f"{source.url}: downloaded and unpacked into {root}, {checked}",)
