"""What damages a file: bits, bytes, cuts, insertions, numbers made huge, parts of other files."""

import random


def mutate(rng: random.Random, seeds: list[bytes]) -> bytes:
    """A good file with one to four changes, of which the first is seldom none at all."""
    content = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 4)):
        CHANGES[rng.randrange(len(CHANGES))](rng, content, seeds)
    return bytes(content)


def position(rng: random.Random, content: bytearray) -> int:
    """Somewhere in the content, half of the time in its first 200 bytes, where headers are."""
    return rng.randrange(min(200, len(content) + 1) if rng.random() < 0.5 else len(content) + 1)


def flip_(rng: random.Random, content: bytearray, seeds: list[bytes]) -> None:
    if content:
        content[min(position(rng, content), len(content) - 1)] ^= 1 << rng.randrange(8)


def overwrite_(rng: random.Random, content: bytearray, seeds: list[bytes]) -> None:
    start = position(rng, content)
    content[start : start + rng.choice([1, 1, 2, 4, 8])] = rng.randbytes(rng.choice([1, 1, 2, 4, 8]))


def extreme_(rng: random.Random, content: bytearray, seeds: list[bytes]) -> None:
    value = rng.choice([b"\xff" * 4, b"\xff" * 8, b"\x00" * 4, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x80" * 8])
    start = position(rng, content)
    content[start : start + len(value)] = value


def cut_(rng: random.Random, content: bytearray, seeds: list[bytes]) -> None:
    del content[position(rng, content) :]


def remove_(rng: random.Random, content: bytearray, seeds: list[bytes]) -> None:
    start = position(rng, content)
    del content[start : start + rng.randint(1, 32)]


def insert_(rng: random.Random, content: bytearray, seeds: list[bytes]) -> None:
    start = position(rng, content)
    content[start:start] = rng.randbytes(rng.randint(1, 32))


def splice_(rng: random.Random, content: bytearray, seeds: list[bytes]) -> None:
    other, start = rng.choice(seeds), position(rng, content)
    content[start:] = other[rng.randrange(len(other)) :]


def number_(rng: random.Random, content: bytearray, seeds: list[bytes]) -> None:
    """A decimal number of a text becomes another."""
    digits = [index for index, byte in enumerate(content[:4000]) if 48 <= byte <= 57]
    if digits:
        start = rng.choice(digits)
        content[start : start + 1] = rng.choice(
            [b"-1", b"999999999999", b"1e400", b"0", b"nan", b"null", b"[]", b'"x"']
        )


CHANGES = (flip_, overwrite_, extreme_, cut_, remove_, insert_, splice_, number_)
