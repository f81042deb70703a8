"""The API token, from a setting or a file, to the `Authorization` header of every request.

A file is read again when it changes, so that a token can be renewed without a restart. Whether
it changed is asked at most once a second, from the sending path itself: there is no thread and
no task that could die unnoticed. While the file cannot be read, the last good token stays in use.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from relay.errors import SettingsError

CHECK_EVERY_S = 1.0  # a look is one system call; requests are thousands a second
FILE_BYTES_MAX = 64 * 1024  # no token is longer: another file was named by mistake


Renewed = Callable[[], None]
"""Is told that there is another token."""


class Authorization(Protocol):
    """Gives the value of the `Authorization` header. Its `repr` never shows it."""

    def header(self, now: float) -> str:
        """The value to send; `now` is the event loop's time."""
        ...

    @property
    def problem(self) -> str | None:
        """Why the value may be out of date, or None."""
        ...


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A token that stays the same for the life of the process."""

    value: str = field(repr=False)

    def header(self, now: float) -> str:  # noqa: ARG002 - a static token does not age
        """The value to send."""
        return self.value

    @property
    def problem(self) -> str | None:
        """Never any."""
        return None


def static_token(
    token: str, *, prefix: str = "", source: str = "tracking.api_token"
) -> StaticToken:
    """A token that came from a setting. `source` names the setting in an error.

    Raises:
        SettingsError: It cannot stand in a header.
    """
    return StaticToken(prefix + clean_token(token, source))


class Stamp(NamedTuple):
    """What changes when a file is written or replaced, also through a swapped symbolic link."""

    inode: int
    mtime_ns: int
    size: int


class TokenFile:
    """A token that lives in a file.

    The first read must succeed (`SettingsError`); of later ones that fail `problem` tells.
    """

    def __init__(
        self,
        path: Path,
        *,
        prefix: str = "",
        setting: str = "tracking.api_token_file",
        renewed: Renewed = lambda: None,
    ) -> None:
        self._path = path
        self._setting = setting
        self._prefix = prefix
        self._stamp: Stamp | None = None
        self._renewed = renewed
        self._check_at: float | None = None
        self._problem: str | None = None
        self._value = ""
        self._read()

    def __repr__(self) -> str:
        return f"TokenFile({str(self._path)!r})"

    def header(self, now: float) -> str:
        """The value to send, from the file as it was at most a second ago."""
        if self._check_at is None:
            self._check_at = now + CHECK_EVERY_S
        # A look fails while the file is being replaced, or for good: what was good last goes on,
        # and `problem` is told with the 401 that may follow.
        elif now >= self._check_at:
            self._check_at = now + CHECK_EVERY_S
            before = self._value
            try:
                self._read()
                self._problem = None
            except SettingsError as error:
                self._problem = str(error)
            if self._value != before:
                self._renewed()
        return self._value

    @property
    def problem(self) -> str | None:
        """Why the last look at the file failed, or None."""
        return self._problem

    def _read(self) -> None:
        try:
            stamp = stamp_of(self._path)
            if stamp == self._stamp:
                return
            # The stamp is taken before the content: a write in between is seen at the next look.
            with self._path.open("rb") as file:
                raw = file.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise SettingsError(
                f"cannot read the token file {self._path}: {why}",
                hint=f"{self._setting} must name a readable file",
            ) from None
        if len(raw) > FILE_BYTES_MAX:
            raise SettingsError(
                f"the token file {self._path} is longer than {FILE_BYTES_MAX} bytes",
                hint="it must hold the token and nothing else",
            )
        source = f"the token file {self._path}"
        try:
            text = raw.decode("ascii")
        except UnicodeDecodeError:
            raise SettingsError(
                f"{source} holds a character outside ASCII",
                hint="it must hold the token and nothing else",
            ) from None
        self._value = self._prefix + clean_token(text, source)
        self._stamp = stamp


def clean_token(text: str, source: str) -> str:
    """The token without white space at its ends.

    Raises:
        SettingsError: It is empty, or has a sign that no header may hold; never repeats any of it.
    """
    token = text.strip()
    if not token:
        raise SettingsError(f"{source} is empty", hint="put the API token there")
    if not token.isascii():
        raise SettingsError(
            f"{source} holds a character outside ASCII", hint="copy the token again"
        )
    if not token.isprintable():
        raise SettingsError(
            f"{source} holds a control character", hint="put one token on one line, nothing else"
        )
    return token


def stamp_of(path: Path) -> Stamp:
    """Raises OSError."""
    status = os.stat(path)  # noqa: PTH116 - follows links by intent: mounted secrets are links
    return Stamp(status.st_ino, status.st_mtime_ns, status.st_size)
