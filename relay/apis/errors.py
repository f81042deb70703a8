"""What can go wrong with a vendor's API, by what a caller can do about it. Raised by `relay.apis`.

    DestinationError (relay.errors)
    └─ ApiError              exit
       ├─ Unreachable          7   no connection, or no answer in time
       ├─ ServerFault          7   5xx: the vendor's side is at fault
       ├─ Throttled            7   429, for longer than we wait
       ├─ LoginRefused         7   401, or a login that is not accepted
       ├─ AccessRefused        7   403: known, but not allowed
       ├─ NotThere             8   404: what was named does not exist
       ├─ Refused              8   another 4xx, or an error in a 2xx: the request is wrong
       ├─ AnswerLost           7   it may have been carried out: look before doing it again
       └─ AnswerUnusable       7   an answer that is not the documented one
    ExportError               23   FAILED, or COMPLETE and no file is named
    ├─ ExportExpired               gone: files are kept for 48 hours at most
    └─ ExportOverdue               still PENDING when patience ended

An error names the vendor and the call. It never holds what was sent, and of the vendor's words
only what `vendor_words` leaves.
"""

import re

from relay.errors import DestinationError, ExitStatus, RelayError
from relay.telemetry.redact import redact

_WORDS_MAX = 200
# What a vendor quotes from a request, and long numbers: both may be somebody's identifier.
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`|«[^»]*»")
_NUMBER = re.compile(r"\d{6,}")


def vendor_words(text: str) -> str:
    """The vendor's own words on one line, without anything that may identify somebody."""
    bare = _NUMBER.sub("***", _QUOTED.sub("***", text))
    return redact(bare, length_max=_WORDS_MAX)


class ApiError(DestinationError):
    """A call to a vendor's API did not do what it should.

    `status` is 0 where none came; `performed` tells whether the call may have been carried out
    nevertheless, `passing` whether another attempt may fare better.
    """

    retry_after_s: float | None = None

    def __init__(
        self, problem: str, *, hint: str | None = None, status: int = 0, performed: bool = False,
        passing: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(problem, hint=hint)
        self.status, self.performed, self.passing = status, performed, passing


class Unreachable(ApiError):
    """There was no answer, though the call may be repeated safely."""


class ServerFault(ApiError):
    """The vendor answered that its own side failed."""


class Throttled(ApiError):
    """The vendor asked for a longer pause than we are willing to make."""


class LoginRefused(ApiError):
    """The credentials are not accepted."""


class AccessRefused(ApiError):
    """The credentials are known, but may not do this."""


class NotThere(ApiError):
    """What the call names does not exist there."""

    exit_status = ExitStatus.INPUT


class Refused(ApiError):
    """The vendor holds the request to be wrong; sending it again would not help."""

    exit_status = ExitStatus.INPUT


class AnswerLost(ApiError):
    """A call that must not be repeated blindly got no answer. It may have been carried out."""


class AnswerUnusable(ApiError):
    """The answer is not what the vendor documents."""


class ExportError(RelayError):
    """There is no export to be had."""

    exit_status = ExitStatus.SEGMENT_EXPORT


class ExportExpired(ExportError):
    """The export's file, or the export itself, is not there any more."""


class ExportOverdue(ExportError):
    """The export was still running when our patience ended."""
