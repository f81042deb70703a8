"""Values in the place of an identifier that name nobody, or many people.

    a word for "none"             null, undefined, (not set), true, 00000000-0000-…
    the digest of one             sha256("null"), md5(""), the digests of the zero id
    what a template left over     {{user_id}}, ${userId}, %USER_ID%, [object Object]
    a list as text                ["a", "b"]
    invisible characters          zero-width spaces, a byte order mark; U+FFFD, where one was lost

The platform merges users that share an identifier, for good. So what is doubtful is left out and
counted. All sets are made once, at import; a look at an ordinary id costs two look-ups and a regex.
"""

import re
import unicodedata

from relay.stream.mapping.codes import MappingCode
from relay.stream.mapping.guard import GuardPolicy, digests_of

# Words are compared without case and without the white space around them.
WORDS = frozenset(
    {
        *("null", "(null)", "nil", "none", "(none)", "undefined", "nan", "inf", "-inf", "infinity"),
        *("n/a", "#n/a", "na", "n.a.", "unknown", "(unknown)", "unset", "not set", "(not set)"),
        *(
            "not_set",
            "(not_set)",
            "notset",
            "empty",
            "(empty)",
            "blank",
            "missing",
            "void",
            "default",
        ),
        *("anonymous", "anonym", "anon", "guest", "visitor", "nobody", "noone", "no one"),
        *("unidentified", "not logged in", "not_logged_in", "notloggedin", "logged out"),
        *("logged_out", "loggedout", "deleted", "redacted", "masked", "hidden", "private"),
        *("true", "false", "yes", "no", "-1", "test", "tester", "testing", "dummy", "fake", "demo"),
        *("user", "userid", "user_id", "user-id", "user id", "customer", "customerid"),
        *("customer_id", "accountid", "account_id", "id", "uid", "uuid", "string", "object"),
        *("admin", "administrator", "root", "system", "[]", "{}"),
    }
)

# What software writes as a device id when the user, or the system, does not give it out, and ids
# that many devices have: a broken Android's, the address that phones show for their network card.
OPT_OUTS = frozenset(
    {
        *("optout", "opt-out", "opt_out", "opted out", "opted-out", "opted_out", "optedout"),
        *("lat", "limit_ad_tracking", "limitadtracking", "denied", "restricted", "declined"),
        *("notdetermined", "not_determined", "not determined", "unavailable", "not available"),
        *("not_available", "disabled", "9774d56d682e549c", "02:00:00:00:00:00", "020000000000"),
        *("12345678-1234-1234-1234-123456789012", "123e4567-e89b-12d3-a456-426614174000"),
        "123e4567-e89b-12d3-a456-426655440000",
    }
)


_ZERO_ID = "00000000-0000-0000-0000-000000000000"
_NOTHINGS = (
    *("", " ", "\n", "0", "00", "-", "--", "{}", "[]", '""', "''", "[object Object]", "NaN"),
    *(_ZERO_ID, _ZERO_ID.replace("-", ""), "0" * 15, "0" * 16, "f" * 32),
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
)

# Zeros and punctuation alone name nobody; nor does a UUID of nothing but f.
_HOLLOW = "0-._*?#:,;/\\|'\"+=~ \t"
_UUID_DIGITS = 32
_DIGITS_MIN = 32
"""Of the shortest digest, MD5."""

# An id without any of these is ordinary, and is not looked at again.
_UNUSUAL = re.compile(r"[{}<>%$\[\]()#]|[^\x20-\x7e]|^__").search
_TEMPLATE = re.compile(
    r"""
      \{\{ | \}\} | \$\{ | \#\{ | <% | %> | \[object\  # in the middle of anything
    | ^ (?:
          \{ [\w .:-]+ \}
        | \[\[? [A-Z][A-Z0-9_ -]* \]\]?
        | % [\w.]* [A-Za-z_] [\w.]* %
        | %% [\w.:]+ %%
        | \$ [A-Za-z_] \w*
        | \$\$ \w+ \$\$
        | __ [A-Z0-9_]+ __
        | function \s* \( .*
        | < .* \ at\ 0x [0-9a-fA-F]+ >
      ) $
    """,
    re.VERBOSE,
).search
_LIST = re.compile(r"\A\s*(?:\[.*\]|\{.*\}|\(.*,.*\))\s*\Z", re.DOTALL).match
# Blank though they are letters or symbols by their category.
_JOINERS = ("\u200c", "\u200d")
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


DIGESTS = digests_of((*WORDS, *OPT_OUTS, *_NOTHINGS))


def why_unusable(  # noqa: PLR0911 - a return for each thing that an id is not
    value: str, guard: GuardPolicy, word: MappingCode
) -> MappingCode | None:
    """Why an id names nobody in particular, or None; `word` is the code of a word for "none"."""
    # From cheap to dear, the first that holds: a word, zeros and signs alone, the digest of a word.
    # An id of nothing but letters, digits and usual signs ends here. Of the others: a template's
    # left-over, a list written as text, invisible characters.
    folded = value.strip().casefold()
    if folded in WORDS or folded in guard.folded_placeholders or _is_hollow(folded):
        return word
    if len(folded) >= _DIGITS_MIN and (folded in DIGESTS or folded in guard.placeholder_digests):
        return MappingCode.HASH_OF_NOTHING
    if _UNUSUAL(value) is None:
        return None
    if _TEMPLATE(folded) is not None or _TEMPLATE(value.strip()) is not None:
        return MappingCode.TEMPLATE_LEFT_OVER
    if _LIST(value) is not None:
        return MappingCode.NOT_ONE_IDENTIFIER
    if has_invisible(value):
        return MappingCode.UNCLEAN_IDENTIFIER
    return None


def _is_hollow(folded: str) -> bool:
    """Whether it is nothing but zeros and punctuation, or a UUID of f."""
    first = folded[:1]
    if first in _HOLLOW:  # of an ordinary id nothing is stripped to find out; "" is in there, too
        return not folded.strip(_HOLLOW)
    return first == "f" and len(folded) >= _UUID_DIGITS and not folded.strip("f-")


def has_invisible(value: str) -> bool:
    """Whether it holds a character that nobody sees, or the mark of one that was lost.

    The two joiners are part of how some scripts, and families of emoji, are written: between two
    characters that are not ASCII they are meant.
    """
    if value.isascii():
        return False
    return any(
        _is_invisible(character) and not (character in _JOINERS and _is_inside(value, at))
        for at, character in enumerate(value)
    )


def _is_inside(value: str, at: int) -> bool:
    return 0 < at < len(value) - 1 and not (value[at - 1].isascii() or value[at + 1].isascii())


def without_invisible(value: str) -> str:
    """The text without characters that nobody sees; a lost one's mark stays, and tells."""
    if value.isascii():
        return value
    return "".join(c for c in value if c == "\ufffd" or not _is_invisible(c))


def _is_invisible(character: str) -> bool:
    if character.isascii():
        return False
    return (
        character == "\ufffd"
        or character in _BLANK
        # Control characters, formatting marks, and spaces other than the usual one.
        or unicodedata.category(character) in ("Cc", "Cf", "Zs", "Zl", "Zp")
    )
