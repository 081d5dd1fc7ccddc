"""Fetch a public corpus: goes on where it was broken off, verifies, unpacks without leaving its folder."""

import gzip
import hashlib
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath

from sqcodec.errors import CorpusError

_CHUNK = 1 << 20  # bytes
_TIMEOUT = 60  # seconds without a byte

Progress = Callable[[str, int, int], None]  # what is being done, how much of it is done, how much there is


@dataclass(frozen=True, kw_only=True)
class Source:
    """A published archive. sha256: None where nobody publishes one. inside: the folder made for what it unpacks to,
    None where the archive brings its own; size in bytes, about."""

    name: str
    url: str
    size: int
    sha256: str | None
    inside: str | None


VCTK = Source(
    name="VCTK 0.92",
    url="https://datashare.is.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip",
    size=11_747_302_977,
    sha256="f96258be9fdc2cbff6559541aae7ea4f59df3fcaf5cf963aae5ca647357e359c",
    inside="VCTK-Corpus-0.92",
)
ZEROSPEECH2019_ENGLISH = Source(
    name="ZeroSpeech 2019 English",
    url="https://download.zerospeech.com/2019/english.tgz",
    size=2_500_000_000,
    sha256=None,
    inside=None,
)
