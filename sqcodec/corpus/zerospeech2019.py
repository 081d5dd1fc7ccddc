"""ZeroSpeech 2019, "TTS without T": the English and the surprise language (https://zerospeech.com/tasks/task_tts/)."""

from pathlib import Path

from sqcodec.corpus.recordings import files_in
from sqcodec.corpus.splits import Manifest, Recording, assign
from sqcodec.errors import CorpusError

USUAL_RATES = frozenset({16000})  # Hz
USUAL_ROOT = "2019"
EXPECTED = "train/unit/, train/voice/, train/parallel/{source,voice}/ and test/ with <speaker>_<number>.wav"
FETCH = {
    "english": "'sqcodec prep zerospeech2019' with `data` {root} and `fetch` downloads it (2.5 GB)",
    "surprise": "its archive needs a password: ask for it at https://zerospeech.com, then unpack it into {root}",
}
FOLDERS = ("train/unit", "train/voice", "train/parallel/source", "train/parallel/voice", "test")


def missing(root: Path, language: str) -> CorpusError:
    """The error text if there is no ZeroSpeech 2019 of this language."""
    got = "no ZeroSpeech 2019 recordings" if root.is_dir() else "no such folder"
    return CorpusError(f"{root}: got {got}, expected {language}/ with {EXPECTED}; {FETCH[language].format(root=root)}")


def language_folder(root: Path, language: str) -> Path | None:
    """The folder of a language: `root` itself, or below it, also below a folder `2019`."""
    inside = [root / language, root / "2019" / language]
    candidates = inside if any(folder.is_dir() for folder in inside) else [root]
    return next((folder for folder in candidates if any((folder / part).is_dir() for part in FOLDERS)), None)


def walk(root: Path, splits: dict[str, Path], *, language: str) -> Manifest:
    """Every recording of a language; the speaker is what precedes the first underscore of the file's name.

    Names are paths below the language's folder without suffix, such as train/unit/S015_0361841101.
    Raises CorpusError: no recordings, or a wrong split file.
    """
    folder = language_folder(root, language)
    parts = [_recordings(folder, part) for part in FOLDERS] if folder else []
    recordings = {recording.name: recording for part in parts for recording in part}
    if not recordings:
        raise missing(root, language)
    return assign(recordings.values(), splits, usual_rates=USUAL_RATES)


def _recordings(folder: Path, part: str) -> list[Recording]:
    paths = files_in(folder / part)
    return [Recording(f"{part}/{path.stem}", path, path.stem.partition("_")[0]) for path in paths]
