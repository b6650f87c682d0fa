"""Texts of a dbt project as parts of a page in Markdown: whoever writes them gets no HTML and no program into it.

Airflow shows the documentation of DAGs and tasks as Markdown. Its own page lets no HTML through, others that show the
same text may; so what is written here is harmless by itself.
"""

from __future__ import annotations

import re
from urllib.parse import quote

_ALLOWED = r"(?:https?://|mailto:)"
# What begins HTML or an address in angle brackets; `a < b` does not.
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
# The end of a link's text, or of the name of a reference, if no allowed address follows as it stands: one with escapes
# or entities in its scheme is none either. Some programs take a blank before the bracket.
_LINK = re.compile(rf"\](?=\s{{0,2}}\((?!\s*{_ALLOWED})|:(?!\s*{_ALLOWED}))", re.IGNORECASE)
_SIGNS = re.compile(r"[\\`*\[\]<>|&]")
_ADDRESS = re.compile(_ALLOWED, re.IGNORECASE)


def prose(text: str) -> str:
    """A description: its Markdown counts, its HTML is shown as it is written, its links lead to pages or mails only.

    Example:
        >>> prose("**All** <b>orders</b>, [here](javascript:alert())")
        '**All** &lt;b>orders&lt;/b>, [here&#93;(javascript:alert())'
    """
    return _TAG.sub("&lt;", _LINK.sub("&#93;", text.strip()))


def plain(text: str) -> str:
    """A name: shown as it is written, in one line."""
    return _SIGNS.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))


def code(text: str) -> str:
    """A name of a file, a relation or a command, as code in a line; it may have backticks."""
    line = " ".join(text.splitlines())
    if "`" not in line:
        return f"`{line}`"
    marks = _longer_than_in(line, 1)
    return f"{marks} {line} {marks}"


def block(text: str) -> str:
    """Lines as they are, such as an error."""
    marks = _longer_than_in(text, 3)
    return f"{marks}\n{text}\n{marks}"


def link(name: str, url: str) -> str:
    """A link to a page or a mail; the name alone if the address is another one.

    Example:
        >>> link("board", "https://bi.example.com/a b")
        '[board](https://bi.example.com/a%20b)'
        >>> link("board", "javascript:alert()")
        'board'
    """
    address = url.strip()
    if not _ADDRESS.match(address):
        return plain(name)
    return f"[{plain(name)}]({quote(address, safe=_IN_ADDRESS)})"


_IN_ADDRESS = ":/?#@!$&'*+,;=%~[]"  # of RFC 3986, but for round brackets: they end a link


def _longer_than_in(text: str, least: int) -> str:
    longest = max((len(found) for found in re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)
