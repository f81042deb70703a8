"""The error file of an execution → which lines it seems to name, and a reason that it gives.

Its format is documented nowhere, so nothing is concluded from it. Lines that it seems to name are
sent apart from the others (`isolator`), which saves executions where it was understood rightly, and
costs two where it was not. A line is named where its user's identifier stands in the file as a
whole word: between quotes, commas or line ends.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from relay.apis.errors import ApiError, vendor_words
from relay.apis.mediarithmics_document_imports import DocumentImports
from relay.disk import disk_errors
from relay.segments.formats import FileFormat, read_commands
from relay.segments.outcome import Landed, Outcome, Unclear

REJECTED = "rejected by the import"

_BYTES_MAX = 4 << 20
"""Of a larger error file no more is looked at."""
_WORD = re.compile(rb'[^",;\t\r\n\\]+')
_REASON = re.compile(rb'(?i)"(?:error_?message|error|message|reason|cause)"\s*:\s*"([^"\\]+)')


@dataclass(frozen=True, slots=True)
class Hints:
    """What an error file seems to say."""

    named: dict[int, str] = field(default_factory=dict, repr=False)
    """Places of lines, counted from 0, and their users."""
    reason: str = ""
    """The first reason that it gives, free of anything personal."""

    @property
    def why(self) -> str:
        """Why a line was rejected, as far as anybody says."""
        return f"{REJECTED}: {self.reason}" if self.reason else REJECTED


async def read_hints(
    imports: DocumentImports, outcome: Outcome, file: Path, form: FileFormat, to: Path
) -> Hints:
    """Fetch the error file of the import of `file` to `to`; no hints where there is none."""
    if not isinstance(outcome, Landed | Unclear) or not outcome.rejected:
        return Hints()
    uri = outcome.execution.error_file_uri
    if uri is None:
        return Hints()
    try:
        await imports.error_file(uri, to)
    except ApiError:  # the lines are found without it
        return Hints()
    return hints(file, form, to)


def hints(file: Path, form: FileFormat, errors: Path) -> Hints:
    """What the error file at `errors` seems to say of the lines of `file`."""
    with disk_errors(errors), errors.open("rb") as opened:
        content = opened.read(_BYTES_MAX)
    words = {word.strip(b" :{}[]") for word in _WORD.findall(content)}
    users = enumerate(command.user[2] for _, command in read_commands(file, form))
    named = {place: user for place, user in users if user.encode() in words}
    reason = _REASON.search(content)
    return Hints(named, vendor_words(reason[1].decode("utf-8", "replace")) if reason else "")
