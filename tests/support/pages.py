"""The commands of a page → run as they stand, in one folder, from top to bottom.

A command of relay alone is run in this process, which starts in no time; what needs a shell is
run by one. `>` into a file is done here.
What differs from the reader's machine is replaced word by word, as the address of the broker.
A server (`relay run`, `relay sandbox`) is what the page says to start in a terminal of its own.
"""

import contextlib
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from relay import cli
from tests.support.kafka_admin import wait_for

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(?P<kind>\w*)[^\n]*\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
# A command goes on in lines that are indented; where output may be, too, behind a backslash.
_SHOWN = {"console": r"^\$ (.*\n(?: {4}.*\n)*)", "": r"^\$ ((?:.*\\\n)*.*\n)"}
_PROGRAMS = r"(?:relay|make|pip|curl|jq|\S*python3?|docker|helm|kubectl|kafka-[a-z-]+\.sh)"
_SERVERS = ("relay run", "relay sandbox")
_ALONE = re.compile(r"relay (?P<arguments>[^<>|&;$]+?)(?: > (?P<file>\S+))?")


@dataclass(frozen=True)
class Block:
    """A block of commands, and the line of the page that it begins on."""

    line: int
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page that hold commands: all of `sh`; of the others what is behind a `$`."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        if found["kind"] == "sh":
            yield Block(line, found["text"])
        elif found["kind"] in _SHOWN:
            shown = re.findall(_SHOWN[found["kind"]], found["text"], re.MULTILINE)
            if shown:
                yield Block(line, "".join(shown))


def indented(page: Path) -> list[str]:
    """Commands that are a paragraph of their own, indented by four."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return re.findall(rf"^    ({_PROGRAMS} .+)$", text, re.MULTILINE)


def inline(page: Path) -> list[str]:
    """Commands within the text: each a program and what it is called with."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    found = re.findall(rf"`((?:[A-Z_]+=\S+ )?{_PROGRAMS} [^`]+)`", text)
    return [" ".join(command.split()) for command in found]


def yaml_blocks(page: Path) -> list[str]:
    """What the page shows of settings."""
    text = page.read_text(encoding="utf-8")
    return [found["text"] for found in _BLOCK.finditer(text) if found["kind"] == "yaml"]


def commands(text: str) -> Iterator[str]:
    """The commands of a block, each without its comment; one goes on while a quote is open."""
    command = ""
    for line in text.replace("\\\n", " ").splitlines():
        command += ("\n" if command else "") + re.sub(r"(^|\s)#\s.*", "", line)
        if _whole(command):
            if command.strip():
                yield command.strip()
            command = ""


def _whole(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


class Shell:
    """The folder that commands are run in, and their environment."""

    def __init__(
        self,
        home: Path,
        patch: pytest.MonkeyPatch,
        replaced: Mapping[str, str],
        environ: Mapping[str, str],
    ) -> None:
        self.home = home
        self._replaced = replaced
        self._stack = ExitStack()
        patch.chdir(home)
        for name, value in {**environ, "NO_COLOR": "1"}.items():
            patch.setenv(name, value)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, block: Block) -> str:
        """Run a block; what it said. Each command must succeed."""
        said = ""
        for command in commands(self.here(block.text)):
            if command.startswith(_SERVERS):
                self._start(command)
            elif found := _ALONE.fullmatch(command):
                said += self._relay(shlex.split(found["arguments"]), found["file"])
            else:
                said += self._shell(command)
        return said

    def _relay(self, arguments: Sequence[str], file: str | None) -> str:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                cli.main(arguments)
            except SystemExit as ended:
                status = ended.code
        assert status == 0, (arguments, out.getvalue(), err.getvalue())
        if file is not None:
            (self.home / file).write_text(out.getvalue(), encoding="utf-8")
        return out.getvalue() + err.getvalue()

    def _shell(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def here(self, text: str) -> str:
        """The text for this machine."""
        for words, ours in self._replaced.items():
            text = text.replace(words, ours)
        return text

    def _start(self, command: str) -> None:
        log = self.home / f".{len(list(self.home.iterdir()))}.log"
        with log.open("wb") as out:
            server = subprocess.Popen(
                [sys.executable, "-m", *shlex.split(command)],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        self._stack.callback(server.wait, 60)
        self._stack.callback(server.terminate)

        def ready() -> bool:
            text = log.read_text()
            assert server.poll() is None, text
            return "http://" in text

        wait_for(ready, 60, f"{command} says no address")
