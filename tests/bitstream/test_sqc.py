""".sqc: size, round trip, every kind of damage, recovery."""

import itertools
import random
from dataclasses import replace
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqcodec.bitstream.recovery import recover
from sqcodec.bitstream.sqc import blocks, pack, unpack, unpack_between, unpack_each
from sqcodec.bitstream.sqc_header import read_header, read_varint, varint
from sqcodec.codes import Codes
from sqcodec.errors import CodesError
from tests import reference
from tests.bitstream.examples import make_codes, make_space, walk

SPACE, PLAIN = make_space(), make_space(tables=False)
LONG = make_codes(16000 * 63)  # 3151 codes, 6 blocks
LONG_FILE = pack(LONG, SPACE)


def same(one: Codes, other: Codes) -> bool:
    names = ("samples", "sample_rate", "speaker", "fingerprint")
    return np.array_equal(one.indices, other.indices) and all(getattr(one, n) == getattr(other, n) for n in names)


@given(
    samples=st.integers(1, 200_000),
    rate=st.sampled_from([8000, 16000, 44100, 48000, 12345]),
    books=st.integers(1, 3),
    used=st.integers(1, 3),
    size=st.sampled_from([2, 10, 16, 512]),
    tables=st.booleans(),
    speaker=st.sampled_from(["p225", "s5", None]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_round_trip(samples, rate, books, used, size, tables, speaker, seed) -> None:
    space = make_space(books, size, tables=tables)
    codes = make_codes(samples, min(used, books), size, seed, sample_rate=rate, speaker=speaker)
    content = pack(codes, space)
    got = unpack(content, space, where="x")
    assert same(got, codes)
    assert got.indices.dtype == np.uint16
    assert same(recover(content, space, where="x").codes, codes)
    assert recover(content, space, where="x").lost == ()


def test_the_model_s_rates_say_how_many_codes_there_are() -> None:
    """48 kHz with a hop of 512 samples and 3 frames per code: 31.25 codes per second."""
    features = replace(SPACE.features, sample_rate=48000, hop_length=512, frames_per_code=3, f_max=24000.0)
    space = replace(SPACE, features=features)
    length = features.code_count(48_000 * 40, 48_000)
    codes = make_codes(48_000 * 40, sample_rate=48_000, indices=walk(length, 1, 16, 1))
    content = pack(codes, space)
    assert length == 1251  # 40 s, and half a hop for the first frame
    assert same(unpack(content, space, where="x"), codes)
    assert same(recover(content, space, where="x").codes, codes)
    damaged = content[:-20] + b"x" + content[-19:]
    with pytest.raises(CodesError, match=r"does not match \(block 2, from 32 s on\)"):  # code 1000
        unpack(damaged, space, where="x")


@given(st.lists(st.integers(0, 15), min_size=151, max_size=151))
@settings(deadline=None)
def test_any_codes_come_back_and_never_cost_more_than_fixed_width(indices) -> None:
    codes = make_codes(48_000, indices=np.array([indices], np.uint16))
    content = pack(codes, SPACE)
    assert np.array_equal(unpack(content, SPACE, where="x").indices, codes.indices)
    assert len(content) <= len(pack(codes, PLAIN))


def test_the_size_of_a_plain_file_to_the_byte() -> None:
    """3 s: header 15 bytes (magic and version 4, model 6, gain 1, samples 3, speaker 1), checksum 3, the codes."""
    content = pack(make_codes(48_000), PLAIN)
    assert read_header(content, where="x").size == 15
    assert len(content) == 15 + 3 + -(-151 * 4 // 8)


@pytest.mark.parametrize(("rate", "size"), [(16000, 15), (44100, 16), (12345, 18)])
@pytest.mark.parametrize("speaker", ["p225", None])
def test_a_header_is_at_most_20_bytes(rate, size, speaker) -> None:
    content = pack(make_codes(48_000, sample_rate=rate, speaker=speaker), SPACE)
    assert read_header(content, where="x").size == size - (speaker is None)


@pytest.mark.parametrize("books", [1, 3])
def test_a_block_costs_what_its_frequencies_say_and_its_checksum(books) -> None:
    space, codes = make_space(books), make_codes(40_000, books)
    rows = []
    for book, time in itertools.product(range(books), range(codes.indices.shape[1])):
        below = space.tables.books[book].context
        context = codes.indices[book - 1, time] if below else codes.indices[book, time - 1] if time else None
        rows.append(space.tables.frequencies_of(book, context))
    bits = reference.code_lengths(codes.indices.ravel(), rows, 2**20)
    content = pack(codes, space)
    used = 8 * (len(content) - read_header(content, where="x").size)
    assert bits + 24 - 8 < used <= bits + 24 + 8  # to the byte; the checksum may begin with zeros, seldom eight


def test_tables_are_not_used_where_they_would_cost_more() -> None:
    unlikely = make_codes(indices=np.random.default_rng(0).integers(0, 16, (1, 151)).astype(np.uint16))
    assert read_header(pack(make_codes(), SPACE), where="x").coder == "tables"
    assert read_header(pack(unlikely, SPACE), where="x").coder == "plain"
    assert same(unpack(pack(unlikely, SPACE), SPACE, where="x"), unlikely)


def test_a_file_written_before_the_tables_were_still_decodes() -> None:
    assert same(unpack(pack(LONG, PLAIN), SPACE, where="x"), LONG)


@pytest.mark.parametrize("gain", [1e-9, 1e-5, 0.01, 0.1234, 0.999, 1.0, 3.0])
def test_the_gain_is_kept_to_a_quarter_of_a_decibel(gain) -> None:
    got = unpack(pack(make_codes(gain=gain), SPACE), SPACE, where="x").gain
    assert abs(20 * np.log10(got / max(gain, 1e-5))) <= 0.25 + 1e-9  # steps of half a decibel, from -100 dB


def test_silence_stays_silence() -> None:
    assert unpack(pack(make_codes(gain=0.0), SPACE), SPACE, where="x").gain == 0.0


@pytest.mark.parametrize("length", [1, 249, 499, 500, 501, 749, 750, 999, 1000, 1250, 5000])
def test_blocks_cover_the_codes_and_none_is_tiny(length) -> None:
    every = list(blocks(length))
    assert [block.number for block in every] == list(range(len(every)))
    assert [block.start for block in every] == [0, *(block.stop for block in every[:-1])]
    assert every[-1].stop == length
    assert all(250 <= block.stop - block.start <= 749 for block in every) or len(every) == 1


@pytest.mark.parametrize("space", [SPACE, PLAIN])
def test_every_flipped_bit_cut_and_addition_is_refused(space) -> None:
    content = pack(make_codes(12_000), space)
    damaged = [content[:end] for end in range(len(content))] + [content + bytes([last]) for last in range(256)]
    for place, bit in itertools.product(range(len(content)), range(8)):
        damaged.append(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
    for file in damaged:
        with pytest.raises(CodesError, match=r"^x: "):
            unpack(file, space, where="x")


@given(st.binary(max_size=80))
def test_foreign_bytes_are_refused(content) -> None:
    for start in (b"", b"SQC", LONG_FILE[:10], LONG_FILE[:15]):
        with pytest.raises(CodesError, match=r"^x: "):
            unpack(start + content, SPACE, where="x")


@pytest.mark.parametrize("samples", [10**12, 2**62])
def test_a_header_that_claims_much_allocates_nothing(samples) -> None:
    claim = pack(make_codes(1), SPACE)[:11] + varint(samples) + b"\0"
    assert read_header(claim, where="x").samples == samples
    for read in (unpack, recover):
        with pytest.raises(CodesError, match=r"^x: "):
            read(claim, SPACE, where="x")


def test_a_block_that_claims_much_is_not_even_decoded() -> None:
    with pytest.raises(CodesError, match=r"^x: "):
        unpack(LONG_FILE[:15] + b"\xff" * 2_000_000, SPACE, where="x")


def test_another_model_is_named() -> None:
    other = make_space(speakers=("p225", "p226"))  # the same codes, but speaker 1 would be somebody else
    with pytest.raises(CodesError) as caught:
        unpack(LONG_FILE, other, where="x")
    assert str(caught.value) == (
        f"x: written with the model {SPACE.identities[1]}, got {other.identities[0]} or {other.identities[1]}"
    )


def test_a_speaker_of_a_model_without_speakers_is_refused() -> None:
    """The flag and the number of a speaker under a checksum that holds."""
    space = make_space(speakers=())
    codes = make_codes(speaker="s0")
    named = pack(codes, make_space(speakers=("s0",)))
    content = named[:4] + bytes.fromhex(space.identities[-1 if named[3] & 1 else 0]) + named[10:]
    for read in (unpack, recover):
        with pytest.raises(CodesError, match="x: the header is damaged: copy or encode the file again"):
            read(content, space, where="x")


def test_a_later_version_is_refused() -> None:
    with pytest.raises(CodesError) as caught:
        unpack(LONG_FILE[:3] + b"\x55" + LONG_FILE[4:], SPACE, where="x")
    assert str(caught.value) == (
        "x: .sqc version 5, this sqcodec reads up to 4: the file is damaged, or needs a newer sqcodec"
    )


def test_the_text_of_a_damaged_block_says_where() -> None:
    damaged = bytearray(LONG_FILE)
    damaged[len(damaged) // 2 - 20] ^= 4
    with pytest.raises(CodesError) as caught:
        unpack(bytes(damaged), SPACE, where="x")
    assert str(caught.value) == (
        "x: the checksum does not match (block 2, from 20 s on): the file was damaged, cut, or something was added;"
        " copy or encode it again, or decode what is intact with `recover`"
    )


@pytest.mark.parametrize("context", [True, False])
def test_files_that_are_read_together_are_those_read_alone(context) -> None:
    """Of several lengths and numbers of codebooks; what is wrong with one is nothing to the others."""
    space = make_space(2, context=context)
    codes = [make_codes(16000 * seconds, books) for seconds, books in ((3, 2), (25, 1), (1, 2), (22, 2))]
    contents = [pack(one, space) for one in codes]
    damaged = contents[3][:-30] + bytes([contents[3][-30] ^ 1]) + contents[3][-29:]
    read = unpack_each([contents[0], damaged, b"SQC", *contents[1:]], space, names=["a", "b", "c", "d", "e", "f"])
    assert all(same(read[place], one) for place, one in zip((0, 3, 4, 5), codes, strict=True))
    assert str(read[1]).startswith("b: the checksum does not match (block 1, from 10 s on)")
    assert str(read[2]).startswith("c: ")
    assert unpack_each([], space, names=[]) == []


@pytest.mark.parametrize("seconds", [9, 14])
def test_where_there_is_one_block_nothing_is_left_to_recover(seconds) -> None:
    damaged = bytearray(pack(make_codes(16000 * seconds), SPACE))
    damaged[-20] ^= 4
    with pytest.raises(CodesError) as caught:
        unpack(bytes(damaged), SPACE, where="x")
    assert str(caught.value) == (
        "x: the checksum does not match: the file was damaged, cut, or something was added; copy or encode it again"
    )


@pytest.mark.parametrize(
    ("codes", "text"),
    [
        (make_codes(books=2), "got 2 rows of codes, expected 1 to 1, the model's codebooks"),
        (make_codes(indices=np.zeros((1, 9), np.uint16)), "got 9 codes, expected 151 for 48000 samples at 16000 Hz"),
        (
            make_codes(indices=np.full((1, 151), 16, np.uint16)),
            "got code 16, expected 0 to 15; these are another model's codes",
        ),
        (make_codes(speaker="p999"), "speaker 'p999': unknown to the model of the codes"),
    ],
)
def test_codes_that_do_not_fit_are_not_written(codes, text) -> None:
    with pytest.raises(CodesError) as caught:
        pack(codes, SPACE)
    assert str(caught.value) == text


def intact_elsewhere(got, lost: set[int]) -> bool:
    parts = [(b, LONG.indices[:, b.start : b.stop], got.codes.indices[:, b.start : b.stop]) for b in blocks(3151)]
    return all(np.array_equal(wrote, read) for block, wrote, read in parts if block.number not in lost)


@pytest.mark.slow
def test_damage_stays_in_its_block() -> None:
    first, stop = read_header(LONG_FILE, where="x").size, len(LONG_FILE)
    losses = set()
    for place in range(first, stop, 3):
        damaged = LONG_FILE[:place] + bytes([LONG_FILE[place] ^ 0x55]) + LONG_FILE[place + 1 :]
        got = recover(damaged, SPACE, where="x")
        lost = {block.number for block in got.lost}
        assert len(lost) == 1
        assert intact_elsewhere(got, lost)
        losses |= lost
    assert losses == set(range(6))


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 7, 300, 450])
def test_lost_and_inserted_bytes_damage_only_their_blocks(length) -> None:
    size = (len(LONG_FILE) - 15) // 6
    for place in range(20 + size, 20 + 3 * size, 37):
        for damaged in (
            LONG_FILE[:place] + LONG_FILE[place + length :],
            LONG_FILE[:place] + b"\x5a" * length + LONG_FILE[place:],
        ):
            got = recover(damaged, SPACE, where="x")
            lost = {block.number for block in got.lost}
            assert intact_elsewhere(got, lost)
            assert 0 not in lost
            assert len(lost) <= 2 + length // size


def payload_of(number: int) -> int:
    """A byte within the payload of a block of LONG_FILE."""
    offset = read_header(LONG_FILE, where="x").size
    for _ in range(number):
        size, begin = read_varint(LONG_FILE, offset)
        offset = begin + size
    return offset + 20


@pytest.mark.parametrize(
    "numbers", [n for count in (1, 2, 3, 4, 5) for n in itertools.combinations(range(6), count)], ids=str
)
def test_damage_in_any_blocks_loses_only_these(numbers: tuple[int, ...]) -> None:
    """One bit in each: the lengths still lead from block to block."""
    damaged = bytearray(LONG_FILE)
    for number in numbers:
        damaged[payload_of(number)] ^= 8
    got = recover(bytes(damaged), SPACE, where="x")
    assert {block.number for block in got.lost} == set(numbers)
    assert intact_elsewhere(got, set(numbers))


@pytest.mark.parametrize("length", [2, 30, 1000, None])
def test_hostile_blocks_take_little_time(length: int | None) -> None:
    """A header that claims much, and a chain of lengths to blocks that are none; None: noise."""
    rng, header = random.Random(5), read_header(LONG_FILE, where="x").size
    claim = LONG_FILE[:11] + varint(16000 * 3600 * 50) + LONG_FILE[11 + len(varint(LONG.samples)) : header]
    block = b"" if length is None else varint(length) + rng.randbytes(length - 1) + b"\1"
    start = process_time()
    with pytest.raises(CodesError, match="nothing is intact"):
        recover(claim + (block * (24_000 // len(block)) if block else rng.randbytes(24_000)), SPACE, where="x")
    assert process_time() - start < 4  # some 0.3 s where nothing else runs; it was 23 s


def test_a_truncated_file_gives_the_blocks_before_the_cut() -> None:
    got = recover(LONG_FILE[: len(LONG_FILE) // 2 - 20], SPACE, where="x")
    assert {block.number for block in got.lost} == {2, 3, 4, 5}
    assert intact_elsewhere(got, {2, 3, 4, 5})
    held = got.codes.indices[:, 1000:]
    assert (held == LONG.indices[:, 999:1000]).all()  # the last code that is known


def test_a_file_without_an_intact_block_is_an_error() -> None:
    with pytest.raises(CodesError) as caught:
        recover(LONG_FILE[:10] + b"\x07" + LONG_FILE[11:], SPACE, where="x")
    assert str(caught.value) == ("x: nothing is intact: the header or every block is damaged; copy or encode it again")


@pytest.mark.parametrize("block", [8, 25, 100, 499])
def test_blocks_of_any_length_go_round_trip_and_damage_costs_one(block: int) -> None:
    for space in (SPACE, PLAIN):
        content = pack(LONG, space, block=block)
        header = read_header(content, where="x")
        assert (header.version, header.block) == (3, block)
        assert same(unpack(content, space, where="x"), LONG)
        first = read_varint(content, header.size)
        damaged = bytearray(content)
        damaged[first[1] + 1] ^= 1
        got = recover(bytes(damaged), space, where="x")
        assert [lost.stop - lost.start for lost in got.lost] == [block]
        assert np.array_equal(got.codes.indices[:, block:], LONG.indices[:, block:])
    assert len(pack(LONG, SPACE, block=block)) > len(LONG_FILE)


def test_blocks_that_are_too_short_or_too_long_are_refused() -> None:
    for block in (0, 7, 501):
        with pytest.raises(CodesError, match=rf"`block` of {block} codes: expected 8 to 500"):
            pack(LONG, SPACE, block=block)
    content = pack(LONG, SPACE, block=25)
    place = read_header(content, where="x").size - 1
    for byte in (0, 7):
        with pytest.raises(CodesError, match="the header is damaged"):
            read_header(content[:place] + bytes([byte]) + content[place + 1 :], where="x")


@pytest.mark.parametrize(("first", "stop"), [(0, 1), (0, 501), (499, 501), (700, 1900), (2400, 3151), (3150, 3151)])
def test_a_part_is_read_from_its_own_blocks(first: int, stop: int) -> None:
    """Damage to any other block is not seen; to one of its own it is."""
    every = list(blocks(LONG.indices.shape[1]))
    own = {block.number for block in every if block.start < stop and first < block.stop}
    part = unpack_between(LONG_FILE, SPACE, first, stop, 5, where="x")
    assert np.array_equal(part.indices, LONG.indices[:, first:stop])
    assert (part.samples, part.speaker, part.fingerprint) == (5, LONG.speaker, LONG.fingerprint)
    offset = read_header(LONG_FILE, where="x").size
    for block in every:
        size, inside = (0, offset) if block is every[-1] else read_varint(LONG_FILE, offset)
        damaged = bytearray(LONG_FILE)
        damaged[inside + 3] ^= 1
        if block.number in own:
            with pytest.raises(CodesError, match=rf"checksum does not match \(block {block.number}, from "):
                unpack_between(bytes(damaged), SPACE, first, stop, 5, where="x")
        else:
            again = unpack_between(bytes(damaged), SPACE, first, stop, 5, where="x")
            assert np.array_equal(again.indices, part.indices)
        offset = inside + size


def test_a_part_behind_a_cut_is_damaged() -> None:
    cut = LONG_FILE[: len(LONG_FILE) // 2]
    assert np.array_equal(unpack_between(cut, SPACE, 0, 900, 5, where="x").indices, LONG.indices[:, :900])
    with pytest.raises(CodesError, match="x: the checksum does not match"):
        unpack_between(cut, SPACE, 2600, 3000, 5, where="x")
