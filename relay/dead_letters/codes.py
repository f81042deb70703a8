"""Every code that a dead letter may have, so that a misspelt one is an error and not silence."""

import difflib
import re
from collections.abc import Iterable

from relay.errors import InputError
from relay.membership.policy import MembershipCode
from relay.model import NoAnswer
from relay.sources.formats.outcome import FormatCode
from relay.sources.mapping.faults import MappingCode as LanguageCode
from relay.stream.decoding.reasons import UndecodableCode
from relay.stream.mapping.codes import MappingCode
from relay.stream.sender import FOLLOWED

_HTTP = re.compile(r"http_[1-5]\d\d")

KNOWN: frozenset[str] = frozenset(
    {
        *(code.value for kind in (UndecodableCode, FormatCode, LanguageCode) for code in kind),
        *(code.value for kind in (MappingCode, MembershipCode, NoAnswer) for code in kind),
        FOLLOWED.code,
        "defect",
    }
)
"""Without `http_…`, of which there is one for each status."""


def known_codes(codes: Iterable[str]) -> frozenset[str]:
    """The same, when all of them exist.

    Raises:
        InputError: One does not.
    """
    for code in codes:
        if code not in KNOWN and not _HTTP.fullmatch(code):
            near = difflib.get_close_matches(code, [*KNOWN, "http_400"], n=1)
            raise InputError(
                f"{code}: no dead letter has this code",
                hint=f"did you mean {near[0]}?" if near else "relay dlq summary shows codes",
            )
    return frozenset(codes)
