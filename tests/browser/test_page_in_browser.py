"""The page of tools/serve.py in Chromium, as a visitor uses it: `make test-browser`."""

import json
import os
import re
import shutil
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import cv2
import pytest

pytest.importorskip("gradio", reason="the page needs Gradio: pip install 'gradio>=6.31,<7'")
pytest.importorskip("playwright", reason="no Playwright: pip install playwright")

from playwright.sync_api import Error, sync_playwright
from runs import finder_after, free_port

from maxvit_mm.inference.by_task import predictor_of
from maxvit_mm.inference.opening import open_checkpoint
from maxvit_mm.inference.page.pages import finder_of
from maxvit_mm.inference.page.serving import images_in, serving
from maxvit_mm.inference.page.uploads import MEGABYTE, Limits

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
MILLISECONDS = 60_000  # that a busy machine may take
TRANSFER = """text => {
    const bytes = Uint8Array.from(text, letter => letter.charCodeAt(0))
    const transfer = new DataTransfer()
    transfer.items.add(new File([bytes], 'dropped.png', {type: 'image/png'}))
    return transfer
}"""
COPY = """async text => {
    const bytes = Uint8Array.from(text, letter => letter.charCodeAt(0))
    const image = new Blob([bytes], {type: 'image/png'})
    await navigator.clipboard.write([new ClipboardItem({'image/png': image})])
}"""
# Inputs without a label, and pictures that are shown without words.
NAMELESS = """() => [
    ...[...document.querySelectorAll('input:not([type=file]), textarea, select')]
        .filter(each => each.checkVisibility() && !each.labels.length && !each.ariaLabel),
    ...[...document.querySelectorAll('button')]
        .filter(each => each.checkVisibility() && !each.innerText.trim() && !each.ariaLabel && !each.title
            && !each.querySelector('img[alt]:not([alt=""])')),
    ...[...document.querySelectorAll('[data-testid=image] img, .image-frame img')]
        .filter(each => each.checkVisibility() && !each.alt),
].map(each => each.outerHTML.slice(0, 300))"""
# The ratio of the luminance of what the page says to that of what is behind it.
CONTRAST = """() => {
    const light = colour => {
        const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
            .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    }
    const line = document.querySelector('p[role=status]')
    const ground = each => getComputedStyle(each).backgroundColor
    let behind = line
    while (behind.parentElement && /, 0\\)$/.test(ground(behind))) behind = behind.parentElement
    const both = [light(getComputedStyle(line).color), light(ground(behind))]
    return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05)
}"""


@pytest.fixture(scope="module")
def finder(trained):
    return finder_after(trained, Limits(2 * MEGABYTE, 10**6))


@pytest.fixture(scope="module")
def address(finder, shapes):
    examples = images_in(shapes / "val2017")
    with serving(finder, "127.0.0.1", free_port(), 0.0, waiting=5, examples=examples) as address:
        yield address


@pytest.fixture
def page_of(request, browser, shapes):
    """The page of a checkpoint, by the name of its fixture."""
    with ExitStack() as stack:

        def opened(checkpoint):
            predictor = predictor_of(open_checkpoint(request.getfixturevalue(checkpoint)), "cpu")
            finder, port = finder_of(predictor, Limits(2 * MEGABYTE, 10**6)), free_port()
            address = stack.enter_context(serving(finder, "127.0.0.1", port, 0.0, waiting=5))
            return stack.enter_context(contextmanager(pages)(browser, address)), predictor.classes.names

        yield opened


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as started:
        try:
            yield started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *CAMERA])
        except Error as error:
            pytest.skip(f"no Chromium: apt-get install chromium, or playwright install chromium ({error})")


@pytest.fixture(params=["light", "dark"])
def colours(request):
    return request.param


@pytest.fixture
def page(browser, address):
    yield from pages(browser, address)


def pages(browser, address, **options):
    """The page, which must neither fail nor ask another machine for anything."""
    context = browser.new_context(permissions=["camera", "clipboard-read", "clipboard-write"], **options)
    context.set_default_timeout(MILLISECONDS)
    page = context.new_page()
    asked, failed = set(), []
    page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    page.on("pageerror", lambda error: failed.append(error))
    page.goto(address)
    page.locator("p[role=status]").wait_for()
    yield page
    context.close()
    assert asked - {""} == {urlsplit(address).netloc}  # none at all for what is within the page
    assert failed == []


@pytest.fixture
def photo(shapes):
    return sorted((shapes / "val2017").glob("*.jpg"))[0]


def said(page, text):
    """Wait for the page to say it."""
    line = page.locator("p[role=status]").filter(has_text=text)
    line.wait_for()
    return line.inner_text()


def send(page, file):
    page.locator("input[type=file]").first.set_input_files(file)


def rows(page):
    return [row.inner_text().split() for row in page.locator("[role=row]").all()[1:]]


def has_rows(page, number):
    page.wait_for_function(f"document.querySelectorAll('[role=row]').length == {number} + 1")


def saved(page, button):
    with page.expect_download() as download:
        page.get_by_text(button).click()
    return download.value.path(), download.value.suggested_filename


