"""Apple's command-line programs, run without a shell: what they said, and the JSON they wrote."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from .explaining import PhoneError, explained

MINUTE_S = 60


class Answer(NamedTuple):
    code: int
    text: str
    """All that was said, and the JSON in case of an error: devicectl tells more there."""
    result: dict[str, Any]


def run(*command: str, timeout_s: float = 5 * MINUTE_S) -> Answer:
    with tempfile.TemporaryFile() as output:
        try:
            code = subprocess.run(  # noqa: S603  no shell, and the program is one of two
                [_program(command[0]), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
            output.write(f"\n{command[0]} did not end within {timeout_s / MINUTE_S:.0f} minutes".encode())
        output.seek(0)
        return Answer(code, output.read().decode(errors="replace"), {})


def devicectl(*arguments: str, timeout_s: float = 5 * MINUTE_S) -> Answer:
    """A command for a phone; its options come before `arguments` end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.json"
        answer = run("xcrun", "devicectl", *arguments, "--json-output", str(path), timeout_s=timeout_s)
        written = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    try:
        parsed = json.loads(written)
    except (ValueError, RecursionError):
        parsed = {}
    result = parsed.get("result") if isinstance(parsed, dict) else None
    text = answer.text if answer.code == 0 else f"{answer.text}\n{written}"
    return Answer(answer.code, text, result if isinstance(result, dict) else {})


def start(log: Path, *command: str) -> subprocess.Popen[bytes]:
    """Runs beside us; what it says goes to a file."""
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603
            [_program(command[0]), *command[1:]], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )


def must(answer: Answer, doing: str) -> Answer:
    """The answer, or a PhoneError that says what to do."""
    if answer.code != 0:
        raise explained(answer.text, doing)
    return answer


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise PhoneError(
            f"{name} is not on this computer: a phone is measured from a Mac with Xcode 16 or newer. "
            "`pack` makes one file of a job that can be carried there"
        )
    return found
