"""Live coding: what lost packets and wrong bits cost, what a packet costs the processor, and a long stream."""

import gc
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FunctionType, ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.scores import Scores, scores_of
from benchmarks.speech import SAMPLE_RATE, TINY, Samples
from sqcodec import Codec, StreamDecoder, StreamEncoder, load
from sqcodec.corpus.audio import AudioSource
from sqcodec.corpus.folder import find_recordings
from sqcodec.pipeline.measuring.codecs import codec2_decoded, codec2_encoded

Packets = list[bytes]
Lost = NDArray[np.bool_]
_LOSSES = (0.0, 0.01, 0.03, 0.05, 0.1, 0.2)
_BIT_ERRORS = (1e-4, 1e-3, 1e-2)
_BURST = 3  # packets of a burst
_LONGEST = 3 * SAMPLE_RATE  # samples of a recording that are taken
_PROTECT = 3  # packets from one to its copy
_PACKET = SAMPLE_RATE * 40 // 1000


class System(NamedTuple):
    """A sender and a receiver: samples -> packets of 40 ms; packets and which of them are lost -> samples."""

    name: str
    encode: Callable[[Samples], Packets]
    decode: Callable[[Packets, Lost], Samples]
    loses: bool = True  # whether lost packets are measured
    errors: bool = False  # whether bit errors are


def speech_folder() -> Path:
    """SQCODEC_SPEECH/dev, else the speech that ships."""
    return Path(os.environ["SQCODEC_SPEECH"]) / "dev" if "SQCODEC_SPEECH" in os.environ else TINY


def loss_report(model: str, folder: Path, *, recordings: int, codec2: bool) -> Iterator[str]:
    """Tables of frame loss and of bit errors, in Markdown."""
    chosen = _chosen(folder, recordings)
    seconds = sum(map(len, chosen)) / SAMPLE_RATE
    yield f"{len(chosen)} recordings, {seconds:.0f} s; STOI / ESTOI / PESQ wide band / DNSMOS (means)."
    systems = [*_ours(load(model, device="cpu"), model), *(_codec2() if codec2 else ())]
    sent = {system.name: [system.encode(sound) for sound in chosen] for system in systems}
    for title, burst in (("lost, one by one", 1), (f"lost, in bursts of {_BURST}", _BURST)):
        losses = _LOSSES if burst == 1 else _LOSSES[1:]
        yield from ("", f"| {title} | " + " | ".join(f"{100 * loss:g} %" for loss in losses) + " |")
        yield "|---|" + "---|" * len(losses)
        for system in (each for each in systems if each.loses):
            cells = [_lossy(system, chosen, sent[system.name], loss, burst) for loss in losses]
            yield f"| {system.name} | {' | '.join(cells)} |"
    yield from ("", "| bit errors | 0 | " + " | ".join(f"{rate:g}" for rate in _BIT_ERRORS) + " |")
    yield "|---|" + "---|" * (1 + len(_BIT_ERRORS))
    for system in systems:
        if system.errors:
            cells = [_erroneous(system, chosen, sent[system.name], rate) for rate in (0.0, *_BIT_ERRORS)]
            yield f"| {system.name} | {' | '.join(cells)} |"


