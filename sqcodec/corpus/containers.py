"""What the container of a recording says of its length, compared with the file; libsndfile shortens without a word."""

import io
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import soundfile

_NO_LENGTH = 1 << 62  # libsndfile's frame count when the header has none (a FLAC that was written to a pipe)
_STREAMED = 0x7FFF_0000  # chunk sizes from here on are what programs write into a pipe, not a length
_ESTIMATED = ("OGG", "MP3")  # formats whose header estimates the length, or has none
_TAIL = 1 << 17  # bytes, more than the largest frame of FLAC
_MP3_TAGS = (36, 21, 13)  # bytes from an MP3 frame to the tag with the number of frames, by version and channels

# libsndfile's log -> what the header says, then what the file holds
_BYTES = re.compile(r"^\s*(?:data|SSND|BODY|Data Size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_FILE_BYTES = re.compile(r"^riff : (\d+) \(should be (\d+)\)", re.MULTILINE)  # W64
_DATA_LENGTH = re.compile(r"^Data length (\d+) should be (\d+)", re.MULTILINE)  # WVE
# libsndfile's log -> samples per channel that the header says: AIFF, AVR, MPC2K, RF64; MAT4 and MAT5
_FRAMES = re.compile(r"(?:^\s*Frames|\bCols)\s*: (\d+)", re.MULTILINE)
_COUNTED = ("AIFF", "AVR", "MPC2K", "RF64", "MAT4", "MAT5")
_NIST_COUNT = re.compile(rb"sample_count -i (\d+)")


class Remark(NamedTuple):
    """A remark on a recording that can be used: its kind, which is counted, and details."""

    kind: str
    detail: str


class _Unseekable(soundfile.SoundFile):  # type: ignore[misc]
    """A file of unknown length; soundfile would seek to its end, which libsndfile cannot."""

    def seekable(self) -> bool:
        return False


class _Overlaid(io.RawIOBase):
    """A file with some of its bytes replaced."""

    def __init__(self, path: Path, start: int, content: bytes) -> None:
        self._file, self._start, self._content = path.open("rb"), start, content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        begin = self._file.tell()
        size = self._file.readinto(buffer)
        first, last = max(begin, self._start), min(begin + size, self._start + len(self._content))
        if first < last:
            buffer[first - begin : last - begin] = self._content[first - self._start : last - self._start]
        return size

    def close(self) -> None:
        self._file.close()
        super().close()


def open_sound(path: Path) -> soundfile.SoundFile:
    """Open a recording. Raises soundfile.SoundFileError, TypeError, OSError: libsndfile cannot."""
    file = soundfile.SoundFile(os.fsencode(path))
    if file.frames >= _NO_LENGTH:
        file.close()
        return _Unseekable(os.fsencode(path))
    if not file.frames and (unfinished := _unfinished(path)):
        file.close()
        return soundfile.SoundFile(_Overlaid(path, *unfinished))
    return file


def declared_samples(file: soundfile.SoundFile) -> int | None:
    """Samples per channel that the file must hold; None: its header does not tell."""
    inexact = file.format in _ESTIMATED or file.subtype.startswith("MPEG") or file.frames >= _NO_LENGTH
    return None if inexact else file.frames


def truncation(file: soundfile.SoundFile, path: Path) -> str | None:
    """What is missing at the end of the file: `got 9000 of 9600 bytes of sound`; None: nothing that can be seen."""
    log = file.extra_info
    for pattern, what in ((_BYTES, "bytes of sound"), (_FILE_BYTES, "bytes"), (_DATA_LENGTH, "samples")):
        found = pattern.search(log)
        if found and int(found[2]) < int(found[1]) < _STREAMED:
            return f"got {found[2]} of {found[1]} {what}"
    count = _counted(file, path, log)
    if count is not None and file.frames < count < _STREAMED:
        return f"got {file.frames} of {count} samples"
    return f"got {file.frames} samples, the header says more" if "Seems to be a truncated file" in log else None


def second_recording(file: soundfile.SoundFile, path: Path) -> int | None:
    """Byte where a second recording begins, after the one that libsndfile reads; None: there is none."""
    if file.format not in _ESTIMATED:
        return None
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if file.format == "MP3":
            tags = sorted(_mp3_tags(content))
            return tags[1] if len(tags) > 1 else None
        last = content.rfind(b"OggS\0\x02")  # a first page
        ends = last > 0 and any(content.find(b"OggS\0" + flag, 0, last) >= 0 for flag in (b"\x04", b"\x05"))
        return last if ends else None


def doubts(file: soundfile.SoundFile, path: Path, count: int) -> Iterator[Remark]:
    """Remarks on a recording of which `count` samples were read to the end."""
    if isinstance(file.name, _Overlaid):
        yield Remark("unfinished", f"its header says that there is no sound; {count} samples follow and were read")
    if "lacks an end-of-stream bit" in file.extra_info:
        yield Remark("cut", f"its last page is missing, the file may be cut; {count} samples were read")
    if file.format == "MP3" and count < 0.95 * file.frames < _NO_LENGTH:
        yield Remark("cut", f"its header says {file.frames} samples, {count} were read; the file may be cut")
    if file.format == "FLAC" and file.frames < (end := _flac_end(path)):
        yield Remark("more", f"its header says {file.frames} samples, which were read; there are {end}")


def _counted(file: soundfile.SoundFile, path: Path, log: str) -> int | None:
    if file.format in _COUNTED:
        counts = _FRAMES.findall(log)
        return int(counts[-1]) if counts else None
    if file.format == "NIST":
        with path.open("rb") as opened:
            found = _NIST_COUNT.search(opened.read(1024))
        return int(found[1]) if found else None
    return None


def _unfinished(path: Path) -> tuple[int, bytes] | None:
    """Where the size of an empty `data` chunk lies with sound behind it, and the size that it should have.

    A recorder that was cut off leaves 0 there.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if (head := file.read(12))[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        while len(chunk := file.read(8)) == 8:
            length = int.from_bytes(chunk[4:], "little")
            if chunk[:4] != b"data":
                file.seek(length + length % 2, os.SEEK_CUR)
                continue
            begin = file.tell()
            follows, rest = file.read(8), size - begin
            another = follows[:4].isalnum() and int.from_bytes(follows[4:], "little") <= rest - 8
            if length or not rest or another:
                return None
            return begin - 4, min(rest, 0xFFFF_FFFF).to_bytes(4, "little")
    return None


def _mp3_tags(content: mmap.mmap) -> Iterator[int]:
    """Bytes where MP3 frames begin that count the frames of their recording."""
    for tag in (b"Xing", b"Info"):
        position = content.find(tag)
        while position >= 0:
            for before in _MP3_TAGS:
                head = content[max(0, position - before) : position - before + 2]
                if position >= before and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
                    yield position - before
                    break
            position = content.find(tag, position + 4)


def _flac_end(path: Path) -> int:
    """Samples up to the end of the last frame of a FLAC file; 0 if it is not found."""
    with path.open("rb") as file:
        head = file.read(26)
        file.seek(max(0, path.stat().st_size - _TAIL))
        tail = file.read()
    block = int.from_bytes(head[10:12], "big")  # the largest: of every frame but the last
    start = len(tail)
    while head[:4] == b"fLaC" and (start := tail.rfind(b"\xff\xf8", 0, start)) >= 0:
        frame = _flac_frame(tail[start : start + 16])
        if frame is not None:
            number, size = frame
            return number * block + size
    return 0


def _flac_frame(header: bytes) -> tuple[int, int] | None:
    """Number and samples of the frame (of a file with frames of one length) with this header; None: it is none."""
    if len(header) < 16:
        return None
    ones = 8 - (header[4] ^ 0xFF).bit_length()  # as UTF-8: the bytes of the number
    follow = max(1, ones) - 1
    number = header[4] & (0x7F >> ones)
    for byte in header[5 : 5 + follow]:
        number = number << 6 | byte & 0x3F
    stop, code = 5 + follow, header[2] >> 4
    wide, rate = {6: 1, 7: 2}.get(code, 0), {12: 1, 13: 2, 14: 2}.get(header[2] & 15, 0)
    given = int.from_bytes(header[stop : stop + wide], "big") + 1
    size = given if wide else 192 if code == 1 else 144 << code if 2 <= code <= 5 else 1 << code
    end = stop + wide + rate
    return (number, size) if _crc8(header[:end]) == header[end] and code and ones != 1 else None


def _crc8(content: bytes) -> int:
    """Of a frame's header (polynomial x^8 + x^2 + x + 1)."""
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x07 if crc & 0x80 else 0)) & 0xFF
    return crc
