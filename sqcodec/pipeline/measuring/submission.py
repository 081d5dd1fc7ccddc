"""The verb `submit`: a submission to ZeroSpeech 2019 as a folder, and a check of such a folder.

metadata.yaml                author, affiliation, open source
2019/metadata.yaml           ABX distance, description of the system, use of other data
2019/<language>/test/*.txt   a vector a line, for each test file
2019/<language>/test/*.wav   for each line of the synthesis list, <voice>_<number>.wav
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from sqcodec.corpus.audio import AudioSource
from sqcodec.corpus.recordings import files_in
from sqcodec.corpus.zerospeech2019 import language_folder, missing
from sqcodec.errors import CorpusError, RecipeError, SqcodecError
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.finding.models import find_for_encoding
from sqcodec.pipeline.measuring.units import codewords_of, read_vectors
from sqcodec.pipeline.paths import written_folder
from sqcodec.recipe.plain_yaml import parse

LANGUAGES = ("english", "surprise")
DISTANCES = ("dtw_cosine", "dtw_kl", "levenshtein")
VOICES = {"english": ("V001", "V002"), "surprise": ("V001",)}
MIN_SYNTHESISED = 1.0  # seconds: without a synthesis list, shorter test files (cut-out phones) are not synthesised
_ENTRIES: dict[str, dict[str, type]] = {
    "metadata.yaml": {"author": str, "affiliation": str, "open source": bool},
    "2019/metadata.yaml": {
        "abx distance": str, "system description": str, "using parallel train": bool, "using external data": bool,
    },
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """What was written: files of vectors and sounds by language, and notes for the user."""

    folder: Path
    texts: int
    sounds: int
    notes: tuple[str, ...]


def submit_zerospeech2019(
    model: str | None,
    out: Path,
    *,
    data: Path,
    synthesis: Path | None = None,
    vocoder: str | None = None,
    author: str = "anonymous",
    affiliation: str = "none",
    device: str = "cpu",
) -> Submitted:
    """Encode every test file below `data` and synthesise those of the list; `out` appears whole or not at all.

    synthesis: lines of a test file and a target voice; else `synthesis.txt` of the language, else every test file of a
    second or more in turn in the target voices. Raises CorpusError: no test files, or a wrong list; SqcodecError: `out`
    is there already, or the model knows no target voice.
    """
    if out.exists():
        raise SqcodecError(f"{out}: exists already, expected a new folder; remove it or choose another name")
    codec = open_codec(find_for_encoding(model).path, device)
    folders = {language: folder for language in LANGUAGES if (folder := _language(data, language)) is not None}
    if not folders:
        raise missing(data, "english")
    notes, texts, sounds = [], 0, 0
    with written_folder(out) as draft:
        for language, folder in folders.items():
            test = _tests(folder)
            entries, note = _synthesis_list(
                synthesis or folder / "synthesis.txt", test, language, given=synthesis is not None
            )
            notes += [f"{language}: {note}"] if note else []
            target = draft / "2019" / language / "test"
            target.mkdir(parents=True)
            for name, path in test.items():
                _write_vectors(target / f"{name}.txt", codewords_of(codec, AudioSource(path).read(codec.sample_rate)))
            notes += _speak(codec, entries, test, target, vocoder=vocoder)
            texts, sounds = texts + len(test), sounds + len(entries)
        _write_metadata(draft, codec, author=author, affiliation=affiliation)
    absent = [language for language in LANGUAGES if language not in folders]
    notes += [f"{language}: not in {data}, left out; the challenge wants it" for language in absent]
    return Submitted(folder=out, texts=texts, sounds=sounds, notes=tuple(notes))


def _language(data: Path, language: str) -> Path | None:
    """The folder of a language with its test files; one that is not named after a language counts as English."""
    folder = language_folder(data, language)
    if folder is None or not (folder / "test").is_dir():
        return None
    own = folder.name if folder.name in LANGUAGES else "english"
    return folder if own == language else None


def _tests(folder: Path) -> dict[str, Path]:
    found = {path.stem: path for path in files_in(folder / "test")}
    if not found:
        raise CorpusError(f"{folder / 'test'}: got no recordings, expected <speaker>_<number>.wav")
    return found


def _synthesis_list(
    path: Path, test: dict[str, Path], language: str, *, given: bool
) -> tuple[list[tuple[str, str]], str]:
    """(test file, voice) of the list, and what to say about it."""
    voices = VOICES[language]
    if not given and not path.is_file():
        long_enough = [name for name, file in test.items() if AudioSource(file).seconds >= MIN_SYNTHESISED]
        chosen = [(name, voices[number % len(voices)]) for number, name in enumerate(long_enough)]
        return chosen, f"no synthesis.txt: the {len(chosen)} test files of a second or more, voices in turn"
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise CorpusError(
            f"{path}: cannot be read ({error.strerror}); expected lines of a test file and a voice"
        ) from None
    entries = []
    for number, fields in enumerate(lines, 1):
        name = Path(fields[0]).stem
        if len(fields) != 2 or name not in test:
            raise CorpusError(f"{path}, line {number}: got {' '.join(fields)!r}, expected a test file and a voice")
        entries.append((name, fields[1]))
    return entries, ""


def _write_vectors(path: Path, vectors: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    """One vector per line, 16 decimals, so that equal codes print equally and different ones do not."""
    with path.open("w", encoding="ascii") as file:
        np.savetxt(file, vectors, fmt="%.16f", delimiter=" ")


def _speak(
    codec: Codec, entries: Sequence[tuple[str, str]], test: dict[str, Path], target: Path, *, vocoder: str | None
) -> list[str]:
    """Write each listed file in its voice; for a voice unknown to the model, in the nearest it knows.

    Raises CorpusError: two would have one name.
    """
    unknown: set[str] = set()
    outputs = [f"{voice}_{name.partition('_')[2] or name}.wav" for name, voice in entries]
    for (name, _), output in zip(entries, outputs, strict=True):
        if outputs.count(output) > 1:
            raise CorpusError(
                f"{test[name]}: another test file, too, would become {output}, of the voice and what follows '_' in the"
                " name; give each a number of its own, or list others in synthesis.txt"
            )
    for (name, voice), output in zip(entries, outputs, strict=True):
        known = voice in codec.speakers
        unknown |= set() if known else {voice}
        codes = codec.encode_recording(AudioSource(test[name]), speaker=voice if known else None)
        sound = codec.decode(codes, vocoder=vocoder)
        soundfile.write(os.fsencode(target / output), sound, codec.sample_rate, subtype="PCM_16")
    return [f"{voice}: unknown to the model; the nearest speaker that it knows is used" for voice in sorted(unknown)]


def _write_metadata(draft: Path, codec: Codec, *, author: str, affiliation: str) -> None:
    recipe, codebooks = codec.model.recipe, codec.codebooks_for(codebooks=None, bit_rate=None)
    bit_rate = codec.header.bit_rate(codebooks)
    about = {"author": author, "affiliation": affiliation, "open source": False}
    system = {
        "abx distance": "dtw_cosine",
        "system description": f"sqcodec, recipe {recipe.name}: {bit_rate:.0f} bit/s nominal",
        "hyperparameters": recipe.model_dump(mode="json"),
        "using parallel train": False,
        "using external data": recipe.corpus.kind != "zerospeech2019",
    }
    for name, fields in (("metadata.yaml", about), ("2019/metadata.yaml", system)):
        (draft / name).write_text(yaml.safe_dump(fields, sort_keys=False, allow_unicode=True), encoding="utf-8")


def check_submission(folder: Path, *, data: Path | None = None) -> tuple[str, ...]:
    """The errors that the challenge's validator would report, one per line; data: has the test files."""
    if not folder.is_dir():
        raise CorpusError(f"{folder}: got no such folder, expected a submission")
    complaints = [
        complaint for name, entries in _ENTRIES.items() for complaint in _check_metadata(folder, name, entries)
    ]
    for language in LANGUAGES:
        test = folder / "2019" / language / "test"
        if not test.is_dir():
            complaints.append(f"2019/{language}/test: missing")
            continue
        expected = _language(data, language) if data is not None else None
        complaints += _check_files(test, _tests(expected) if expected else {}, f"2019/{language}/test")
    return tuple(complaints)