def _chosen(folder: Path, recordings: int) -> list[Samples]:
    """Recordings from all of a folder, by their names at equal distances."""
    paths = list(find_recordings(folder).values())
    spread = np.linspace(0, len(paths) - 1, min(recordings, len(paths))).round().astype(int).tolist()
    sounds = [AudioSource(paths[at]).read(SAMPLE_RATE)[:_LONGEST] for at in spread]
    return [sound for sound in sounds if len(sound) >= SAMPLE_RATE // 2 and np.abs(sound).max() > 0]


def _ours(codec: Codec, model: str) -> Iterator[System]:
    yield _system(codec, f"{model}, 8 bytes, carried on and faded", 1600, errors=True)
    yield System(
        "the same, last 40 ms repeated", lambda x: _encoded(codec, x, 1600), lambda p, lost: _again(codec, p, lost)
    )
    yield System("the same, zeros", lambda x: _encoded(codec, x, 1600), lambda p, lost: _again(codec, p, lost, 0.0))
    yield _system(codec, f"{model}, 8 bytes and a copy of 2, {_PROTECT} packets later", 1600, protect=_PROTECT)
    yield System(
        f"{model}, 8 bytes, codewords not ordered",
        lambda x: _plain(codec, x),
        lambda p, _: _unplain(codec, p),
        loses=False,
        errors=True,
    )
    yield _system(codec, f"{model}, 16 bytes, carried on and faded", 3200, errors=True)


def _system(codec: Codec, name: str, bitrate: int, *, protect: int = 0, errors: bool = False) -> System:
    def decode(sent: Packets, lost: Lost) -> Samples:
        return _decoded(codec, [None if gone else packet for packet, gone in zip(sent, lost, strict=True)], protect)

    return System(name, lambda x: _encoded(codec, x, bitrate, protect=protect), decode, errors=errors)


def _encoded(codec: Codec, sound: Samples, bitrate: int, *, protect: int = 0) -> Packets:
    encoder = StreamEncoder(codec, bitrate=bitrate, protect=protect)
    return encoder.push(sound) + encoder.flush()


def _decoded(codec: Codec, received: Sequence[bytes | None], protect: int = 0) -> Samples:
    decoder = StreamDecoder(codec, protect=protect)
    return np.concatenate([decoder.push_all(received), decoder.flush()])


def _again(codec: Codec, sent: Packets, lost: Lost, gain: float = 1.0) -> Samples:
    """Lost packets sound as the last 40 ms that came, without the decoder's state of them."""
    sound: Samples = _decoded(codec, sent)
    for number in np.flatnonzero(lost).tolist():
        here = slice(number * _PACKET, (number + 1) * _PACKET)
        last = sound[max(0, number - 1) * _PACKET : number * _PACKET]
        sound[here] = gain * np.resize(last, len(sound[here])) if len(last) else 0.0
    return sound


def _plain(codec: Codec, sound: Samples) -> Packets:
    """Packets whose bytes are codes, in the order of training."""
    codes = codec.encode(sound, SAMPLE_RATE, codebooks=4).indices
    codes = np.pad(codes, ((0, 0), (0, codes.shape[1] % 2)), mode="edge").astype(np.uint8)
    return [codes[:, start : start + 2].tobytes() for start in range(0, codes.shape[1], 2)]


def _unplain(codec: Codec, sent: Packets) -> Samples:
    from sqcodec.bitstream.packets import PacketCoder

    coder = PacketCoder(codec.embeddings())
    return _decoded(codec, [coder.pack(np.frombuffer(packet, np.uint8).reshape(4, 2)) for packet in sent])


def _codec2() -> Iterator[System]:
    """Codec 2 at its highest rate and at that of radios; packets of 40 ms."""
    for mode, size in (("3200", 16), ("1300", 7)):
        name = f"Codec 2 {mode}, {size} bytes"

        def encode(sound: Samples, mode: str = mode, size: int = size) -> Packets:
            content = codec2_encoded(sound, SAMPLE_RATE, mode)
            return [content[start : start + size] for start in range(0, len(content) - size + 1, size)]

        def zeroed(sent: Packets, lost: Lost, mode: str = mode) -> Samples:
            filled = [bytes(len(packet)) if gone else packet for packet, gone in zip(sent, lost, strict=True)]
            return codec2_decoded(b"".join(filled), SAMPLE_RATE, mode)

        def repeated(sent: Packets, lost: Lost, mode: str = mode) -> Samples:
            filled, last = [], sent[0]
            for packet, gone in zip(sent, lost, strict=True):
                last = last if gone else packet
                filled.append(last)
            return codec2_decoded(b"".join(filled), SAMPLE_RATE, mode)

        yield System(f"{name}, zeroed", encode, zeroed, errors=True)
        yield System(f"{name}, repeated", encode, repeated)


def _lossy(system: System, chosen: Sequence[Samples], sent: Sequence[Packets], loss: float, burst: int) -> str:
    """The lost packets are the same for all systems, and exactly `loss` of all recordings together."""
    scores = []
    for sound, packets, gone in zip(
        chosen, sent, lost_packets([len(each) for each in chosen], loss, burst), strict=True
    ):
        lost = np.pad(gone, (0, len(packets)))[: len(packets)]  # the last packet may be behind the sound
        scores.append(scores_of(sound, system.decode(packets, lost)))
    return _cell(scores)


def lost_packets(samples: Sequence[int], loss: float, burst: int) -> list[Lost]:
    """Which packets are lost of recordings of so many samples."""
    lengths = [count // _PACKET for count in samples]
    runs = sum(lengths) // burst
    starts = np.random.default_rng(1).permutation(runs)[: round(loss * sum(lengths) / burst)] * burst
    lost = np.zeros(sum(lengths), bool)
    lost[(starts[:, None] + np.arange(burst)).ravel()] = True
    return np.split(lost, np.cumsum(lengths)[:-1])


def _erroneous(system: System, chosen: Sequence[Samples], sent: Sequence[Packets], rate: float) -> str:
    rng = np.random.default_rng(2)
    scores = []
    for sound, packets in zip(chosen, sent, strict=True):
        bits = np.unpackbits(np.frombuffer(b"".join(packets), np.uint8))
        content = np.packbits(bits ^ (rng.random(len(bits)) < rate)).tobytes()
        size = len(packets[0])
        changed = [content[start : start + size] for start in range(0, len(content), size)]
        scores.append(scores_of(sound, system.decode(changed, np.zeros(len(changed), bool))))
    return _cell(scores)


def _cell(scores: Sequence[Scores]) -> str:
    mean = Scores(*np.mean(scores, axis=0).tolist())
    return f"{mean.stoi:.3f} / {mean.estoi:.3f} / {mean.pesq:.2f} / {mean.dnsmos:.2f}"


def cost_report(model: str, seconds: float = 20.0) -> Iterator[str]:
    """Bytes, delay and CPU time of each mode: median and 99th percentile of packets, one thread."""
    codec = load(model, device="cpu")
    noise = (0.05 * np.random.default_rng(0).normal(size=round(seconds * SAMPLE_RATE))).astype(np.float32)
    yield from ("", "| mode | bytes / 40 ms | delay, ms | encode, ms: median, 99 % | decode, ms | core free |",
                "|---|---:|---:|---|---|---:|")  # fmt: skip
    for bitrate, protect in ((800, 0), (1600, 0), (1600, _PROTECT), (3200, 0)):
        encoder, decoder = (
            StreamEncoder(codec, bitrate=bitrate, protect=protect),
            StreamDecoder(codec, protect=protect),
        )
        encoding, decoding = [], []
        for start in range(0, len(noise), _PACKET):
            begin = time.thread_time()
            packets = encoder.push(noise[start : start + _PACKET])
            middle = time.thread_time()
            for packet in packets:
                decoder.push(packet)
            encoding.append(middle - begin)
            decoding.append(time.thread_time() - middle)
        delay = 40 + 1000 * (encoder.delay + decoder.delay) // SAMPLE_RATE
        texts = [
            f"{1000 * np.median(times):.1f}, {1000 * np.quantile(times, 0.99):.1f}" for times in (encoding, decoding)
        ]
        free = 100 * (1 - (np.median(encoding) + np.median(decoding)) / 0.04)
        mode = encoder.mode + (f", protected by {protect}" if protect else "")
        yield f"| {mode} | {encoder.packet_bytes} | {delay} | {texts[0]} | {texts[1]} | {free:.0f} % |"


def day_report(model: str, hours: float) -> Iterator[str]:
    """A long stream of noise and pauses, with lost packets and silence: memory, and samples in against samples out."""
    codec = load(model, device="cpu")
    rng, second = np.random.default_rng(0), SAMPLE_RATE
    encoder, decoder = StreamEncoder(codec, dtx=True), StreamDecoder(codec)
    taken = given = 0
    sizes: list[tuple[int, int]] = []
    marks = np.linspace(0, hours * 3600, 7).astype(int)[1:].tolist()
    begin = time.perf_counter()
    for passed in range(1, marks[-1] + 1):
        loud = 0.05 if passed % 4 else 1e-4
        received = encoder.push((loud * rng.normal(size=second)).astype(np.float32))
        given += len(decoder.push_all([packet if rng.random() > 0.05 else None for packet in received]))
        taken += second
        if passed in marks:
            held = _held_bytes(encoder, codec) + _held_bytes(decoder, codec)
            sizes.append((held, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
    took = time.perf_counter() - begin
    late = taken - given
    yield ""
    yield f"{hours:g} h of noise and pauses in pieces of 1 s, 5 % of packets lost, with DTX, in {took:.0f} s:"
    state = ", ".join(f"{size / 1024:.0f}" for size, _ in sizes)
    yield f"objects that encoder and decoder hold, without the model, after each sixth: {state} KiB;"
    yield f"most memory of the process after each sixth: {', '.join(f'{most / 1024:.0f}' for _, most in sizes)} MiB."
    yield f"Samples in minus samples out at the end: {late} (the delay: {encoder.delay + decoder.delay})."


def _held_bytes(stream: object, codec: Codec) -> int:
    """Bytes of all objects that can be reached from a stream and not from its model."""
    model = _reached(codec)
    return sum(sys.getsizeof(held) for key, held in _reached(stream).items() if key not in model)


def _reached(start: object) -> dict[int, object]:
    """Objects by their id that can be reached from one, but for code: modules, classes, functions."""
    found: dict[int, object] = {}
    waiting = [start]
    while waiting:
        held = waiting.pop()
        if id(held) not in found and not isinstance(held, ModuleType | type | FunctionType):
            found[id(held)] = held
            # an array that is a part of another keeps all of it, and the collector does not see that
            waiting.extend([held.base] if isinstance(held, np.ndarray) else gc.get_referents(held))
    return found