def test_send_slide_switch_and_download(page, finder, photo, monkeypatch):
    calls, run = [], finder.predictor.model.test_step
    monkeypatch.setattr(finder.predictor.model, "test_step", lambda data: (calls.append(1), run(data))[1])
    send(page, photo)
    assert photo.name in said(page, "6 objects (")
    has_rows(page, 6)
    found = rows(page)
    page.get_by_label("number input for Lowest score").fill(found[2][2])
    page.keyboard.press("Tab")
    said(page, re.compile("^[1-5] objects? "))
    slider = page.get_by_role("slider")
    slider.focus()
    slider.press("Home")
    said(page, "6 objects (")
    names = {row[1] for row in found}
    for name in names:
        page.get_by_label(name, exact=True).uncheck()
    said(page, "0 objects in ")
    has_rows(page, 0)
    page.get_by_label(found[0][1], exact=True).check()
    said(page, re.compile("^[1-6] objects? "))
    file, name = saved(page, "Download the objects (JSON)")
    assert name == f"{photo.stem}_found.json"
    assert {each["score"] > 0 for each in json.loads(file.read_text())["annotations"]} == {True}
    file, name = saved(page, "Download the picture")
    assert name == f"{photo.stem}_found.png"
    assert cv2.imread(str(file)) is not None
    assert len(calls) == 1


def test_where_it_looked_from_a_box_and_from_a_click(page, photo):
    send(page, photo)
    said(page, "6 objects (")
    page.get_by_role("tab", name="Where it looked").click()
    page.get_by_role("button", name="Show where it looked").click()
    picture = page.get_by_alt_text("Maps of where it looked")
    picture.wait_for()
    first = picture.get_attribute("src")
    page.get_by_role("tabpanel").get_by_alt_text("6 objects").last.click(position={"x": 40, "y": 50})
    place = page.get_by_label("or from a place")
    page.wait_for_function("place => /^\\d+,\\d+$/.test(place.value)", arg=place.element_handle())
    page.get_by_role("button", name="Show where it looked").click()
    page.wait_for_function("([image, before]) => image.src != before", arg=[picture.element_handle(), first])


def test_an_image_is_dropped_pasted_taken_or_chosen(page, photo):
    drop = page.get_by_label("Drop an image file here to upload")
    image = cv2.imencode(".png", cv2.imread(str(photo)))[1].tobytes().decode("latin-1")
    transfer = page.evaluate_handle(TRANSFER, image)
    for event in ("dragenter", "dragover", "drop"):
        drop.dispatch_event(event, {"dataTransfer": transfer})
    said(page, "in dropped.png")
    take_away(page)
    page.evaluate(COPY, image)
    page.get_by_label("Paste from clipboard").click()
    said(page, "in clipboard.png")
    take_away(page)
    page.get_by_label("Thumbnail 2 of 3").click()
    said(page, "6 objects (")
    take_away(page)
    page.get_by_label("Capture from camera").click()
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('video')?.currentTime > 1")
    page.get_by_label("capture photo").click()
    page.get_by_label("Remove Image").wait_for()
    said(page, re.compile(r"^image\.png is \d+x\d+ pixels, .* and this page takes 1 million"))


def take_away(page):
    page.get_by_label("Remove Image").click()
    said(page, "Drop an image")


def test_what_is_no_image_and_what_is_too_large_get_a_sentence(page, tmp_path):
    text, large = tmp_path / "text.jpg", tmp_path / "large.jpg"
    text.write_text("no image")
    with large.open("wb") as file:
        file.truncate(300 * MEGABYTE)
    send(page, text)
    said(page, "text.jpg is a text file and no image")
    take_away(page)
    send(page, large)
    page.get_by_text(re.compile('exceed the maximum allowed size of .*"large.jpg"')).first.wait_for()


def test_everything_has_a_name_for_screen_readers_and_can_be_read(browser, address, photo, colours):
    for page in pages(browser, address, color_scheme=colours):
        send(page, photo)
        said(page, "6 objects (")
        page.get_by_alt_text("6 objects").first.wait_for()
        assert page.evaluate(NAMELESS) == []
        assert page.evaluate(CONTRAST) >= 4.5  # as WCAG 2 asks of text


def test_a_segmenters_page_shows_maps_switches_classes_and_saves_label_numbers(page_of, photo):
    page, names = page_of("segmenter")
    send(page, photo)
    said(page, re.compile(rf"^\d class(es)? in .*{photo.name}"))
    page.get_by_alt_text(re.compile(r"^\d class(es)? in ")).first.wait_for()
    found = [row[0] for row in rows(page)]
    assert found
    assert set(found) <= set(names)
    file, name = saved(page, "Download the label map (PNG)")
    labels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    assert name == f"{photo.stem}_label_map.png"
    assert labels.shape[:2] == cv2.imread(str(photo)).shape[:2]
    for name in names:
        page.get_by_label(name, exact=True).uncheck()
    said(page, "0 classes in ")
    has_rows(page, 0)
    assert page.evaluate(NAMELESS) == []


def test_a_classifiers_page_shows_the_best_classes_and_what_speaks_for_one(page_of, photo):
    page, names = page_of("classifier")
    send(page, photo)
    best = said(page, re.compile(r"^\w+ \(\d+\.\d %\) in ")).split()[0]
    assert best in names
    for name in names:
        page.get_by_text(name, exact=True).first.wait_for()
    file, name = saved(page, "Download the picture")
    assert name == f"{photo.stem}_classes.png"
    assert cv2.imread(str(file)) is not None
    page.get_by_role("tab", name="Where it looked").click()
    page.get_by_role("button", name="Show where it looked").click()
    page.get_by_alt_text(re.compile("^Maps of where ")).wait_for()
    assert page.evaluate(NAMELESS) == []
