"""Dead links within a built site: missing files, and missing ids after #."""

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """Links and ids of a page."""

    def __init__(self):
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id" or (name == "name" and tag == "a"):
                self.ids.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


@cache
def _read(page: Path) -> _Page:
    read = _Page()
    read.feed(page.read_text(encoding="utf-8"))
    return read


def dead_links(site: Path) -> list[str]:
    """One line per dead link of the pages below `site`; links to other sites are skipped."""
    _read.cache_clear()
    wrong = []
    for page in sorted(site.rglob("*.html")):
        for link in dict.fromkeys(_read(page).links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            to = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not to.is_file():
                wrong.append(f"{page.relative_to(site)}: {link} does not exist")
            elif parts.fragment and to.suffix == ".html" and unquote(parts.fragment) not in _read(to).ids:
                wrong.append(f"{page.relative_to(site)}: {link} has no such id")
    return wrong
