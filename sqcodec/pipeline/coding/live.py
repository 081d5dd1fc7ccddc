"""`encode` and `decode` of a stream: raw samples and packets, from a pipe to a pipe, as they come."""

import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, Protocol, Self, TextIO

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream import packets
from sqcodec.bitstream.foreign import LONGEST_MARK, marked
from sqcodec.errors import CodesError, SqcodecError
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.coding.modes import check, codebooks_of, mode_of, parse
from sqcodec.pipeline.coding.streams import StreamDecoder, StreamEncoder
from sqcodec.pipeline.finding.models import FoundModel, find_for_encoding
from sqcodec.pipeline.paths import check_place, is_pipe, is_special

_FULL_SCALE = 32767.0


class Extras(NamedTuple):
    """What both sides of a stream agree on besides the rate: dtx, protect as `StreamEncoder` takes them.

    With dtx each packet on a pipe has its length before it, a byte.
    """

    dtx: bool = False
    protect: int = 0


class Agreed(NamedTuple):
    """Model and nominal rate (bit/s), as both sides name them: by a mode, or by one or both of the others."""

    mode: str | None = None
    model: str | None = None
    bit_rate: float | None = None


class Streamed(NamedTuple):
    """packets, each of packet_bytes unless of silence; seconds of sound; the mode; the model, and why it was chosen.

    note: on an end that is no whole sample or packet; "": there is none.
    """

    packets: int
    packet_bytes: int
    seconds: float
    mode: str
    model: Path
    model_reason: str
    note: str


class Done(NamedTuple):
    """packets that were coded; left: bytes at the end of the source that are no whole sample or packet."""

    packets: int
    left: int


def encode_live(source: Path, target: Path, *, agreed: Agreed, rate: int, extras: Extras) -> Streamed:
    """Samples of `source` at `rate` (Hz) to packets in `target`; `-` is standard input or output.

    Returns what was done. Raises as `StreamEncoder`, and SqcodecError: a file cannot be opened, or has a header; what
    lies at `target` is whole then.
    """
    check_place(source, target)
    found, codec, bit_rate = _agreed(agreed)
    encoder = StreamEncoder(codec, bitrate=bit_rate, sample_rate=rate, dtx=extras.dtx, protect=extras.protect)
    with ExitStack() as stack:
        count, left = encode_stream(_source(source, stack), _Target(target, stack), encoder, framed=extras.dtx)
    seconds = count * encoder.packet_samples / rate
    note = "left out at the end: 1 of a sample's 2 bytes" if left else ""
    return Streamed(count, encoder.packet_bytes, seconds, encoder.mode, found.path, found.reason, note)


def decode_live(
    source: Path,
    target: Path,
    *,
    agreed: Agreed,
    rate: int | None,
    extras: Extras,
) -> Streamed:
    """Packets of `source` to samples in `target` at `rate` (None: the model's).

    Returns what was done. Raises as `StreamDecoder`, and SqcodecError: a file cannot be opened, or has a header; what
    lies at `target` is whole then.
    """
    check_place(source, target)
    found, codec, bit_rate = _agreed(agreed)
    codebooks = codebooks_of(codec, bit_rate)
    size = packets.CODES * (codebooks + (extras.protect > 0))
    decoder = StreamDecoder(codec, sample_rate=rate, protect=extras.protect)
    with ExitStack() as stack:
        opened = _source(source, stack), _Target(target, stack)
        count, left = decode_stream(*opened, decoder, packet_bytes=size, framed=extras.dtx)
    seconds, mode = count * packets.CODES / codec.frame_rate, str(mode_of(codec, codebooks))
    note = (
        f"left out at the end: {left} of a packet's {size} bytes; `bitrate`, `dtx` and `protect` must be the sender's"
        if left
        else ""
    )
    return Streamed(count, size, seconds, mode, found.path, found.reason, note)


def _agreed(agreed: Agreed) -> tuple[FoundModel, Codec, float | None]:
    """The model that was found, opened, and the nominal rate (None: the model's default)."""
    mode = parse(agreed.mode) if agreed.mode else None
    found = find_for_encoding(mode.model if mode else agreed.model)
    codec = open_codec(found.path, "cpu")
    if mode:
        check(mode, codec)
    return found, codec, mode.bit_rate if mode else agreed.bit_rate


class _Sink(Protocol):
    """What `encode_stream` and `decode_stream` write to: a binary file, or one that is opened when it is needed."""

    def write(self, content: bytes, /) -> object: ...

    def flush(self) -> object: ...


