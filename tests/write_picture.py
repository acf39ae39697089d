"""Draws docs/compare.png, the picture of the first page: the report of `hello-train --compare`.

    python tests/write_picture.py

It needs Chromium (Debian: apt-get install chromium) and Pillow, which matplotlib brings.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

PICTURE = Path(__file__).parents[1] / "docs" / "compare.png"
SHOWN = ("Loss", "Output by epoch")
"""The headings of the two sections that the picture shows."""
STYLE = """<style>
    main { padding: 1.5rem; } h1, .lead, section { display: none; }
    section.shown { display: block; margin: 0 0 1.25rem; padding: 0; border: 0; }
</style>"""
SIZE, MARGIN, COLOURS = (1140, 1400), 16, 128


def keep_sections(report: str) -> str:
    """Return the page of a report with the shown sections alone."""
    for heading in SHOWN:
        start = f"<section><h2>{heading}</h2>"
        if start not in report:
            raise SystemExit(f"Error: the report has no section {heading!r}; mend SHOWN")
        report = report.replace(start, start.replace("<section>", "<section class=shown>"))
    return report.replace("</head>", f"{STYLE}</head>")


def crop(image: Image.Image) -> Image.Image:
    """Return an image without its empty edges, but for a margin."""
    background = Image.new("RGB", image.size, image.getpixel((0, 0)))
    box = ImageChops.difference(image, background).getbbox()
    if not box:
        raise SystemExit("Error: the page is empty")
    left, top, right, bottom = box
    return image.crop((left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN))


def main() -> None:
    """Train, take the picture, and write it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if not browser:
        raise SystemExit("Error: chromium is missing; on Debian run: apt-get install chromium")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train = Path(sys.executable).with_name("hello-train")
        subprocess.run([train, "--compare", "--output", folder], check=True, capture_output=True)
        page, shot = folder / "page.html", folder / "page.png"
        page.write_text(keep_sections((folder / "report.html").read_text("utf-8")), "utf-8")
        # Chromium refuses its sandbox to root, and the page is our own.
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--screenshot={shot}"]
        size = "--window-size={},{}".format(*SIZE)
        subprocess.run([browser, *options, size, page.as_uri()], check=True, capture_output=True)
        with Image.open(shot) as image:
            picture = crop(image.convert("RGB")).quantize(COLOURS)
        picture.save(PICTURE, optimize=True)
    print(f"{PICTURE}: {picture.width} x {picture.height}, {PICTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
