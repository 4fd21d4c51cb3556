"""The pages of the manual, taken apart: commands, fenced texts, headings as anchors, links.

A command of a page is run by a test, or `<!-- not run: why -->` stands directly before its block; a page whose commands
are all of that kind says so once: `<!-- commands of this page are not run by tests: why -->`.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
ELSEWHERE = {"docs/your_block.md": "test_own_block.py", "docs/your_images.md": "test_manual_pipeline.py"}
"""Pages whose programs and commands have a test of their own, which follows them from start to end."""

_PAGE_MARK = re.compile(r"<!-- commands of this page are not run by tests: (.+?) -->")
_MARK = re.compile(r"<!-- not run: ((?:(?!-->).)+) -->\s*$", re.DOTALL)
_BLOCK = re.compile(r"^```(sh|console)\n(.*?)^```$|^((?:    [^\n]*\n)+)", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"""("[^"]*"|'[^']*')|(?:^|\s)#.*""")
_STARTS = ("python ", "make ", "torchrun ", "OMP_NUM_THREADS=")


@dataclass(frozen=True)
class Command:
    page: str
    text: str
    """As it is typed: in one line, without the comment behind it."""
    not_run: str
    """The reason; empty where a test runs it."""

    @property
    def words(self):
        return shlex.split(self.text)

    def __str__(self):
        return f"{Path(self.page).stem}: {self.text}"


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def fenced(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


def prose(page):
    """Without fenced texts."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def commands(page):
    return commands_in(text_of(page), page)


def commands_in(text, page):
    """In the order of the page."""
    whole, found = _PAGE_MARK.search(text), []
    for block in _BLOCK.finditer(text):
        mark = _MARK.search(text[: block.start()])
        reason = mark[1] if mark else whole[1] if whole else ""
        lines = (block[2] or block[3]).replace("\\\n", " ").splitlines()
        if block[1] == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        typed = (" ".join(_COMMENT.sub(lambda found: found[1] or "", line).split()) for line in lines)
        found += [Command(page, line, reason) for line in typed if line and (block[1] or line.startswith(_STARTS))]
    return found


def spoken_commands(page):
    """Those within sentences, which may be shortened."""
    spoken = re.findall(r"`((?:python|make|torchrun) [^`]+)`", prose(page))
    return [Command(page, " ".join(text.split()), "") for text in spoken if "…" not in text and "|" not in text]


def links(page):
    """Targets of links and pictures, those in code excepted."""
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(page)))


def anchors(page):
    """Of the headings, as GitHub makes them."""
    found = []
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        earlier = sum(one == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", one) is not None for one in found)
        found.append(f"{slug}-{earlier}" if earlier else slug)
    return set(found)
