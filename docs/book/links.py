"""Links within a built site: each must lead to a file that is there and, behind #, to a place in it."""

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """What a page links to, and the places in it that can be linked to."""

    def __init__(self):
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id" or (name == "name" and tag == "a"):
                self.places.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


@cache
def _read(page: Path) -> _Page:
    read = _Page()
    read.feed(page.read_text(encoding="utf-8"))
    return read


def dead_links(site: Path) -> list[str]:
    """A line for each link of a page below `site` that leads nowhere in it; links out of it are let be."""
    _read.cache_clear()
    wrong = []
    for page in sorted(site.rglob("*.html")):
        for link in dict.fromkeys(_read(page).links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            to = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not to.is_file():
                wrong.append(f"{page.relative_to(site)}: {link} is not there")
            elif parts.fragment and to.suffix == ".html" and unquote(parts.fragment) not in _read(to).places:
                wrong.append(f"{page.relative_to(site)}: no such place as {link}")
    return wrong
