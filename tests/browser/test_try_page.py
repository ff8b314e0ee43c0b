"""/try as a person sees it, in a real browser against the real service: draw a digit, read the right answer."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.webdriver import Browser, missing, packaged
from tests.serving_app import models
from tests.serving_app.running import ROOT, Service

if TYPE_CHECKING:
    from PIL import Image

# Where a browser is a package, its absence is a fault and no reason to skip.
pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()) and not packaged(), reason=missing())]

Points = list[tuple[float, float]]
DIGITS: dict[str, list[Points]] = {
    "0": [[(0.5, 0.15), (0.35, 0.25), (0.3, 0.5), (0.35, 0.75), (0.5, 0.85), (0.65, 0.75), (0.7, 0.5), (0.65, 0.25),
           (0.5, 0.15)]],
    "3": [[(0.3, 0.22), (0.45, 0.15), (0.6, 0.2), (0.63, 0.33), (0.5, 0.45), (0.45, 0.47), (0.6, 0.53), (0.67, 0.66),
           (0.58, 0.8), (0.42, 0.84), (0.28, 0.77)]],
    "7": [[(0.3, 0.18), (0.7, 0.18), (0.6, 0.4), (0.5, 0.62), (0.42, 0.85)], [(0.35, 0.5), (0.65, 0.5)]],
}  # fmt: skip
"""Strokes as parts of the paper's width and height."""


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The sample model, trained here, served as in production."""
    folder = tmp_path_factory.mktemp("digits") / "model"
    train = ROOT / "examples" / "digits" / "train.py"
    subprocess.run([sys.executable, str(train), "--out", str(folder)], check=True, stdout=subprocess.DEVNULL)
    service = Service(folder, {})
    yield service.wait_ready()
    service.kill()


@pytest.fixture
def browse() -> Iterator[Callable[..., Browser]]:
    """Open /try of a service in a browser of its own."""
    assert not missing(), missing()
    browsers: list[Browser] = []

    def open_page(service: Service, **options: object) -> Browser:
        browsers.append(Browser(**options))
        browsers[-1].open(f"http://127.0.0.1:{service.port}/try")
        return browsers[-1]

    yield open_page
    for browser in browsers:
        browser.close()


def answer(browser: Browser, label: str) -> bool:
    """Whether the answer to what is on the paper now has come, and is this one."""
    settled = browser.run("return document.getElementById('answer').getAttribute('aria-busy') === 'false'")
    return bool(settled) and browser.text("#label") == label


@pytest.mark.parametrize("digit", DIGITS)
def test_a_drawn_digit_is_read(digits: Service, browse: Callable[..., Browser], digit: str) -> None:
    browser = browse(digits)
    for points in DIGITS[digit]:
        browser.stroke("#pad", points)
    browser.wait(lambda: answer(browser, digit), f"the answer {digit}")
    scores = browser.run("return [...document.querySelectorAll('#scores li')].map((li) => li.innerText.split('\\n'))")
    percents = [float(score[1].rstrip(" %")) for score in scores]
    assert scores[0][0] == digit
    assert len(scores) == 10
    assert percents == sorted(percents, reverse=True)
    assert browser.text("#time").endswith("ms there and back")
    widths = browser.run("return [...document.querySelectorAll('.fill')].map((fill) => parseFloat(fill.style.width))")
    assert widths == pytest.approx(percents, abs=0.06)
    assert browser.complaints() == []


def test_a_clean_paper_has_no_answer(digits: Service, browse: Callable[..., Browser]) -> None:
    browser = browse(digits)
    browser.stroke("#pad", DIGITS["3"][0])
    browser.wait(lambda: answer(browser, "3"), "the answer 3")
    browser.click("#clear")
    browser.wait(lambda: browser.text("#nothing"), "the invitation to draw")
    assert browser.text("#result") == ""


def test_a_chosen_picture_is_read(digits: Service, browse: Callable[..., Browser], tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    browser = browse(digits)
    samples = load_digits()
    path = tmp_path / "four.png"
    path.write_bytes(grey_png(samples.images[list(samples.target).index(4)]))
    browser.run("document.getElementById('file').hidden = false")
    browser.keys("#file", str(path))
    browser.wait(lambda: answer(browser, "4"), "the answer 4")
    assert browser.complaints() == []


@pytest.mark.parametrize("number", [6, 8, 3, 1])
def test_a_phones_photo_is_read_as_it_is_shown(
    digits: Service, browse: Callable[..., Browser], tmp_path: Path, number: int
) -> None:
    scene = seven()
    path = tmp_path / "photo.jpg"
    path.write_bytes(phone_photo(scene, number))
    browser = browse(digits)
    browser.run("document.getElementById('file').hidden = false")
    browser.keys("#file", str(path))
    browser.wait(lambda: answer(browser, "7"), "the answer 7")
    if folder := os.environ.get("NIGHTFERRY_SCREENSHOTS"):
        browser.screenshot(Path(folder) / f"try-photo-{number}.png")
    shown = browser.run(PAD_LIGHTNESS, scene.width / scene.height)
    assert shown == pytest.approx(cells(scene), abs=25), "what the page shows is not the upright photo"
    assert shown != pytest.approx(cells(scene.transpose(2)), abs=25), "the scene looks the same when it is turned"
    assert browser.complaints() == []


def seven() -> Image.Image:
    """A photo, higher than wide, of a seven, which is no seven on its side or on its head."""
    from PIL import Image
    from sklearn.datasets import load_digits

    samples = load_digits()
    digit = samples.images[list(samples.target).index(7)]
    return Image.open(io.BytesIO(grey_png(digit))).resize((480, 640), Image.Resampling.BILINEAR)


def phone_photo(scene: Image.Image, number: int) -> bytes:
    """Return a scene as a phone stores it that was held on its side (6, 8) or upside down (3)."""
    from PIL import Image

    stored = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270, 3: Image.Transpose.ROTATE_180}
    exif = Image.Exif()
    exif[0x0112] = number
    buffer = io.BytesIO()
    (scene.transpose(stored[number]) if number in stored else scene).convert("RGB").save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def cells(scene: Image.Image) -> list[float]:
    """Return how light a scene is in 4 x 4 parts."""
    from PIL import Image

    return [float(value) for value in scene.resize((4, 4), Image.Resampling.BOX).tobytes()]


PAD_LIGHTNESS = """
const pad = document.getElementById('pad');
const [w, h] = [Math.round(pad.height * arguments[0]), pad.height];
const pixels = pad.getContext('2d').getImageData((pad.width - w) / 2, 0, w, h).data;
const sums = Array(16).fill(0);
for (let y = 0; y < h; y++)
  for (let x = 0; x < w; x++) sums[Math.floor(y * 4 / h) * 4 + Math.floor(x * 4 / w)] += pixels[(y * w + x) * 4];
