"""mistakes.txt as values, a user's keyboard, and docs/mistakes.md, which `python tests/mistakes.py` writes."""

import importlib
import re
import runpy
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
MANUAL = ROOT / "docs" / "mistakes.md"
INTRODUCTION = """# What is said when something is wrong

Every command ends with exit status 2 and one sentence after `error:`, which names the value and what would be right;
with 130 where Ctrl-C stopped it. A test types each of these mistakes and compares what is said. … stands for a path, a
number, or more of the kind.
"""
UNUSUAL = """
## Processes

Ctrl-C ends a command at any moment without a traceback, and the same command goes on where it was.

A worker of Ray that is killed is replaced, and what it did is done again. A network whose worker dies again and again
ends the search: `the evaluation of a network failed 3 times: The actor is dead because its worker process has died.`
Mostly the memory was full: fewer `workers.number` need less, and the same command goes on.

`make setup` with an old Python says `Python 3.11 or newer is needed; python3 is Python 3.10.12. Try: make
PYTHON=python3.12 setup`.

A traceback is a mistake of ours: please report it.
"""


@dataclass(frozen=True)
class Mistake:
    section: str
    when: str
    typed: str
    said: str
    happened: str
    do: str

    def is_said(self, line):
        return re.fullmatch(re.escape(self.said).replace("…", ".*"), line) is not None


def read_mistakes():
    text = (Path(__file__).parent / "mistakes.txt").read_text()
    pattern = r"^\$ (?:\[(.*?)\] )?(.+)\n! (.+)\n\? (.+)\n> (.+)$"
    found = []
    for part in text.split("\n# ")[1:]:
        section, _, rest = part.partition("\n")
        rows = re.findall(pattern, rest, re.MULTILINE)
        assert len(rows) == rest.count("\n$ "), f"{section}: a mistake is not written as the others are"
        found += [Mistake(section, *row) for row in rows]
    return found


def manual(mistakes):
    lines = [INTRODUCTION]
    for section in dict.fromkeys(one.section for one in mistakes):
        lines += [f"## {section}\n", "| what you see | what happened | what to do |", "|---|---|---|"]
        for one in (one for one in mistakes if one.section == section):
            said = one.said.replace("|", "\\|")
            lines.append(
                f"| `` {said} `` | {one.happened} | {one.do} |"
                if "`" in said
                else f"| `{said}` | {one.happened} | {one.do} |"
            )
        lines.append("")
    return "\n".join(lines) + UNUSUAL


def typed(command, monkeypatch):
    """The exit status of a command line, run in this process."""
    words = shlex.split(command)
    while "=" in words[0]:
        monkeypatch.setenv(*words.pop(0).split("=", 1))
    assert words.pop(0) == "python"
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "RAY_ADDRESS"):
        if f"{name}=" not in command:
            monkeypatch.delenv(name, raising=False)
    if words[0] == "-m":
        main = importlib.import_module(f"{words[1]}.__main__").main
        words = words[2:]
    else:
        main = runpy.run_path(str(ROOT / words.pop(0)), run_name="a script beside packages")["main"]
    try:
        return main(words)
    except SystemExit as end:  # argparse's
        return end.code


def said(error):
    """The one line after `error:`; nothing but warnings and the usage may stand before it."""
    assert "Traceback" not in error, error
    lines = [line for line in error.splitlines() if "error: " in line or line.startswith("error (process")]
    assert len(lines) == 1, error
    assert error.splitlines()[-1] == lines[0], error
    return lines[0].partition(": ")[2] if lines[0].startswith("error") else lines[0].partition("error: ")[2]


if __name__ == "__main__":
    MANUAL.write_text(manual(read_mistakes()))
