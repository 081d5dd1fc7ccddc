"""docs/try/index.html in a browser without a screen, served on loopback, against the vectors of docs/runtime.md."""

import base64
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from safetensors.numpy import save

import sqcodec
from sqcodec.bitstream import sqc
from sqcodec.corpus.audio import AudioSource
from sqcodec.pipeline.finding.code_spaces import read_space
from sqcodec.pipeline.finding.models import SHIPPED
from tests.bitstream.test_golden import FILES, space_of
from tests.conftest import speech_like
from tests.runtime.test_spectra import decibels

pytestmark = [pytest.mark.slow, pytest.mark.ships]

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = Path(__file__).parent / "golden"
VECTORS = GOLDEN / "vectors"
MODEL = SHIPPED / "speech16k" / "model.safetensors"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip("no chromium with chromedriver (Debian: apt install chromium chromium-driver)", allow_module_level=True)
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

# what a script gives back: arrays as base64 of their bytes
CALL = """
const done = arguments[arguments.length - 1];
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt());
const text = (array) => {
  const all = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let letters = "";
  for (let at = 0; at < all.length; at += 8192) letters += String.fromCharCode(...all.subarray(at, at + 8192));
  return btoa(letters);
};
(async (...given) => {%s})(...arguments).then(done, (error) => done(`failed: ${error.message}`));
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with the weights beside it, and a copy without."""
    folder = tmp_path_factory.mktemp("try")
    shutil.copy(ROOT / "docs" / "try" / "index.html", folder)
    shutil.copy(SHIPPED / "speech16k" / "model.safetensors", folder)
    shutil.copy(SHIPPED / "speech16k" / "vocoder" / "vocoder.safetensors", folder)
    (folder / "bare").mkdir()
    shutil.copy(ROOT / "docs" / "try" / "index.html", folder / "bare")
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 s of speech in a WAV at 48 kHz, as microphones give it."""
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    samples = speech_like(3 * 48_000, rate=48_000)
    soundfile.write(path, samples, 48_000, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def driver(speech: Path) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.add_argument("--headless=new")
    # a microphone that plays the file again and again, and may be used
    options.add_argument("--use-fake-ui-for-media-stream")
    options.add_argument("--use-fake-device-for-media-stream")
    options.add_argument(f"--use-file-for-fake-audio-capture={speech}")
    options.add_argument("--host-resolver-rules=MAP sqcodec.test 127.0.0.1")  # plain http, and not of this machine
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium refuses its sandbox to root
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    browser.set_script_timeout(300)
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def page(driver: Any, address: str) -> Any:
    driver.get(address)
    wait(driver, "Ready.")
    return driver


def wait(browser: Any, ends: str, seconds: float = 120.0) -> str:
    """The status once it ends so."""
    end = time.monotonic() + seconds
    while not (status := browser.find_element("id", "status").text).endswith(ends):
        assert time.monotonic() < end, status
        time.sleep(0.1)
    return status


def call(browser: Any, code: str, *given: object) -> Any:
    result = browser.execute_async_script(CALL % code, *given)
    assert not str(result).startswith("failed: "), result
    return result


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def array(encoded: str, dtype: str = "<f4") -> np.ndarray:
    return np.frombuffer(base64.b64decode(encoded), dtype)


def vector(name: str) -> np.ndarray:
    return np.load(VECTORS / f"{name}.npy", allow_pickle=False)


def test_each_step_of_decoding_meets_its_vector(page: Any) -> None:
    code = """
    const made = await ask({ verb: "decode", bytes: bytes(given[0]) });
    const { codes, features, spectrum, plain, sound } = made;
    return { codes: codes.map(text), features: text(features), spectrum: text(spectrum), plain: text(plain),
      sound: text(sound), seconds: made.seconds };
    """
    made = call(page, code, text((VECTORS / "codes.sqc").read_bytes()))
    assert np.array_equal([array(row, "<u2") for row in made["codes"]], vector("codes"))
    assert np.abs(array(made["features"]).reshape(-1, 80).T - vector("features")).max() < 2e-5
    real, imaginary = array(made["spectrum"]).reshape(-1, 2, 321).transpose(1, 0, 2)
    expected = vector("spectrum")
    # phases follow the features, which may differ by 2e-5: measured 3.3e-5
    assert np.abs(real + 1j * imaginary - expected).max() < 1e-4 * np.abs(expected).max()
    for name in ("plain", "sound"):
        assert decibels(array(made[name]) - vector(name)) < -80, name
    print(f"decoded {len(vector('sound')) / 16000 / made['seconds']:.2f} times real time")


def test_encoding_gives_the_codes(page: Any) -> None:
    code = """
    const samples = new Float32Array(bytes(given[0]).buffer);
    return text((await ask({ verb: "encode", samples, books: given[1] })).file);
    """
    content = base64.b64decode(call(page, code, text(vector("input").tobytes()), len(vector("codes"))))
    read = sqc.unpack(content, read_space(MODEL), where="made by the page")
    assert (read.samples, read.sample_rate, read.gain) == (len(vector("input")), 16000, 1.0)
    assert (read.indices != vector("codes")).mean() < 1 / 50


def test_a_dropped_file_is_played_and_saved(page: Any) -> None:
    page.find_element("id", "file").send_keys(str(VECTORS / "codes.sqc"))
    status = wait(page, "times real time.")
    assert status.startswith(f"0.80 s, {(VECTORS / 'codes.sqc').stat().st_size} bytes: ")
    wav = offered(page, "sound")
    assert (wav[:4], wav[8:16], len(wav)) == (b"RIFF", b"WAVEfmt ", 44 + 2 * 12800)
    played = np.frombuffer(wav[44:], "<i2") / 32767
    assert decibels(played - vector("sound")) < -80
    assert page.execute_script('return document.getElementById("audio").duration') == pytest.approx(0.8, abs=0.01)


def offered(page: Any, link: str) -> bytes:
    code = "return text(new Uint8Array(await (await fetch(document.getElementById(given[0]).href)).arrayBuffer()));"
    return base64.b64decode(call(page, code, link))


def test_a_dropped_recording_is_encoded_at_the_chosen_rate(page: Any, speech: Path) -> None:
    page.find_element("xpath", "//select[@id='rate']/option[text()='800']").click()
    page.find_element("id", "file").send_keys(str(speech))
    assert wait(page, "times real time.").startswith("3.00 s, ")
    made = sqc.unpack(offered(page, "codes"), read_space(MODEL), where="made by the page")
    assert (made.samples, made.sample_rate, len(made.indices)) == (48_000, 16_000, 2)
    # resampled by the browser: SciPy changes .05 of these codes, the browser .18; a filter that aliases changed .44
    codes = sqcodec.load("speech16k").encode(speech, codebooks=2).indices
    assert (codes != made.indices).mean() < 0.25


@pytest.mark.parametrize(("factor", "ends"), [(-1.0, "taken alone."), (-0.5, "times real time.")])
def test_channels_that_cancel_are_not_mixed(page: Any, speech: Path, tmp_path: Path, factor: float, ends: str) -> None:
    """As the command line decides; the second channel is the first times a factor."""
    samples, stereo = soundfile.read(speech)[0], tmp_path / "stereo.wav"
    soundfile.write(stereo, np.stack([samples, factor * samples], 1), 48_000)
    page.execute_script("say('Nothing yet.')")
    page.find_element("id", "file").send_keys(str(stereo))
    status = wait(page, ends)
    made = sqc.unpack(offered(page, "codes"), read_space(MODEL), where="made by the page")
    assert made.gain == 1.0  # no silence
    source = AudioSource(stereo)
    source.read(16_000)
    (remark,) = source.remarks
    assert (remark.kind == "one channel") == (remark.detail in status) == (factor == -1.0)


def test_the_microphone_is_encoded_and_played(page: Any) -> None:
    button = page.find_element("id", "record")
    button.click()
    end = time.monotonic() + 30
    while button.text != "Stop":  # it may be used
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(2.0)
    page.execute_script("say('Stopped.')")
    button.click()
    seconds = float(wait(page, "times real time.").split(" s, ")[0])
    assert 1.0 < seconds < 6.0
    assert button.text == "Record the microphone"
    made = sqc.unpack(offered(page, "codes"), read_space(MODEL), where="made by the page")
    assert made.samples == pytest.approx(seconds * 16_000, abs=80)
    assert np.abs(np.frombuffer(offered(page, "sound")[44:], "<i2")).max() > 1000  # what was heard, not silence


def test_a_damaged_file_is_an_error(page: Any, tmp_path: Path) -> None:
    content = bytearray((VECTORS / "codes.sqc").read_bytes())
    content[40] ^= 1
    (tmp_path / "damaged.sqc").write_bytes(content)
    page.find_element("id", "file").send_keys(str(tmp_path / "damaged.sqc"))
    assert wait(page, "wrote it").startswith("Error: block 0: the checksum is wrong")


def test_codes_are_known_by_their_first_bytes(page: Any, tmp_path: Path) -> None:
    for name in ("A16.SQC", "message"):
        shutil.copy(VECTORS / "codes.sqc", tmp_path / name)
        page.execute_script("say('Nothing yet.')")
        page.find_element("id", "file").send_keys(str(tmp_path / name))
        assert wait(page, "times real time.").startswith("0.80 s, ")
    (tmp_path / "no.sqc").write_bytes(b"RIFF")
    page.find_element("id", "file").send_keys(str(tmp_path / "no.sqc"))
    wait(page, "Error: no .sqc file")


@pytest.mark.parametrize("length", [0, 3, 55, 56, 64, 1000])  # around where the padding needs another block
def test_its_sha256_is_the_one_of_hashlib(page: Any, length: int) -> None:
    content = bytes(n * n % 251 for n in range(length))
    made = call(page, "return text(sha256(bytes(given[0])));", text(content))
    assert base64.b64decode(made) == hashlib.sha256(content).digest()


@pytest.mark.parametrize("name", FILES)
def test_files_of_every_version_read(page: Any, name: str) -> None:
    """Codes alone: most of the models that wrote these files have other networks."""
    path, space = GOLDEN / name, space_of(GOLDEN / name)
    arrays = {f"tables.{key}": each for key, each in space.tables.to_arrays().items()} if space.tables else {}
    arrays |= {f"context.{key}": each for key, each in space.context.arrays.items()} if space.context else {}
    code = """
    const weights = new Weights(bytes(given[1]).buffer, "sqcodec"), books = given[2], size = given[3];
    const coder = ({ version, flag, books: used }) => version === 2 ? new ContextModel(weights, used, Boolean(flag))
      : flag ? new Tables(weights, books) : plainCoder(size);
    const { codes, stages } = readCodes(bytes(given[0]), { coder });
    return { codes: codes.map(text), stages: text(stages) };
    """
    file = save({key: np.ascontiguousarray(each) for key, each in arrays.items()}, {"sqcodec": "{}"})
    made = call(page, code, text(path.read_bytes()), text(file), len(space.codewords), space.codewords[0])
    assert np.array_equal(
        [array(row, "<u2") for row in made["codes"]], np.load(path.with_suffix(".codes.npy"), allow_pickle=False)
    )
    stages = path.with_suffix(".stages.npy")
    if stages.is_file():
        assert np.array_equal(array(made["stages"], "u1"), np.load(stages, allow_pickle=False))


def test_without_weights_it_asks_for_them(page: Any, driver: Any, address: str, folder: Path) -> None:
    driver.get(f"{address}bare/")
    wait(driver, "drop model.safetensors and vocoder.safetensors on it.")
    driver.find_element("id", "file").send_keys(f"{folder / 'model.safetensors'}\n{folder / 'vocoder.safetensors'}")
    wait(driver, "Ready.")
    rates = [each.text for each in driver.find_elements("css selector", "#rate option")]
    assert rates == ["400", "800", "1200", "1600", "2000", "2400", "2800", "3200", "3600", "4000"]


def test_weights_that_do_not_open_say_why_and_are_forgotten(
    page: Any, driver: Any, address: str, folder: Path, tmp_path: Path
) -> None:
    driver.get(f"{address}bare/")
    wait(driver, "drop model.safetensors and vocoder.safetensors on it.")
    file, vocoder = driver.find_element("id", "file"), folder / "vocoder.safetensors"
    (tmp_path / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    sharing = SHIPPED / "speech16k-live" / "model.safetensors"
    cases = ((sharing, "Codec.save_pretrained writes"), (tmp_path / "model.safetensors", "Error: no file of sqcodec"))
    for model, reason in cases:
        file.send_keys(f"{vocoder}\n{model}")
        wait(driver, reason)
        file.send_keys(str(VECTORS / "codes.sqc"))
        wait(driver, "The weights come first.")
    file.send_keys(f"{vocoder}\n{folder / 'model.safetensors'}")
    wait(driver, "Ready.")
    file.send_keys(str(sharing))
    wait(driver, "Codec.save_pretrained writes")
    file.send_keys(str(VECTORS / "codes.sqc"))  # by those that opened before
    wait(driver, "times real time.")


def test_over_plain_http_all_but_the_microphone_works(page: Any, driver: Any, address: str, speech: Path) -> None:
    driver.get(address.replace("127.0.0.1", "sqcodec.test"))
    wait(driver, "Ready.")
    assert not driver.execute_script("return isSecureContext")
    button = driver.find_element("id", "record")
    assert (button.text, button.is_enabled()) == ("Microphone: needs https or localhost", False)
    driver.find_element("id", "file").send_keys(str(speech))
    wait(driver, "times real time.")
    made = sqc.unpack(offered(driver, "codes"), read_space(MODEL), where="made by the page")  # its identity fits
    assert made.samples == 48_000
