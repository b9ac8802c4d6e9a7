"""The built book in a real browser: no page is wider than the window, on desktop or phone.

Screenshots of the last run are in results/screenshots; look at them.
"""

from pathlib import Path

import pytest

import browsing
from conftest import SHOWN_LESSON

SCREENSHOTS = browsing.ROOT / "results" / "screenshots"
WIDTHS = (1280, 400)
# the table behind the first screen, and one picture of each kind of page
SHOWN = ("index", f"notebooks/{SHOWN_LESSON}", "docs/method", "api/aulib.model")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(browsing.chromium() is None, reason="no Chromium (Debian: apt install chromium)"),
]


@pytest.fixture(scope="module")
def page(book):
    pytest.importorskip("playwright", reason="playwright is not installed (extra dev)")
    assert book.status == 0, book.said[-2000:]
    with browsing.page_of_browser() as page:
        yield page


def too_wide(page, address: str) -> int:
    """Pixels by which the page at `address` is wider than the window."""
    page.goto(address)
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


@pytest.mark.parametrize("width", WIDTHS)
class TestPages:
    @pytest.mark.parametrize("name", SHOWN)
    def test_a_page_is_no_wider_than_the_window(self, name, width, page, book):
        page.set_viewport_size({"width": width, "height": 900})
        assert too_wide(page, (book.html / f"{name}.html").as_uri()) <= 0
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"book_{Path(name).name}_{width}.png", full_page=True)

    def test_no_other_page_is_wider_than_the_window(self, width, page, book):
        page.set_viewport_size({"width": width, "height": 900})
        wide = {}
        for file in sorted(book.html.rglob("*.html")):
            if "_modules" not in file.parts and (pixels := too_wide(page, file.as_uri())) > 0:
                wide[str(file.relative_to(book.html))] = pixels
        assert not wide


def test_a_lesson_shows_its_figures_and_tables(page, book):
    page.goto((book.html / "notebooks" / f"{SHOWN_LESSON}.html").as_uri())
    assert page.locator(".cell_output img").count() >= 2 and page.locator(".cell_output table").count() >= 2
    broken = "images => images.filter(one => one.complete && !one.naturalWidth).map(one => one.src)"
    assert page.eval_on_selector_all("img", broken) == []
    assert not page.get_by_text("Traceback (most recent call last)").count()


def test_a_lesson_shows_neither_progress_nor_local_paths(page, book):
    page.goto((book.html / "notebooks" / f"{SHOWN_LESSON}.html").as_uri())
    text = page.locator("article").inner_text()
    assert "seed: int = 0" in text and str(book.html.parent) not in text and "cropping:" not in text


def test_a_term_of_the_objective_links_to_its_loss(page, book):
    page.goto((book.html / "docs" / "method.html").as_uri())
    page.get_by_role("link", name="losses.landmark_loss").first.click()
    assert page.url.endswith("api/aulib.losses.html#aulib.losses.landmark_loss")
    assert "landmark_loss" in page.locator("dt:target").inner_text()
