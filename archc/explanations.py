"""The page of each diagnostic's code: what it means, why the language has the rule, an example.

The pages are sections `## E0204: ...` of the files in docs/errors, which the package carries along.
"""

import re
from dataclasses import dataclass
from functools import cache

from archc.resources import error_pages

_HEADING = re.compile(r"^## ([EW]\d{4}): (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """What is to be said of a code. `text` is Markdown, without the heading."""

    code: str
    title: str
    text: str


@cache
def pages() -> dict[str, Page]:
    """All pages by their codes, in the order of the codes."""
    found = [
        page for path in error_pages().glob("*.md") for page in _split(path.read_text("utf-8"))
    ]
    return {page.code: page for page in sorted(found, key=lambda page: page.code)}


def _split(text: str) -> list[Page]:
    _, *parts = _HEADING.split(text)
    sections = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return [Page(code, title, body.strip() + "\n") for code, title, body in sections]
