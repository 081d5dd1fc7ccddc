"""Live coding: packets and sound of a stream are those of the whole recording, whatever comes at once."""

import itertools

import numpy as np
import pytest

import sqcodec
from sqcodec.bitstream.packets import PacketCoder
from sqcodec.errors import AudioError, CodesError, ModelError, SqcodecError
from sqcodec.features.mel import extract
from sqcodec.features.mel_stream import MelStream
from sqcodec.pipeline.coding.concealment import Concealment
from sqcodec.runtime.istft_vocoder import NumpyIstftVocoder
from sqcodec.spectrogram import FEATURES
from tests.conftest import make_model, speech_like

pytestmark = pytest.mark.ships


@pytest.fixture(scope="module")
def codec():
    return sqcodec.load("speech16k", device="cpu")


@pytest.fixture(scope="module")
def speech():
    return speech_like(21_333)


def codes_of(codec, packets):
    coder = PacketCoder(codec.embeddings())
    return np.concatenate([coder.unpack(packet)[: len(packet) // 2] for packet in packets], axis=1)


def encoded(codec, samples, lengths, **settings):
    encoder, packets, start = sqcodec.StreamEncoder(codec, **settings), [], 0
    for length in lengths:
        packets += encoder.push(samples[start : start + length])
        start += length
        if start >= len(samples):
            break
    return packets + encoder.flush()


@pytest.mark.parametrize("length", [80, 640, 1777, 10**6])
@pytest.mark.parametrize("samples", [1, 319, 320, 321, 8000, 21_333])
def test_frames_of_a_stream_are_those_of_the_recording(length, samples, speech):
    stream, config = MelStream(FEATURES["log-mel"]), FEATURES["log-mel"]
    pieces = [stream.push(speech[start : min(start + length, samples)]) for start in range(0, samples, length)]
    features = np.concatenate([*pieces, stream.flush()], axis=1)
    np.testing.assert_allclose(features, extract(speech[:samples], config), atol=1e-5)  # FFTs in other batches


def test_a_frame_waits_for_half_a_window(speech):
    stream = MelStream(FEATURES["log-mel"])
    assert stream.ahead == 320
    assert stream.push(speech[:320]).shape[1] == 0  # the first frame reflects sample 320
    assert stream.push(speech[320:321]).shape[1] == 1
    assert stream.push(speech[321:480]).shape[1] == 1
    counts = [stream.push(speech[480 + 160 * n : 640 + 160 * n]).shape[1] for n in range(50)]
    assert counts == [1] * 50


def test_features_of_the_whole_recording_cannot_be_streamed():
    with pytest.raises(SqcodecError, match="paper-mel features need the loudest sample of the whole recording"):
        MelStream(FEATURES["paper-mel"])


@pytest.mark.parametrize("bitrate", [400, 1600, 3200])
def test_any_lengths_give_the_packets_of_the_file(codec, speech, bitrate):
    expected = codec.encode(speech, 16000, codebooks=bitrate // 400).indices
    for lengths in (itertools.repeat(640), itertools.cycle((1, 3000, 17)), [10**6]):
        packets = encoded(codec, speech, lengths, bitrate=bitrate)
        assert {len(packet) for packet in packets} == {bitrate // 200}
        codes = codes_of(codec, packets)
        assert codes.shape[1] == expected.shape[1] + expected.shape[1] % 2
        assert np.array_equal(codes[:, : expected.shape[1]], expected)


def test_samples_of_16_bit_and_of_another_rate(codec, speech):
    integers = np.rint(speech * 32768).clip(-32768, 32767).astype(np.int16)
    assert encoded(codec, integers, [777] * 99) == encoded(codec, integers / np.float32(32768), [10**6])
    at_8k = speech_like(12_000)
    packets = encoded(codec, at_8k, [160] * 99, sample_rate=8000)
    expected = codec.encode(at_8k, 8000).indices
    assert np.array_equal(codes_of(codec, packets)[:, : expected.shape[1]], expected)


def test_an_empty_recording_has_no_packets(codec):
    encoder = sqcodec.StreamEncoder(codec)
    assert encoder.push(np.zeros(0, np.float32)) == []
    assert encoder.flush() == []
    with pytest.raises(CodesError, match="the stream has ended"):
        encoder.push(np.zeros(10, np.float32))


def test_a_packet_comes_as_soon_as_its_delay_allows(codec, speech):
    encoder = sqcodec.StreamEncoder(codec)
    ahead = 640  # 20 ms, and 20 ms of the window
    assert (encoder.packet_samples, encoder.packet_bytes, encoder.delay) == (640, 8, ahead)
    assert encoder.mode == "speech16k-2/1600"
    came = [len(encoder.push(speech[n : n + 1])) for n in range(4 * 640)]
    arrivals = [n + 1 for n, count in enumerate(came) if count]
    assert arrivals == [640 + 640, 1280 + 640, 1920 + 640]


def decoded(codec, packets):
    decoder = sqcodec.StreamDecoder(codec)
    return np.concatenate([*map(decoder.push, packets), decoder.flush()])


def test_the_sound_is_that_of_the_file_without_refinement(codec):
    speech = speech_like(640 * 25 - 80)  # whole packets
    codes = codec.encode(speech, 16000)
    packets = encoded(codec, speech, [640] * 99)
    assert codes.indices.shape[1] == 2 * len(packets) == 50
    vocoder = NumpyIstftVocoder(codec.vocoder(None).vocoder.header, iterations=0)
    features = codec.engine.decode(codes.used, 0)
    expected = np.concatenate(list(vocoder.render(features, 640 * 25 - 80)))
    sound = decoded(codec, packets)
    assert len(sound) == 640 * 25 - 80 + 160  # what the last, repeated frame adds
    # float32 sums in another order: -83 dB of full scale
    assert np.sqrt(np.square(sound[: len(expected)] - expected).mean()) < 1e-4
    assert np.abs(expected).max() > 0.05


def test_the_delay_of_the_decoder_is_what_its_sound_lacks(codec, speech):
    decoder, count = sqcodec.StreamDecoder(codec), 0
    assert decoder.delay == 640 + 640 + 240 + 80  # two codes, four frames, the inverse STFT, half a hop
    for number, packet in enumerate(encoded(codec, speech, [10**6]), start=1):
        count += len(decoder.push(packet))
        assert count == max(0, 640 * number - decoder.delay)


@pytest.fixture(scope="module")
def live():
    return sqcodec.load("speech16k-live", device="cpu")


def test_a_receiver_of_120_ms_takes_the_same_packets(codec, live, speech):
    packets = encoded(codec, speech, [10**6])
    assert encoded(live, speech, [10**6]) == packets
    assert sqcodec.StreamEncoder(live).mode == "speech16k-live-2/1600"
    decoder, count = sqcodec.StreamDecoder(live), 0
    assert decoder.delay == 320 + 240 + 80  # one code, the inverse STFT, half a hop
    assert 640 + sqcodec.StreamEncoder(live).delay + decoder.delay == 16 * 120  # 16 samples a millisecond
    for number, packet in enumerate(packets, start=1):
        count += len(decoder.push(packet))
        assert count == max(0, 640 * number - decoder.delay)


def test_the_sound_at_120_ms_is_that_of_the_file(codec, live):
    speech = speech_like(640 * 25 - 80)
    codes = codec.encode(speech, 16000)  # of the other model
    vocoder = NumpyIstftVocoder(live.vocoder(None).vocoder.header, iterations=0)
    expected = np.concatenate(list(vocoder.render(live.engine.decode(codes.used, 0), 640 * 25 - 80)))
    sound = decoded(live, encoded(codec, speech, [640] * 99))
    # as above: float32 sums in another order
    assert np.sqrt(np.square(sound[: len(expected)] - expected).mean()) < 1e-4
    assert np.abs(expected).max() > 0.05


def test_a_cut_packet_decodes_with_fewer_stages(codec, speech):
    packets = encoded(codec, speech, [10**6], bitrate=3200)
    cut = decoded(codec, [packet[:8] for packet in packets])
    fewer = decoded(codec, [packet[:9] for packet in packets])
    np.testing.assert_allclose(cut, fewer, atol=1e-5)  # sums depend on how arrays lie in memory
    assert np.abs(cut - decoded(codec, packets)).max() > 1e-3
    for wrong in (bytes(21), bytes(22)):
        with pytest.raises(CodesError, match=f"got {len(wrong)} bytes, expected 2 to 20, or 0 or 1 in silence"):
            sqcodec.StreamDecoder(codec).push(wrong)


def test_lost_packets_are_concealed_and_fade(codec, speech):
    packets = encoded(codec, speech, [10**6])
    whole = decoded(codec, packets)
    lost = decoded(codec, [None if 20 <= number < 32 else packet for number, packet in enumerate(packets)])
    assert len(lost) == len(whole)
    before = 640 * 20 - sqcodec.StreamDecoder(codec).delay  # what was certain by then
    np.testing.assert_allclose(lost[:before], whole[:before], atol=1e-5)  # sums depend on how arrays lie in memory
    level = [20 * np.log10(np.sqrt(np.mean(lost[640 * n : 640 * (n + 1)] ** 2)) + 1e-9) for n in range(20, 32)]
    assert level[-1] < level[0] - 20
    steps = np.abs(np.diff(lost))
    assert steps.max() < 2 * np.abs(np.diff(whole)).max()  # no click


def test_a_loss_before_the_first_packet_is_no_error(codec):
    assert np.isfinite(decoded(codec, [None, None])).all()


def test_several_packets_at_once_sound_as_one_by_one(codec, speech):
    packets = [None if number in (5, 6, 20) else each for number, each in enumerate(encoded(codec, speech, [10**6]))]
    decoder = sqcodec.StreamDecoder(codec)
    together = np.concatenate([decoder.push_all(packets), decoder.flush()])
    np.testing.assert_allclose(together, decoded(codec, packets), atol=1e-3)  # float32 sums in another order: 1.5e-4


def test_a_copy_stands_for_a_lost_packet(codec, speech):
    plain, packets = encoded(codec, speech, [10**6]), encoded(codec, speech, [10**6], protect=2)
    assert {len(packet) for packet in packets} == {10}
    assert [packet[:2] + packet[4:] for packet in packets] == plain
    assert [packet[2:4] for packet in packets[2:]] == [packet[:2] for packet in plain[:-2]]
    decoder = sqcodec.StreamDecoder(codec, protect=2)
    assert decoder.delay == sqcodec.StreamDecoder(codec).delay + 2 * 640

    def received(lost):
        decoder = sqcodec.StreamDecoder(codec, protect=2)
        return np.concatenate(
            [*(decoder.push(None if n in lost else p) for n, p in enumerate(packets)), decoder.flush()]
        )

    whole, coarse = decoded(codec, plain), decoded(codec, [p[:2] if n in (9, 15) else p for n, p in enumerate(plain)])
    np.testing.assert_allclose(received(()), whole, atol=1e-5)  # sums depend on how arrays lie in memory
    np.testing.assert_allclose(received((9, 15)), coarse, atol=1e-5)
    cut = sqcodec.StreamDecoder(codec, protect=2)
    assert len(np.concatenate([*(cut.push(packet[:4]) for packet in packets), cut.flush()])) == len(whole)


@pytest.mark.slow
def test_silence_takes_a_byte_each_400_ms_and_keeps_its_level(codec):
    noise = (1e-3 * np.random.default_rng(0).normal(size=16_000 * 6)).astype(np.float32)
    sound = np.concatenate([noise[:16_000], speech_like(16_000), noise])
    packets = encoded(codec, sound, [10**6], dtx=True)
    assert all(len(packet) == 8 for packet in packets[26:36])  # speech is sent
    silence = packets[75:]
    sizes = [len(packet) for packet in silence if len(packet) < 2]
    assert len(sizes) > 0.9 * len(silence)
    assert all(sum(sizes[start : start + 10]) <= 1 for start in range(0, len(sizes) - 10, 10))
    heard = decoded(codec, packets)
    before, comfort = heard[:9000], heard[16_000 * 4 : 16_000 * 7]
    assert abs(20 * np.log10(comfort.std() / before.std())) < 3  # the level's steps, and the noise of few frames
    lag = np.correlate(comfort[:6400], comfort[:1600], "valid")[160::160]
    assert np.abs(lag).max() < 0.8 * (comfort[:1600] ** 2).sum()  # it does not repeat itself, which would hum


def test_state_does_not_grow(codec):
    encoder, decoder = sqcodec.StreamEncoder(codec, dtx=True, protect=2), sqcodec.StreamDecoder(codec, protect=2)

    def size():
        return [sum(array.nbytes for array in arrays(part)) for part in (encoder, decoder)]

    quiet = (0.01 * np.random.default_rng(0).normal(size=640)).astype(np.float32)
    sizes = []
    for _ in range(60):
        for packet in encoder.push(quiet):
            decoder.push(packet)
        sizes.append(size())
    assert sizes[20] == sizes[40] == sizes[59]


@pytest.mark.slow
def test_ten_minutes_without_drift(codec):
    """A loop of 2 s for ten minutes: every loop has the packets and the sound of the second, and no sample is lost."""
    loop = speech_like(50 * 640)
    encoder, decoder = sqcodec.StreamEncoder(codec, bitrate=400), sqcodec.StreamDecoder(codec)
    taken = given = 0
    second, sizes = ([], np.zeros(0)), []
    for number in range(300):
        packets = encoder.push(loop)
        sound = decoder.push_all(packets)
        taken, given = taken + len(loop), given + len(sound)
        if number == 2:  # the first that no beginning reaches
            second = packets, sound
        elif number > 2:
            assert packets == second[0], number
            np.testing.assert_allclose(sound, second[1], atol=1e-5)  # sums depend on how arrays lie in memory
        sizes.append(sum(array.nbytes for part in (encoder, decoder) for array in arrays(part)))
    assert taken == 300 * 50 * 640
    assert taken - given == encoder.delay + decoder.delay
    assert len(set(sizes[3:])) == 1


def arrays(part, seen=None):
    """Every array that is reachable from the state of an object."""
    seen = set() if seen is None else seen
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, np.ndarray):
        yield part
    elif isinstance(part, list | tuple):
        for item in part:
            yield from arrays(item, seen)
    elif hasattr(part, "__dict__"):
        for item in vars(part).values():
            yield from arrays(item, seen)


def test_a_model_that_cannot_be_streamed_is_named(tmp_path):
    path = tmp_path / "tiny" / "model.safetensors"
    make_model(path)
    with pytest.raises(ModelError, match="cannot be streamed, expected a model with ConvNeXt networks"):
        sqcodec.StreamEncoder(str(path))


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        (np.zeros((640, 1), np.float32), r"got an array \[640, 1\], expected one channel of samples \[n\]"),
        ([0.0] * 640, "got list, expected one channel"),
        (np.zeros(640, np.int32), "got samples of int32, expected floats in -1 to 1, or int16"),
        (np.zeros(640, np.uint8), "got samples of uint8"),
        (np.full(640, np.nan, np.float32), "got samples that are not finite"),
        (np.full(640, 1e20, np.float32), r"got samples up to 1e\+20, expected -1 to 1"),
        (np.full(640, 9000, np.float32), r"got samples up to 9e\+03, expected -1 to 1"),
    ],
)
def test_samples_that_are_no_sound_are_refused_and_the_stream_goes_on(codec, speech, samples, text):
    encoder = sqcodec.StreamEncoder(codec)
    packets = encoder.push(speech[:6400])
    with pytest.raises(AudioError, match=text):
        encoder.push(samples)
    packets += encoder.push(speech[6400:]) + encoder.flush()
    assert packets == encoded(codec, speech, [10**6])


def test_a_negative_number_of_packets_is_refused(codec):
    for made in (sqcodec.StreamEncoder, sqcodec.StreamDecoder):
        with pytest.raises(CodesError, match="`protect` -1: expected a number of packets, 0 for none"):
            made(codec, protect=-1)
        with pytest.raises(AudioError, match="got a sample rate of 0 Hz"):
            made(codec, sample_rate=0)


def test_of_packets_with_a_wrong_one_none_is_taken(codec, speech):
    packets = encoded(codec, speech, [10**6])
    decoder = sqcodec.StreamDecoder(codec)
    with pytest.raises(CodesError, match="a packet: got 21 bytes"):
        decoder.push_all([*packets[:10], bytes(21)])
    assert len(decoder.push_all(packets)) + len(decoder.flush()) == len(decoded(codec, packets))


@pytest.mark.parametrize("rate", [300, 1000, 1600.5, 4400])
def test_packets_have_rates_of_the_model_alone(codec, rate):
    """A receiver takes them apart by the rate, so it is not rounded."""
    with pytest.raises(CodesError, match=rf"`bitrate` {rate:g}: no rate of speech16k-2's packets, expected 400, 800,"):
        sqcodec.StreamEncoder(codec, bitrate=rate)
    assert sqcodec.StreamEncoder(codec, bitrate=1600).mode == "speech16k-2/1600"


def test_a_mode_names_model_and_rate(speech):
    """As `--mode` on the command line; a receiver that has it refuses packets of another rate."""
    sender = sqcodec.StreamEncoder(mode="speech16k-2/800")
    assert (sender.mode, sender.packet_bytes) == ("speech16k-2/800", 4)
    sent = [*sender.push(speech), *sender.flush()]
    one, other = sqcodec.StreamDecoder(mode="speech16k-2/800"), sqcodec.StreamDecoder("speech16k")
    sounds = [np.concatenate([each.push_all(sent), each.flush()]) for each in (one, other)]
    assert np.array_equal(*sounds)
    receiver = sqcodec.StreamDecoder(mode="speech16k-live-2/800", protect=2)
    for packet in (None, b"", b"\x40", bytes(6)):
        receiver.push(packet)
    with pytest.raises(CodesError, match="got a packet of 8 bytes, those of mode speech16k-live-2/800 have 6"):
        receiver.push(bytes(8))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"mode": "speech16k-2/1000"}, "mode speech16k-2/1000: speech16k-2 has no rate of 1000 bit/s, expected one of"),
        ({"mode": "speech16k-2"}, "mode 'speech16k-2': expected MODEL/RATE"),
        ({"mode": "speech16k-2/800", "model": "speech16k"}, "names the model, got 'speech16k' as well"),
        ({"mode": "speech16k-2/800", "bitrate": 800}, "names the rate, got bitrate 800 as well"),
    ],
)
def test_a_wrong_mode_is_refused(arguments, text):
    with pytest.raises(CodesError, match=text):
        sqcodec.StreamEncoder(**arguments)
    if "bitrate" not in arguments:
        with pytest.raises(CodesError, match=text):
            sqcodec.StreamDecoder(**arguments)


def test_who_joins_in_a_silence_hears_silence(codec):
    """The level comes with one packet in ten; before it the noise was that of codeword 0, 30 dB above."""
    received = Concealment(codec.embeddings())
    steps = [step for packet in (b"", b"", None, bytes([0])) for step in received.push(packet)]
    assert [step.level for step in steps] == [0.0] * 4
    heard = Concealment(codec.embeddings())
    packet = bytes(PacketCoder(codec.embeddings()).pack(np.zeros((2, 2), np.uint16), None))
    assert [step.level for each in (packet, b"") for step in heard.push(each)] == [None, None]  # as it was before


@pytest.mark.parametrize(("rate", "samples"), [(44100, 45_644), (11025, 11_411), (22050, 22_822)])
def test_a_stream_at_another_rate_has_the_codes_of_the_recording(codec, rate, samples):
    sound = speech_like(samples, rate=rate)
    packets = encoded(codec, sound, itertools.repeat(1000), bitrate=800, sample_rate=rate)
    whole = codec.encode(sound, rate, codebooks=2).indices
    assert len(packets) == -(-whole.shape[1] // 2)
    assert np.mean(codes_of(codec, packets)[:, : whole.shape[1]] == whole) > 0.99  # resampled in other blocks
