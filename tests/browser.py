"""Pages in a real browser, each in a frame of its own, in one start of it."""

import html
import json
import re
import shutil
import subprocess

import pytest

OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom")


def shown(pages, probe, folder):
    """What the script `probe` wrote as JSON into `#results`, and of `console` what was said there.

    Of each page its name, which is the id of its frame, its text, and its width in pixels.
    """
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("chromium is not installed")
    frames = "".join(
        f'<iframe id="{name}" width="{width}" height="900" srcdoc="{html.escape(text)}"></iframe>'
        for name, (text, width) in pages.items()
    )
    page = folder / "pages.html"
    page.write_text(f'<!doctype html><body><pre id="results"></pre>{frames}<script>{probe}</script></body>')
    command = [browser, *OPTIONS, f"--user-data-dir={folder / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    results = re.search(r'<pre id="results">(.*?)</pre>', done.stdout, re.DOTALL)
    assert results, f"the browser gave no page: {done.stderr[-2000:]}"
    return json.loads(html.unescape(results[1])) | {"console": re.findall("^.*CONSOLE.*$", done.stderr, re.MULTILINE)}
