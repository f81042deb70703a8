"""Text that others wrote → the same without what may be personal or secret.

Our own facts hold nothing of the kind. This is for the words of libraries and of APIs, which may
quote a header, a body or a key.

The time is linear in the length of the text, whatever it holds: no pattern begins with a repetition
(it would be tried from every character on), and none has a repetition within another one.
"""

import re
from collections.abc import Iterator

_MASK = "***"
_PATTERNS = (
    # credentials in an address, as user:password@host
    (re.compile(r"(?<=://)[^\s/@]++(?=@)"), _MASK),
    # `Authorization: Bearer x`, `api_token=x`, `"password": "x"`: a name that ends so
    (
        re.compile(
            r"(?i)((?:authorization|token|password|passwd|secret|api[-_]?key)\b[\"']?"
            r"\s*[:=]\s*[\"']?(?:(?:bearer|basic|token)\s+)?)[^\s\"',;&}]+"
        ),
        rf"\1{_MASK}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=:-]{6,}"), rf"\1 {_MASK}"),
)
_PATTERNS_AFTER_ADDRESSES = (
    # device ids and other UUIDs, with or without dashes; hashes of e-mail addresses
    (re.compile(r"(?i)\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b"), _MASK),
    (re.compile(r"(?i)\b[0-9a-f]{32,}\b"), _MASK),
    # telephone numbers and account numbers: seven digits and more that are no offset or time
    (re.compile(r"\+\d[\d ().-]{6,}\d"), _MASK),
)

# An e-mail address, also as it stands in a URL: a run, `@` or `%40`, a domain.
_RUN = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]++")
_ESCAPED_AT = "%40"
_DOMAIN = re.compile(r"[\w-]++(?:\.[\w-]++)+")


def redact(text: str, *, length_max: int = 500) -> str:
    """`text` on one line, masked, and cut at `length_max` characters."""
    line = " ".join(text[: 8 * length_max].split())
    for pattern, mask in _PATTERNS:
        line = pattern.sub(mask, line)
    line = "".join(_without_addresses(line))
    for pattern, mask in _PATTERNS_AFTER_ADDRESSES:
        line = pattern.sub(mask, line)
    return line if len(line) <= length_max else line[: length_max - 1] + "…"


def _without_addresses(line: str) -> Iterator[str]:
    """The pieces of `line`. Each run of characters is looked at once, from its end."""
    at = 0
    while run := _RUN.search(line, at):
        yield line[at : run.start()]
        end = _end_of_address(line, *run.span())
        yield run.group() if end is None else _MASK
        at = run.end() if end is None else end
    yield line[at:]


def _end_of_address(line: str, start: int, end: int) -> int | None:
    """Where the address ends whose first part is, or is in, the run from `start` to `end`."""
    # `end` is where the run of characters ends that may stand before an @. Behind it may follow `@`
    # and a domain; or the run itself holds `%40`, as addresses in URLs do: the last one counts.
    if line.startswith("@", end) and (domain := _DOMAIN.match(line, end + 1)):
        return domain.end()
    before = end
    while (before := line.rfind(_ESCAPED_AT, start + 1, before)) >= 0:
        if domain := _DOMAIN.match(line, before + len(_ESCAPED_AT)):
            return domain.end()
    return None