return sums.map((sum) => sum / (w * h / 16));
"""
"""How light the paper is in 4 x 4 parts of where the photo lies; its width over its height is the argument."""


def grey_png(image: object) -> bytes:
    """Return a data set's digit as dark ink on white paper."""
    import numpy as np
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray((255 - np.asarray(image) * 255 / 16).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_drawing_with_the_keyboard(digits: Service, browse: Callable[..., Browser]) -> None:
    browser = browse(digits)
    up, down = "\ue013", "\ue015"
    browser.keys("#pad", up * 15 + " " + down * 30 + " ")
    browser.wait(lambda: answer(browser, "1"), "the answer 1")


@pytest.mark.parametrize(
    "options", [{"width": 390, "height": 844, "mobile": True}, {"width": 320, "height": 640, "mobile": True}]
)
def test_nothing_is_wider_than_a_phone(
    digits: Service, browse: Callable[..., Browser], options: dict[str, object]
) -> None:
    browser = browse(digits, **options)
    browser.stroke("#pad", DIGITS["0"][0])
    browser.wait(lambda: answer(browser, "0"), "the answer 0")
    assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth")


def test_numbers_are_edited_and_mistakes_are_shown_where_they_are(
    tmp_path: Path, browse: Callable[..., Browser]
) -> None:
    service = Service(models.write_sum(tmp_path / "sum"), {})
    try:
        browser = browse(service.wait_ready())
        browser.wait(lambda: browser.text("#numbers"), "the form")
        for box, text in (("0", "1.5, 2"), ("1", "10, 20")):
            selector = f'[data-input="{box}"][data-member="data"]'
            browser.run("document.querySelector(arguments[0]).value = ''", selector)
            browser.keys(selector, text)
        browser.click("#ask")
        browser.wait(lambda: browser.text("#outputs td"), "the sum")
        assert browser.run("return [...document.querySelectorAll('#outputs td')].map((td) => td.innerText)") == [
            "11.5",
            "22",
        ]
        browser.keys('[data-input="1"][data-member="data"]', ", 30")
        browser.click("#ask")
        browser.wait(lambda: browser.text("#trouble"), "the complaint")
        assert browser.text("#trouble").startswith("inputs[1].data")
        assert browser.run("return document.querySelector('[aria-invalid=true]').dataset.input") == "1"
    finally:
        service.kill()


@pytest.mark.parametrize("dark", [False, True])
def test_words_stand_out_from_what_is_behind_them(digits: Service, browse: Callable[..., Browser], dark: bool) -> None:
    browser = browse(digits, dark=dark, height=1010)
    browser.stroke("#pad", DIGITS["3"][0])
    browser.wait(lambda: answer(browser, "3"), "the answer 3")
    for selector in ("h1", "#version", "#time", "#percent", "#scores .value", "button", "summary"):
        assert browser.run(CONTRAST, selector) >= 4.5, selector
    if folder := os.environ.get("NIGHTFERRY_SCREENSHOTS"):
        browser.screenshot(Path(folder) / f"try-{'dark' if dark else 'light'}.png")


CONTRAST = """
const lightness = (colour) => {
  const linear = (n) => n <= 0.03928 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4;
  const [r, g, b] = colour.match(/[\\d.]+/g).map((n) => linear(n / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const element = document.querySelector(arguments[0]);
let behind = element;
while (/rgba\\(0, 0, 0, 0\\)/.test(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
const [a, b] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map(lightness);
return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
"""
"""The contrast of the words in an element, by WCAG 2's formula."""
