"""Render pages from templates: everything is text, style and script stand in the page, nothing else is let in."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from importlib.resources import files

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_SHARED = "goldsmith.pages"
_COLOURS = {"success": "good", "pass": "good", "warn": "warn", "skipped": "idle", "": "idle"}


class Pages:
    """The pages of a package, made of the templates in its folder `templates`.

    Args:
        package: The package.
        style: A style sheet of its own among them, beside the one of all pages.
        script: A script of its own.
    """

    def __init__(self, package: str, *, style: str = "", script: str = "") -> None:
        self._style = _file(_SHARED, "page.css") + (_file(package, style) if style else "")
        self._script = _file(_SHARED, "theme.js") + (_file(package, script) if script else "")
        self._environment = Environment(
            loader=ChoiceLoader([PackageLoader(package), PackageLoader(_SHARED)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(moment=moment, duration=duration, colour=colour)
        self.policy = "; ".join(
            (
                "default-src 'none'",
                f"style-src {_source(self._style)}",
                f"script-src {_source(self._script)}",
                "base-uri 'none'",
                "form-action 'none'",
            )
        )
        """Content-Security-Policy of the pages: their own style and script, and nothing else."""

    def render(self, template: str, **values: object) -> str:
        """The HTML of a template."""
        inlined = {"style": Markup(self._style), "script": Markup(self._script)}  # noqa: S704 - files of ours
        return self._environment.get_template(template).render(**inlined, **values)


def moment(text: str) -> str:
    """A time that a person reads."""
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return text


def duration(seconds: float) -> str:
    """A length of time that a person reads."""
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def colour(status: str) -> str:
    """The style of a dbt status."""
    return _COLOURS.get(status, "bad")


def _file(package: str, name: str) -> str:
    return files(package).joinpath("templates", name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """What Content-Security-Policy calls a text that may stand in the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
