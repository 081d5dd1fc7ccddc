"""codes.npy: round trip, bare arrays, and damage of every kind."""

import io
import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqcodec.bitstream.npy import pack, read_codes, unpack
from sqcodec.codes import Codes
from sqcodec.errors import CodesError
from sqcodec.spectrogram import FEATURES


def example(indices=None, **changes) -> Codes:
    indices = np.arange(300, dtype=np.uint16).reshape(2, 150) if indices is None else indices
    fields = {
        "samples": 47_999,
        "sample_rate": 16000,
        "gain": 0.25,
        "speaker": "p225",
        "fingerprint": "0123456789abcdef",
    }
    return Codes(indices=indices, **(fields | changes))


def saved(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def resigned(content: bytes) -> bytes:
    return content[:-10] + b'%08x"}' % zlib.crc32(content[:-10])


CONTENT = pack(example())
FIRST = len(saved(example().indices))  # bytes of the first array


@given(
    codes=st.lists(st.integers(0, 65535), min_size=1, max_size=50),
    samples=st.integers(1, 10**9),
    rate=st.integers(1, 400_000),
    gain=st.floats(0, 10),
    speaker=st.none() | st.text(),
)
def test_round_trip(codes, samples, rate, gain, speaker) -> None:
    wrote = example(
        np.array([codes], np.uint16), samples=samples, sample_rate=rate, gain=gain, speaker=speaker, fingerprint=None
    )
    got = unpack(pack(wrote), where="x")
    assert np.array_equal(got.indices, wrote.indices)
    assert got.indices.dtype == np.uint16
    assert (got.samples, got.sample_rate, got.gain, got.speaker, got.fingerprint) == (
        samples,
        rate,
        gain,
        speaker,
        None,
    )


def test_numpy_reads_the_codes_and_then_the_rest(tmp_path: Path) -> None:
    (tmp_path / "codes.npy").write_bytes(CONTENT)
    assert np.array_equal(np.load(tmp_path / "codes.npy"), example().indices)
    with (tmp_path / "codes.npy").open("rb") as file:
        assert np.load(file).dtype == "<u2"
        assert json.loads(np.load(file).tobytes())["speaker"] == "p225"
        assert file.read() == b""


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "i1", "u1", "<i4", ">i8", "<u8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_bare_array_is_accepted(dtype, order) -> None:
    values = np.asarray(np.arange(6).reshape(2, 3), dtype=dtype, order=order)
    got = unpack(saved(values), where="x")
    assert np.array_equal(got.indices, values)
    assert (got.samples, got.sample_rate, got.gain, got.speaker, got.fingerprint) == (960, 16000, 1.0, None, None)


def test_a_bare_array_has_the_rates_of_its_model() -> None:
    features = replace(FEATURES["log-mel"], sample_rate=24000, hop_length=240)
    got = unpack(saved(np.arange(5)), where="x", features=features)
    assert (got.samples, got.sample_rate, got.seconds) == (2400, 24000, 0.1)


def test_a_bare_array_of_one_dimension_is_one_book() -> None:
    assert unpack(saved(np.arange(5)), where="x").indices.shape == (1, 5)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((1, 3)), "x: got an array of type '<f8', expected integers (uint16 codes)"),
        (np.zeros(3, dtype=[("a", "u2")]), "x: got an array of type [('a', '<u2')], expected integers (uint16 codes)"),
        (np.zeros((1, 2, 3), int), "x: got an array of shape (1, 2, 3), expected codes [T] or [K, T], at least one"),
        (np.zeros((1, 0), int), "x: got an array of shape (1, 0), expected codes [T] or [K, T], at least one"),
        (np.array(5), "x: got an array of shape (), expected codes [T] or [K, T], at least one"),
        (np.ones((1,) * 32, int), f"x: got an array of shape {(1,) * 32}, expected codes [T] or [K, T], at least one"),
        (np.array([3, -1]), "x: got values -1 to 3, expected codes within 0 to 65535"),
        (np.array([65536]), "x: got values 65536 to 65536, expected codes within 0 to 65535"),
    ],
)
def test_an_array_that_cannot_be_codes_is_refused(array, text) -> None:
    with pytest.raises(CodesError) as caught:
        unpack(saved(array), where="x")
    assert str(caught.value) == text


