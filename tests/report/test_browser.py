"""The page in a browser without a screen: it loads without complaint, sorts, plays, switches, takes votes."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sqcodec.report import page
from tests.report.test_page import make_page

pytestmark = pytest.mark.slow

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip("no chromium with chromedriver (Debian: apt install chromium chromium-driver)", allow_module_level=True)
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
SECONDS = 30.0  # of sound: longer than the test looks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def driver(folder: Path) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.add_argument("--headless=new")
    options.add_argument("--window-size=1300,1500")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium refuses its sandbox to root
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    (folder / "index.html").write_text(page.render(make_page(folder, seconds=SECONDS)), "utf-8")
    yield browser
    browser.quit()


@pytest.fixture
def opened(driver: Any, folder: Path) -> Iterator[Any]:
    driver.get((folder / "index.html").as_uri())
    wait(lambda: driver.execute_script("return player.seconds") == SECONDS)
    yield driver
    assert [entry for entry in driver.get_log("browser") if entry["level"] != "INFO"] == []


def wait(holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return value


def find(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def press(browser: Any, *keys: str) -> None:
    webdriver.ActionChains(browser).send_keys(*keys).perform()


def chosen(browser: Any) -> list[str]:
    return [
        each.get_attribute("data-system") for each in browser.find_elements("css selector", ".track[aria-checked=true]")
    ]


def systems(browser: Any) -> list[str]:
    return [each.text for each in browser.find_elements("css selector", "#scores tbody th")]


def place(browser: Any) -> float:
    return browser.execute_script("return player.position")


def test_the_table_sorts_both_ways(opened) -> None:
    assert systems(opened) == ["system-1", "system-2", "system-3"]  # PESQ 2, 3, 1
    heads = opened.find_elements("css selector", "#scores thead button")
    heads[1].click()
    assert systems(opened) == ["system-2", "system-1", "system-3"]  # the better one first
    assert heads[1].find_element("xpath", "..").get_attribute("aria-sort") == "descending"
    heads[1].click()
    assert systems(opened) == ["system-3", "system-1", "system-2"]
    heads[2].click()
    assert systems(opened)[-1] == "system-1"  # no MCD: below, whichever way
    heads[2].click()
    assert systems(opened)[-1] == "system-1"
    heads[0].click()
    assert systems(opened) == ["system-1", "system-2", "system-3"]


def test_the_best_of_a_column_is_marked(opened) -> None:
    assert [each.text.split()[0] for each in opened.find_elements("css selector", "td.best")] == ["3.00", "5.0", "5.0"]


def test_it_plays_and_stops(opened) -> None:
    find(opened, "#play").click()
    wait(lambda: place(opened) > 0.3)
    assert find(opened, "#play").text == "Stop"
    assert float(find(opened, "#position").get_attribute("value")) > 0.0
    find(opened, "#play").click()
    stopped = place(opened)
    assert not opened.execute_script("return player.playing")
    time.sleep(0.2)
    assert place(opened) == stopped > 0.3


def test_keys_switch_the_system_at_the_same_place(opened) -> None:
    assert chosen(opened) == ["reference"]
    press(opened, " ")
    wait(lambda: place(opened) > 0.5)
    before = place(opened)
    press(opened, "3")
    after = place(opened)
    assert chosen(opened) == ["system-2"]
    assert before <= after < before + 5.0  # it went on from where it was; the limit is for a busy machine
    assert opened.execute_script("return player.playing")
    press(opened, "\ue015")  # arrow down
    assert chosen(opened) == ["system-3"]
    press(opened, "\ue013", "\ue013")  # arrow up
    assert chosen(opened) == ["system-1"]
    press(opened, " ")
    stopped = place(opened)
    press(opened, "\ue014", "\ue014")  # arrow right
    assert place(opened) == pytest.approx(stopped + 2.0, abs=1e-6)
    press(opened, "\ue012")
    assert place(opened) == pytest.approx(stopped + 1.0, abs=1e-6)


def test_what_sounds_is_what_is_chosen(opened) -> None:
    """The tone of each system is an octave up: count zero crossings of the very buffer that is sent out."""
    crossings = """
        const samples = player.voice.source.buffer.getChannelData(0).subarray(0, 16000);
        let count = 0;
        for (let i = 1; i < samples.length; i++) count += (samples[i - 1] < 0) !== (samples[i] < 0);
        return count / (samples.length / player.voice.source.buffer.sampleRate);"""
    press(opened, " ")
    for number, frequency in enumerate((220, 440, 880, 1760)):
        press(opened, str(number + 1))
        assert opened.execute_script(crossings) == pytest.approx(2 * frequency, rel=0.02)


def test_loudness_is_made_equal_unless_told(opened) -> None:
    assert opened.execute_script("return player.gains.map((gain) => Math.round(gain * 100))") == [100, 200, 300, 400]
    press(opened, " ", "2")
    find(opened, "#match").click()
    assert opened.execute_script("return player.match") is False


def test_recordings_change(opened) -> None:
    assert find(opened, "#utterance option:checked").text == "speaker/0"
    press(opened, "n")
    wait(lambda: find(opened, "#utterance option:checked").text == "speaker/1")
    find(opened, "#previous").click()
    wait(lambda: find(opened, "#utterance option:checked").text == "speaker/0")
    assert len(opened.find_elements("css selector", ".track img")) == 4


def test_a_click_into_a_picture_plays_from_there(opened) -> None:
    picture = find(opened, "[data-system=system-2] .picture")
    webdriver.ActionChains(opened).move_to_element(picture).click().perform()  # the middle
    assert chosen(opened) == ["system-2"]
    assert SECONDS * 0.49 < place(opened) < SECONDS * 0.7


def test_blind_votes_are_counted_and_saved(opened, folder: Path) -> None:
    find(opened, "#begin").click()
    wait(lambda: find(opened, "#voices").is_displayed())
    assert not find(opened, "#listen").is_displayed()  # names and pictures would tell
    better = find(opened, "[data-vote=A]")
    assert not better.is_enabled()  # nobody votes on what was not heard
    wait(lambda: opened.execute_script("return player.playing"))
    press(opened, "a")
    assert find(opened, "[data-voice=A]").get_attribute("aria-checked") == "true"
    press(opened, "b")
    pair = opened.execute_script(
        "const v = blind.versions; return [v.A, v.B].map((i) => data.utterances[blind.index].sounds[i].system)"
    )
    better.click()
    wait(lambda: find(opened, "#count").text == "1 vote.")
    wait(lambda: opened.execute_script("return blind && player.playing"))
    press(opened, "a", "b")
    find(opened, "[data-vote='=']").click()
    wait(lambda: find(opened, "#count").text == "2 votes.")
    find(opened, "#begin").click()
    assert find(opened, "#listen").is_displayed()
    find(opened, "#save").click()
    wait((folder / "votes.json").is_file)
    votes = json.loads((folder / "votes.json").read_text("utf-8"))["votes"]
    assert (votes[0]["a"], votes[0]["b"], votes[0]["better"]) == (pair[0], pair[1], pair[0])
    assert votes[1]["better"] is None
    assert all(vote["a"] != vote["b"] and vote["heard"] == ["A", "B", "R"] for vote in votes)
    find(opened, "#reveal").click()
    won = {row.text.split()[0]: row.text.split()[1:] for row in opened.find_elements("css selector", "#tally tr")[1:]}
    assert won[pair[0]][0] == "1"


def test_a_blind_test_waits_for_its_recording(opened) -> None:
    """Until it is there nothing plays, nothing counts as heard, and the test may end."""
    opened.execute_script("""
        player.decode_ = player.decode;
        window.gate = new Promise((open) => { window.openGate = open; });
        player.decode = async (sound) => { await window.gate; return player.decode_(sound); };""")
    find(opened, "#begin").click()
    press(opened, "a", "b")
    find(opened, "[data-voice=A]").click()
    assert opened.execute_script("return [player.playing, blind.heard.size]") == [False, 0]
    assert not find(opened, "[data-vote=A]").is_enabled()
    find(opened, "#begin").click()  # it ends
    opened.execute_script("window.openGate()")
    wait(lambda: opened.execute_script("return player.seconds") == SECONDS)
    assert find(opened, "#listen").is_displayed()
    assert not opened.execute_script("return player.playing")


@pytest.mark.parametrize(("utterances", "links"), [(1, ["Results", "Listen"]), (0, ["Results"])])
def test_no_link_leads_to_a_part_that_is_hidden(driver: Any, tmp_path: Path, utterances: int, links: list[str]) -> None:
    made = make_page(tmp_path, systems=1, utterances=utterances)
    (tmp_path / "index.html").write_text(page.render(made), "utf-8")
    driver.get((tmp_path / "index.html").as_uri())
    assert [each.text for each in driver.find_elements("css selector", "nav a") if each.is_displayed()] == links


def test_a_silent_reference_makes_nothing_silent(driver: Any, tmp_path: Path) -> None:
    made = make_page(tmp_path, systems=2, utterances=1)
    silent = made.utterances[0].sounds[0].path
    soundfile.write(silent, np.zeros(soundfile.info(silent).frames), 16000)
    (tmp_path / "index.html").write_text(page.render(made), "utf-8")
    driver.get((tmp_path / "index.html").as_uri())
    wait(lambda: driver.execute_script("return player.gains.length"))
    assert driver.execute_script("return player.gains") == [1, 1, 1]


def test_it_works_by_keyboard_alone(opened) -> None:
    """Every control can be reached and has a name."""
    controls = opened.find_elements("css selector", "button, select, input, [role=radio]")
    assert len(controls) > 10
    for control in controls:
        assert control.accessible_name or not control.is_displayed(), control.get_attribute("outerHTML")
