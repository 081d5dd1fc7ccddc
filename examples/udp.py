"""A voice over UDP: sender and receiver on this machine, with a bad network between them that this script simulates.

    python examples/udp.py in.wav out.wav --loss 5 --jitter 60 --buffer 120

The sender sends a datagram every 40 ms: a sequence number of two bytes, one byte of kind, and a packet of 8 bytes. The
network loses some, and delays each by another time, so they overtake each other. The receiver sorts them in a jitter
buffer, plays one every 40 ms, and hands None to the decoder where one has not come in time. OUT is what it plays.
"""

import argparse
import heapq
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator

import numpy as np
import soundfile

import sqcodec

PACKET_SECONDS = 0.04
HEADER = struct.Struct("!HB")  # sequence number, kind
SOUND, END = 0, 1
NUMBERS = 1 << 16  # sequence numbers before they begin again
HOST = "127.0.0.1"
TIMEOUT = 2.0  # seconds without a datagram after which the receiver gives up


class JitterBuffer:
    """Packets by sequence number, played in order. late: came after their turn; reordered: came after a later one."""

    def __init__(self) -> None:
        self._held: dict[int, bytes] = {}
        self._next, self._newest = 0, -1
        self.received = self.lost = self.late = self.reordered = 0

    def __len__(self) -> int:
        return len(self._held)

    @property
    def played(self) -> int:
        """Packets whose turn has passed."""
        return self._next

    def push(self, number: int, packet: bytes) -> None:
        """A packet with its number, 0 to 65535: the one nearest to the last ones."""
        whole = self._next + (number - self._next + NUMBERS // 2) % NUMBERS - NUMBERS // 2
        self.received += 1
        self.reordered += whole < self._newest
        self._newest = max(self._newest, whole)
        if whole < self._next:
            self.late += 1
        else:
            self._held[whole] = packet

    def pop(self) -> bytes | None:
        """The packet whose turn it is; None: it is not there."""
        packet = self._held.pop(self._next, None)
        self._next += 1
        self.lost += packet is None
        return packet


def bound() -> socket.socket:
    """A socket at a free port."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((HOST, 0))
    made.settimeout(TIMEOUT)
    return made


def send(samples: np.ndarray, rate: int, encoder: sqcodec.StreamEncoder, port: int, *, speed: float) -> None:
    """Samples [n], as a microphone gives them, to datagrams."""
    start, number = time.monotonic(), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:

        def sent(packets: list[bytes]) -> int:
            for offset, packet in enumerate(packets):
                sock.sendto(HEADER.pack((number + offset) % NUMBERS, SOUND) + packet, (HOST, port))
            return len(packets)

        step = round(PACKET_SECONDS * rate)
        for index, first in enumerate(range(0, len(samples), step), start=1):
            number += sent(encoder.push(samples[first : first + step]))
            time.sleep(max(0.0, start + index * PACKET_SECONDS / speed - time.monotonic()))
        number += sent(encoder.flush())
        for _ in range(10):  # one of them will come through
            sock.sendto(HEADER.pack(number % NUMBERS, END), (HOST, port))


def disturb(sock: socket.socket, port: int, *, loss: float, jitter: float, seed: int) -> None:
    """Pass on what comes, each datagram up to `jitter` seconds later, but a share `loss` of them."""
    rng, waiting = random.Random(seed), list[tuple[float, int, bytes]]()
    count, last = 0, time.monotonic()
    while waiting or time.monotonic() - last < TIMEOUT:
        sock.settimeout(max(1e-3, waiting[0][0] - time.monotonic()) if waiting else TIMEOUT / 10)
        try:
            datagram = sock.recv(2048)
            last, count = time.monotonic(), count + 1
            if rng.random() >= loss:
                heapq.heappush(waiting, (last + rng.uniform(0, jitter), count, datagram))
        except TimeoutError:
            pass
        while waiting and waiting[0][0] <= time.monotonic():
            sock.sendto(heapq.heappop(waiting)[2], (HOST, port))


def play(
    sock: socket.socket, buffer: JitterBuffer, decoder: sqcodec.StreamDecoder, *, delay: float, speed: float
) -> Iterator[np.ndarray]:
    """Samples as they are played, `delay` seconds after the first datagram and then on time."""
    total, due, heard = None, None, time.monotonic()
    while total is None or buffer.played < total:
        sock.settimeout(TIMEOUT if due is None else max(1e-3, due - time.monotonic()))
        try:
            datagram = sock.recv(2048)
            heard, (number, kind) = time.monotonic(), HEADER.unpack_from(datagram)
            if kind == END:
                total = buffer.played + (number - buffer.played) % NUMBERS
            else:
                buffer.push(number, datagram[HEADER.size :])
            due = due or heard + delay / speed
            continue
        except TimeoutError:
            if due is None or time.monotonic() > heard + TIMEOUT:  # the end was lost
                break
        yield decoder.push(buffer.pop())
        due += PACKET_SECONDS / speed
        if buffer.played % 25 == 0:
            print(figures(buffer), flush=True)
    yield decoder.flush()


def figures(buffer: JitterBuffer) -> str:
    """A line on what has come so far."""
    return (
        f"{buffer.played * PACKET_SECONDS:6.2f} s: {buffer.received} received, {buffer.lost} concealed"
        f" ({buffer.late} of them late), {buffer.reordered} out of order, {len(buffer)} in the buffer"
    )


def main() -> None:
    """Run sender, network and receiver side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording")
    parser.add_argument("played")
    parser.add_argument("--bitrate", type=float, default=1600, help="nominal bit/s")
    parser.add_argument("--loss", type=float, default=5, help="per cent of the datagrams")
    parser.add_argument("--jitter", type=float, default=60, help="ms by which a datagram may be late")
    parser.add_argument("--buffer", type=float, default=120, help="ms from the first datagram to its sound")
    parser.add_argument("--speed", type=float, default=1, help="times real time")
    parser.add_argument("--seed", type=int, default=0, help="of losses and delays")
    options = parser.parse_args()
    if not 0 <= options.loss <= 100:
        parser.error(f"--loss {options.loss:g}: expected per cent, 0 to 100")
    try:
        samples, rate = soundfile.read(options.recording, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        parser.error(str(error))
    encoder = sqcodec.StreamEncoder("speech16k", bitrate=options.bitrate, sample_rate=rate)
    decoder = sqcodec.StreamDecoder("speech16k-live", sample_rate=rate)  # the same codes, heard sooner
    with bound() as network, bound() as receiver:
        ports = network.getsockname()[1], receiver.getsockname()[1]
        network_thread = threading.Thread(
            target=disturb, args=(network, ports[1]),
            kwargs={"loss": options.loss / 100, "jitter": options.jitter / 1000 / options.speed, "seed": options.seed},
        )  # fmt: skip
        sender = threading.Thread(
            target=send, args=(samples.mean(axis=1), rate, encoder, ports[0]), kwargs={"speed": options.speed},
        )  # fmt: skip
        network_thread.start()
        sender.start()
        buffer = JitterBuffer()
        pieces = play(receiver, buffer, decoder, delay=options.buffer / 1000, speed=options.speed)
        with soundfile.SoundFile(options.played, "w", rate, 1) as file:
            for piece in pieces:
                file.write(piece)
        sender.join()
        network_thread.join()
    print(figures(buffer))


if __name__ == "__main__":
    main()
