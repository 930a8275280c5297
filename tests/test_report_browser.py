"""The report in a real browser, headless: no errors, no requests, sorting, filtering, picking, pictures that show."""

import base64
import json
import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from conftest import toy_workspace

from nuemstat.main_job import run
from nuemstat.report.build import build

pytestmark = pytest.mark.slow

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    for name, flavour in (("alpha", "e"), ("beta", "mu")):
        toy_workspace(name, flavour).write(folder / f"{name}.json")
    run([str(folder / "alpha.json"), str(folder / "beta.json")], ["millicharge", "magnetic_moment"], folder / "out")
    return build(folder / "out", contours=False)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser: pip install '.[browser]'")
    from selenium.webdriver.chrome.service import Service

    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no browser here: chromium and chromedriver are needed")
    options = selenium.ChromeOptions()
    options.binary_location = binary
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--disable-dev-shm-usage",
                 f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):  # fmt: skip
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = selenium.Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()


def show(browser, page: Path, size: str = "desktop", dark: bool = False) -> None:
    width, height = SIZES[size]
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    browser.get(page.as_uri())


def pixels(image: bytes) -> list[bytes]:
    """Rows of an 8-bit PNG without interlace, filters undone, as Chromium writes it."""
    place, data, width, depth = 8, b"", 0, 3
    while place < len(image):
        length, kind = struct.unpack(">I4s", image[place : place + 8])
        body = image[place + 8 : place + 8 + length]
        if kind == b"IHDR":
            width, depth = struct.unpack(">I", body[:4])[0], {2: 3, 6: 4}[body[9]]
        data += body if kind == b"IDAT" else b""
        place += 12 + length
    raw, stride = zlib.decompress(data), width * depth
    rows, above = [], bytearray(stride)
    for start in range(0, len(raw), stride + 1):
        above = _unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + stride]), above, depth)
        rows.append(bytes(above))
    return rows


def _unfiltered(kind: int, row: bytearray, above: bytearray, depth: int) -> bytearray:
    for i in range(len(row)):
        left = row[i - depth] if i >= depth else 0
        corner = above[i - depth] if i >= depth else 0
        if kind == 4:
            near = left + above[i] - corner
            guess = min((left, above[i], corner), key=lambda v: abs(near - v))
        else:
            guess = (0, left, above[i], (left + above[i]) // 2)[kind]
        row[i] = (row[i] + guess) & 255
    return row


def requests(browser) -> list[str]:
    """Addresses that the page asked for, since the last time of asking."""
    entries = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [e["params"]["request"]["url"] for e in entries if e["method"] == "Network.requestWillBeSent"]


def test_it_opens_without_errors_and_asks_for_nothing(browser, page):
    requests(browser)
    show(browser, page)
    asked = [address for address in requests(browser) if not address.startswith("data:")]
    assert asked == [page.as_uri()]
    assert browser.get_log("browser") == []


def test_the_filter_works(browser, page):
    show(browser, page)
    box = browser.find_element("css selector", "input[data-filter=limits-table]")
    rows = "return [...document.querySelectorAll('#limits-table tbody tr')].filter(r => r.offsetParent).length"
    before = browser.execute_script(rows)
    box.send_keys("beta magnetic")
    assert 0 < browser.execute_script(rows) < before
    shown = browser.find_element("css selector", "output[data-count=limits-table]").text
    assert shown == f"{browser.execute_script(rows)} of {before} rows"
    box.clear()
    box.send_keys("no such words")
    assert browser.execute_script(rows) == 0


def test_sorting_by_numbers_both_ways(browser, page):
    show(browser, page)
    button = browser.find_elements("css selector", "#limits-table thead button")[3]
    assert button.text == "largest |value|"
    values = "return [...document.querySelectorAll('#limits-table tbody tr')].map(r => Number(r.cells[3].dataset.key))"
    button.click()
    found = browser.execute_script(values)
    assert found == sorted(found)
    assert found != sorted(found, reverse=True)
    button.click()
    assert browser.execute_script(values) == sorted(found, reverse=True)


def test_picking_shows_curves(browser, page):
    show(browser, page)
    seen = "return [...document.querySelectorAll(arguments[0])].filter(e => e.getClientRects().length).length"
    curves = "#profiles g[data-experiment=beta]"
    assert browser.execute_script(seen, curves) == 2
    browser.find_element("css selector", "input[data-pick=experiment][value=beta]").click()
    assert browser.execute_script(seen, curves) == 0
    assert browser.execute_script(seen, "#profiles g[data-experiment=alpha]") == 2
    assert browser.execute_script(seen, "#limits-table tr[data-experiment=beta]") == 0
    browser.find_element("css selector", "input[data-pick=coupling][value=millicharge]").click()
    assert browser.execute_script(seen, "#profiles figure") == 1
    browser.find_element("css selector", "button[data-all=coupling]").click()
    assert browser.execute_script(seen, "#profiles figure") == 2


@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize("dark", [False, True])
def test_it_shows_on_desktop_and_phone_light_and_dark(browser, page, size, dark):
    show(browser, page, size, dark)
    browser.execute_script("document.querySelector('#profiles').scrollIntoView()")
    rows = pixels(browser.get_screenshot_as_png())
    width, height = SIZES[size]
    assert len(rows) == height
    depth = len(rows[0]) // width
    colours = {row[i : i + 3] for row in rows[::3] for i in range(0, len(row), 3 * depth)}
    ground = bytes.fromhex("15181c" if dark else "ffffff")
    assert ground in colours
    assert len(colours) > 50
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    drawn = browser.execute_script(
        "return [...document.querySelectorAll('#profiles svg.plot')].map(e => e.getBoundingClientRect().width)"
    )
    assert min(drawn) > 300


def test_it_prints(browser, page, tmp_path):
    show(browser, page)
    sheet = {"preferCSSPageSize": False, "paperWidth": 8.27, "paperHeight": 4.0}  # low, so that tables break
    printed = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", sheet)["data"])
    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000
    reader = shutil.which("pdftotext")
    if reader is None:
        pytest.skip("the words on the paper are read with pdftotext")
    (tmp_path / "page.pdf").write_bytes(printed)
    command = [reader, "-layout", str(tmp_path / "page.pdf"), "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Filter" not in text
    assert "dark PNG" not in text
    heads = [sheet for sheet in text.split("\f") if re.search(r"experiment\s+year\s+coupling", sheet)]
    rows = [
        sheet for sheet in text.split("\f") if re.search(r"(?:official|phenomenology|astrophysical) .*arXiv", sheet)
    ]
    assert len(heads) >= len(rows) > 2  # the heads stand on every sheet that the table of history reaches
