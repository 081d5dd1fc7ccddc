"""Download a public corpus: resume, verify, unpack inside its own folder."""

import gzip
import hashlib
import os
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath

from sqcodec.errors import CorpusError
from sqcodec.locking import alone
from sqcodec.storage import move

_CHUNK = 1 << 20  # bytes
_TIMEOUT = 60  # seconds without a byte

# what readers of archives raise: also for a method or a version that they do not have, and for a password
_BAD_ARCHIVE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, LookupError)
_ATTEMPTS = 5  # in a row without a new byte
_PAUSE = 2.0  # seconds before the next attempt

Progress = Callable[[str, int, int], None]  # what is being done, how much of it is done, how much there is


@dataclass(frozen=True, kw_only=True)
class Source:
    """A published archive. sha256: None if none is published. inside: the folder made for what it unpacks to,
    None where the archive brings its own; size in bytes, about."""

    name: str
    url: str
    size: int
    sha256: str | None
    inside: str | None

    @property
    def most(self) -> int:
        """Bytes that neither the archive nor what it unpacks to exceeds: recordings compress less than four times."""
        return 4 * self.size + (1 << 20)


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


def fetch(source: Source, folder: Path, *, progress: Progress) -> None:
    """Download an archive into `folder`, verify it and unpack it there; files that are there are used.

    Raises CorpusError: the server cannot be reached or keeps failing, the checksum differs, the archive is
    damaged, it would write outside its folder, or another process does the same.
    """
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / source.url.rpartition("/")[2]
    with alone(archive, error=CorpusError):
        _fetch(source, archive, folder, progress)


def _fetch(source: Source, archive: Path, folder: Path, progress: Progress) -> None:
    if archive.is_file():
        _verify(source, archive, progress)
    else:
        part = archive.with_name(f"{archive.name}.part")
        _download(source, part, progress)
        try:
            _verify(source, part, progress)
        except CorpusError as error:
            part.unlink()
            raise CorpusError(
                f"{source.url}: {str(error).removeprefix(f'{part}: ')}; the download is removed"
            ) from None
        move(part, archive, error=CorpusError)
    _unpack(source, archive, folder)


def _download(source: Source, part: Path, progress: Progress) -> None:
    """Append to `part` until it is complete; reconnect as long as each connection brings data."""
    failures = 0
    while failures < _ATTEMPTS:
        before = part.stat().st_size if part.exists() else 0
        try:
            if _receive(source, part, progress):
                return
            reason = "the connection broke off"
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise _stopped(source, part, f"HTTP status {error.code} ({error.reason})") from error
            reason = f"HTTP status {error.code} ({error.reason})"
        except (OSError, HTTPException) as error:  # URLError is an OSError
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        grown = part.exists() and part.stat().st_size > before
        failures = 0 if grown else failures + 1
        time.sleep(_PAUSE)
    raise _stopped(source, part, reason)


def _stopped(source: Source, part: Path, reason: str) -> CorpusError:
    got = part.stat().st_size if part.exists() else 0
    return CorpusError(
        f"{source.url}: {reason}; got {got} bytes, kept in {part}; run the same command again to go on from there"
    )


def _receive(source: Source, part: Path, progress: Progress) -> bool:
    """Request the missing bytes and append them. Returns whether the file is complete."""
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(source.url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code != 416:
                raise
            whole = error.headers.get("Content-Range", "").rpartition("/")[2]
        if whole == str(start):
            return True
        part.unlink()  # longer than the file: not a beginning of it
        return False
    with response:
        if response.status != 206:  # the server ignores Range and sends everything
            start = 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else 0
        with part.open("ab" if start else "wb") as file:
            while chunk := response.read(_CHUNK):
                start += file.write(chunk)
                if start > source.most:
                    part.unlink()  # no beginning of the archive
                    raise CorpusError(
                        f"{source.url}: sends more than {source.most} bytes; expected about {source.size}"
                    )
                progress(f"download {source.name}", start, total or source.size)
    return not total or start == total


def _verify(source: Source, part: Path, progress: Progress) -> None:
    if source.sha256 is None:
        _test(part)
        return
    digest, read, size = hashlib.sha256(), 0, part.stat().st_size
    with part.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            read += len(chunk)
            progress(f"verify {source.name}", read, size)
    if digest.hexdigest() != source.sha256:
        raise CorpusError(
            f"{part}: got SHA-256 {digest.hexdigest()}, expected {source.sha256}; remove it, and run the same command"
            " again"
        )


def _test(part: Path) -> None:
    """Read a gzip archive to its end, where its own checksum is."""
    try:
        with gzip.open(part) as file:
            while file.read(_CHUNK):
                pass
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(
            f"{part}: the archive is damaged ({error}); remove it, and run the same command again"
        ) from error


def _unpack(source: Source, archive: Path, folder: Path) -> None:
    """Unpack beside the target and rename, so that a corpus is complete or absent."""
    temporary = folder / f"{archive.name}.unpacking"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        if archive.suffix == ".zip":
            _unzip(archive, temporary, source.most)
        else:
            _untar(archive, temporary, source.most)
        _put(temporary, folder, source.inside)
    except (OSError, *_BAD_ARCHIVE) as error:
        raise CorpusError(
            f"{archive}: not unpacked: {' '.join(str(error).split()) or type(error).__name__}; make room or remove the"
            " file, and run the same command again"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put(temporary: Path, folder: Path, inside: str | None) -> None:
    """Give what was unpacked its place. Raises CorpusError: something is there."""
    items = [(temporary, folder / inside)] if inside else [(item, folder / item.name) for item in temporary.iterdir()]
    for _, target in items:
        if os.path.lexists(target):
            raise CorpusError(f"{target}: is there already, and the archive would replace it; move it away")
    for item, target in items:
        move(item, target, error=CorpusError)


def _unzip(archive: Path, folder: Path, most: int) -> None:
    with zipfile.ZipFile(archive) as file:
        for name in file.namelist():
            path = PurePosixPath(name.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts:
                raise zipfile.BadZipFile(f"{name!r} would be written outside the folder")
        _check_room(sum(member.file_size for member in file.infolist()), most)
        file.extractall(folder)


def _untar(archive: Path, folder: Path, most: int) -> None:
    size = 0
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            size += member.size
            _check_room(size, most)
            tar.extract(member, folder, filter="data")


def _check_room(size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"it holds {size} bytes or more, expected at most {most}")
