"""LibriSpeech as it is unpacked: SET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac (Panayotov et al., ICASSP 2015).

The words of a chapter are in SPEAKER-CHAPTER.trans.txt.
"""

import re
from pathlib import Path

from sqcodec.corpus.recordings import files_below
from sqcodec.corpus.splits import Utterance
from sqcodec.corpus.transcripts import transcript_of
from sqcodec.errors import CorpusError

RECORDINGS = {"test-clean": 2620}  # of a set
_NAME = re.compile(r"(?P<speaker>\d+)/(?P<chapter>\d+)/(?P=speaker)-(?P=chapter)-\d{4}")


def read_set(root: Path, name: str, *, words: bool) -> tuple[Utterance, ...]:
    """The recordings of a set, `root`/`name` or `root` itself if that is called so; other files are ignored.

    words: whether each must have its words. Raises CorpusError: no such folder, no recordings in this layout, or one
    without its words.
    """
    folder = root if root.name == name else root / name
    if not folder.is_dir():
        raise CorpusError(
            f"{root}: got no folder {name}, expected {name}/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac below it"
        )
    named = {path.relative_to(folder).with_suffix("").as_posix(): path for path in files_below(folder)}
    utterances = tuple(
        Utterance(name=key, path=path, speaker=found["speaker"], split=name)
        for key, path in named.items()
        if (found := _NAME.fullmatch(key))
    )
    if not utterances:
        raise CorpusError(
            f"{folder}: got no recordings SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac, as LibriSpeech has them"
        )
    for utterance in utterances:
        if words and transcript_of(utterance.path) is None:
            expected = utterance.path.with_name(f"{utterance.path.stem.rpartition('-')[0]}.trans.txt")
            raise CorpusError(f"{utterance.path}: its words are missing, expected a line of {expected}")
    return utterances