def test_nothing_is_ever_unpickled(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    file.write(b"cos\nmkdir\n(S'harm'\ntR.")  # a pickle that makes a folder as soon as somebody loads it
    with pytest.raises(CodesError) as caught:
        unpack(file.getvalue(), where="x")
    assert str(caught.value) == "x: got an array of type '|O', expected integers (uint16 codes)"
    assert not (tmp_path / "harm").exists()


def test_every_truncation_is_refused_but_the_one_that_leaves_a_bare_array() -> None:
    for length in range(len(CONTENT)):
        if length == FIRST:
            assert unpack(CONTENT[:length], where="x").fingerprint is None  # decode says what is missing
            continue
        with pytest.raises(CodesError, match=r"^x: "):
            unpack(CONTENT[:length], where="x")


def test_every_flipped_byte_is_refused() -> None:
    for place in range(len(CONTENT)):
        for flip in (0x01, 0x20, 0x80):
            damaged = bytearray(CONTENT)
            damaged[place] ^= flip
            with pytest.raises(CodesError, match=r"^x: "):
                unpack(bytes(damaged), where="x")


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused(content) -> None:
    with pytest.raises(CodesError, match=r"^x: "):
        unpack(content, where="x")


@given(st.binary(max_size=300))
def test_a_foreign_header_is_refused(content) -> None:
    with pytest.raises(CodesError, match=r"^x: "):
        unpack(b"\x93NUMPY\x01\x00" + content, where="x")


@given(st.binary(min_size=1, max_size=300))
def test_trailing_bytes_are_refused(more) -> None:
    for content in (CONTENT, CONTENT[:FIRST]):
        with pytest.raises(CodesError, match=r"^x: "):
            unpack(content + more, where="x")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (b"47999", b"-4799", "x: invalid beside the codes: samples; encode it again"),
        (b"0.25", b"-1.5", "x: invalid beside the codes: gain; encode it again"),
        (b"0.25", b"1e13", "x: invalid beside the codes: gain; encode it again"),
        (b"0.25", b" NaN", "x: invalid beside the codes: gain; encode it again"),
        (b'"p225"', b"[1, 2]", "x: invalid beside the codes: speaker; encode it again"),
        (b"0123456789abcdef", b"0123456789ABCDEF", "x: invalid beside the codes: fingerprint; encode it again"),
        (b'"gain"', b'"pain"', "x: invalid beside the codes: missing or unreadable; encode it again"),
        (b'"sqcodec": 1', b'"sqcodec": 9', "x: codes format 9, this sqcodec reads up to 2: install a newer sqcodec"),
        (b'{"sqcodec"', b'["sqcodec"', "x: invalid beside the codes: missing or unreadable; encode it again"),
    ],
)
def test_fields_are_validated_even_when_the_checksum_holds(old, new, text) -> None:
    assert CONTENT.count(old) == 1
    with pytest.raises(CodesError) as caught:
        unpack(resigned(CONTENT.replace(old, new)), where="x")
    assert str(caught.value) == text


@pytest.mark.parametrize(("name", "value"), [("samples", 2**63), ("samples", 10**400), ("gain", 10**300)])
def test_numbers_beyond_any_recording_are_refused(name, value) -> None:
    with pytest.raises(CodesError, match=rf"^x: invalid beside the codes: {name}; encode it again$"):
        unpack(pack(replace(example(), **{name: value})), where="x")


def test_the_codes_beside_fields_are_uint16() -> None:
    with pytest.raises(CodesError) as caught:
        unpack(resigned(CONTENT.replace(b"<u2", b"<i2")), where="x")
    assert str(caught.value) == "x: got codes of type int16, expected uint16 or int32"


@given(codes=st.lists(st.integers(0, 65535), min_size=1, max_size=50))
def test_int32_codes_return_with_what_is_beside_them(codes) -> None:
    wrote = example(np.array([codes], np.uint16))
    content = pack(wrote, "int32")
    first = np.load(io.BytesIO(content))
    assert (first.dtype, first.tolist()) == ("<i4", [codes])
    got = unpack(content, where="x")
    assert got.indices.dtype == np.uint16
    assert np.array_equal(got.indices, wrote.indices)
    assert (got.samples, got.gain, got.fingerprint) == (wrote.samples, wrote.gain, wrote.fingerprint)


def test_what_codec_cpp_writes_is_read() -> None:
    """Its header, byte for byte (examples/utils/npy_io.cpp): padded to 16 bytes before the end of the line."""
    header = b"{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }"
    header += b" " * (-(10 + len(header)) % 16) + b"\n"
    values = np.array([[1, 2, 3], [4, 5, 65535]], "<i4")
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + values.tobytes()
    assert np.array_equal(unpack(content, where="x").indices, values)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CodesError) as caught:
        read_codes(tmp_path / "none.npy")
    assert str(caught.value) == (
        f"{tmp_path / 'none.npy'}: cannot be read (No such file or directory);"
        " expected a codes file of 'sqcodec encode'"
    )


def test_a_shape_of_no_codes_whose_other_axis_is_absurd_is_refused() -> None:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<u2", "fortran_order": False, "shape": (0, 1 << 62)})
    with pytest.raises(CodesError, match="expected codes"):
        unpack(file.getvalue(), where="x")