def _check_metadata(folder: Path, name: str, entries: dict[str, type]) -> Iterable[str]:
    try:
        tree = parse((folder / name).read_text(encoding="utf-8"))
    except (OSError, RecipeError, UnicodeDecodeError):
        yield f"{name}: missing, or not YAML"
        return
    if not isinstance(tree, dict):
        yield f"{name}: got no entries, expected {', '.join(entries)}"
        return
    for entry, kind in entries.items():
        if not isinstance(tree.get(entry), kind):
            yield f"{name}: {entry!r}: got {tree.get(entry)!r}, expected {'text' if kind is str else 'true or false'}"
    if "abx distance" in entries and tree.get("abx distance") not in DISTANCES:
        yield f"{name}: 'abx distance': got {tree.get('abx distance')!r}, expected one of {', '.join(DISTANCES)}"
    if tree.get("open source") is True and not any((folder / "2019").glob("code/*")):
        yield "2019/code: missing, but metadata.yaml says open source"


def _check_files(test: Path, expected: dict[str, Path], where: str) -> Iterable[str]:
    texts = {path.stem: path for path in files_in(test, (".txt",))}
    if not texts:
        yield f"{where}: got no .txt, expected one for each test file"
    if lost := sorted(expected.keys() - texts.keys()):
        yield f"{where}: {len(lost)} of {len(expected)} test files have no .txt (the first: {lost[0]})"
    sizes = set()
    for name, path in texts.items():
        try:
            sizes.add(read_vectors(path).shape[1])
        except CorpusError as error:
            yield f"{where}/{name}.txt: {str(error).removeprefix(f'{path}: ')}"
    if len(sizes) > 1 or sizes == {1}:
        yield f"{where}: got vectors of {sorted(sizes)} numbers, expected one size of 2 or more in all files"
    sounds = files_in(test, (".wav",))
    if not sounds:
        yield f"{where}: got no .wav, expected those of the synthesis list"
    for path in sounds:
        try:
            if soundfile.info(os.fsencode(path)).frames == 0:
                yield f"{where}/{path.name}: empty"
        except soundfile.SoundFileError:
            yield f"{where}/{path.name}: not a WAV"