class _Target:
    """A file that is opened, and emptied, with the first bytes for it or at the end; a pipe or device at once."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._path, self._stack = path, stack
        self._file: BinaryIO | None = None
        if is_pipe(path) or is_special(path):
            self._opened()

    def write(self, content: bytes) -> None:
        if content:
            self._opened().write(content)

    def flush(self) -> None:
        self._opened().flush()

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._file = _standard(sys.stdout) if is_pipe(self._path) else _open(self._path, "wb", self._stack)
        return self._file


def _source(path: Path, stack: ExitStack) -> BinaryIO:
    return _standard(sys.stdin) if is_pipe(path) else _open(path, "rb", stack)


def _standard(stream: TextIO | None) -> BinaryIO:
    if stream is None:
        raise SqcodecError("-: standard input or output is closed; name a file, or pipe it")
    return stream.buffer


def _open(path: Path, how: Literal["rb", "wb"], stack: ExitStack) -> BinaryIO:
    try:
        return stack.enter_context(path.open(how, buffering=0 if how == "rb" else -1))
    except OSError as error:
        raise SqcodecError(f"{error.filename}: cannot be opened: {error.strerror}") from error


def encode_stream(source: BinaryIO, target: _Sink, encoder: StreamEncoder, *, framed: bool = False) -> Done:
    """Read samples (16 bit, little-endian, one channel), write packets.

    framed: each has its length before it, a byte.

    It ends with the source, with a closed target, or when it is interrupted: then what was heard is still coded.
    """
    half_a_packet = encoder.packet_samples  # bytes: 20 ms
    pieces = _Pieces(source, half_a_packet, whole=2)
    samples = (np.frombuffer(piece, "<i2") for piece in pieces)

    def sent(made: list[bytes]) -> list[bytes]:
        return [bytes([len(packet)]) + packet for packet in made] if framed else made

    count = _written(target, lambda piece: sent(encoder.push(piece)), lambda: sent(encoder.flush()), samples)
    return Done(count, pieces.left)


def decode_stream(
    source: BinaryIO, target: _Sink, decoder: StreamDecoder, *, packet_bytes: int, framed: bool = False
) -> Done:
    """Read packets of packet_bytes, write samples (16 bit, little-endian).

    framed: each has its length before it, a byte.

    An incomplete packet at the end is left out.
    """

    def push(packet: bytes) -> list[bytes]:
        return [_pcm(decoder.push(packet))]

    pieces = _Pieces(source, packet_bytes + framed, whole=1 if framed else packet_bytes)
    received = _framed(pieces, packet_bytes) if framed else pieces
    count = _written(target, push, lambda: [_pcm(decoder.flush())], received) - 1  # the last piece is of no packet
    return Done(count, pieces.left)


def _framed(pieces: "_Pieces", packet_bytes: int) -> Iterator[bytes]:
    """Packets that have their lengths before them; an incomplete one at the end is left out. Raises CodesError: a
    length that no packet has."""
    held = b""
    for piece in pieces:
        held += piece
        while held and len(held) > held[0]:
            if held[0] > packet_bytes:
                raise CodesError(f"a packet of {held[0]} bytes, expected at most {packet_bytes}: `dtx`, `bitrate` and"
                                 " `protect` must be the sender's")  # fmt: skip
            yield held[1 : held[0] + 1]
            held = held[held[0] + 1 :]
    pieces.left = len(held)


class _Pieces:
    """What comes, in pieces of `size` bytes or fewer, each a multiple of `whole`; left: bytes of an incomplete end."""

    def __init__(self, source: BinaryIO, size: int, *, whole: int) -> None:
        self._source, self._size, self._whole = source, size, whole
        self.left = 0

    def __iter__(self) -> Iterator[bytes]:
        held = b""
        read: Callable[[int], bytes] = getattr(self._source, "read1", self._source.read)  # waits for no more than comes
        with _Interrupts() as interrupts:
            begin = b""
            while chunk := interrupts.waiting(read, self._size - len(held) % self._size):
                held += chunk
                if len(begin) < LONGEST_MARK:
                    begin += chunk
                    _refuse_header(begin)
                usable = len(held) - len(held) % self._whole
                if usable:
                    yield held[:usable]
                    held = held[usable:]
        self.left = len(held)


def _refuse_header(begin: bytes) -> None:
    """Raises SqcodecError: the stream begins as a file with a header does, which would be taken for sound or codes."""
    if what := marked(begin):
        raise SqcodecError(
            f"the stream begins as {what} does; expected raw samples or packets: leave out `stream` for files, and"
            " record without a header (arecord -t raw)"
        )


class _Interrupts:
    """Ctrl-C ends the wait for input, and never the work on what has come."""

    def __init__(self) -> None:
        self._asked = self._waits = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._former = signal.signal(signal.SIGINT, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._former)

    def waiting(self, read: Callable[[int], bytes], size: int) -> bytes:
        """What is read, `size` bytes or fewer; nothing after an interrupt."""
        if self._asked:
            return b""
        self._waits = True
        try:
            return read(size)
        except KeyboardInterrupt:
            return b""
        finally:
            self._waits = False

    def _heard(self, *_: object) -> None:
        self._asked = True
        if self._waits:
            raise KeyboardInterrupt


def _written(
    target: _Sink,
    push: Callable[[NDArray[np.int16]], list[bytes]] | Callable[[bytes], list[bytes]],
    flush: Callable[[], list[bytes]],
    pieces: Iterable[NDArray[np.int16]] | Iterable[bytes],
) -> int:
    count = 0
    try:
        for piece in pieces:
            count += _write(target, push(piece))  # type: ignore[arg-type]
        count += _write(target, flush())
        target.flush()
    except BrokenPipeError:
        return count
    return count


def _write(target: _Sink, parts: list[bytes]) -> int:
    for part in parts:
        target.write(part)
    if any(parts):
        target.flush()
    return len(parts)


def _pcm(sound: NDArray[np.float32]) -> bytes:
    samples: NDArray[np.int16] = np.rint(sound * np.float32(_FULL_SCALE)).astype("<i2")
    return samples.tobytes()
