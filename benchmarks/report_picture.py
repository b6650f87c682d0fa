"""Draw the pictures of a report for the docs: `python benchmarks/report_picture.py REPORT.html`.

REPORT.html is the report of any run, such as `goldsmith report --path` names it. The one in the docs is that of the
sample with a misspelt column in `int_transactions__cleaned`, after made-up runs. Needs Playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZES = {"report.png": (1280, 800), "report_phone.png": (390, 844)}


def draw(report: Path, folder: Path) -> None:
    """Write a picture of the first screen of a report for each size.

    Args:
        report: The page.
        folder: Where the pictures go.
    """
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (wide, high) in SIZES.items():
            page = browser.new_page(viewport={"width": wide, "height": high}, color_scheme="light")
            page.goto(report.resolve().as_uri())
            page.screenshot(path=str(folder / name))
            page.close()
        browser.close()


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, help="the report.html of a run")
    parser.add_argument("--folder", type=Path, default=IMAGES, help="where the pictures go")
    options = parser.parse_args()
    draw(options.report, options.folder)


if __name__ == "__main__":
    main()
