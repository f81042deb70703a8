"""Text that others wrote → the same without what may be personal or secret.

Our own facts hold nothing of the kind. This is for the words of libraries and of APIs, which may
quote a header, a body or a key.
"""

import re

_MASK = "***"
_PATTERNS = (
    # credentials in an address, as user:password@host
    (re.compile(r"(?<=://)[^\s/@]+(?=@)"), _MASK),
    # `Authorization: Bearer x`, `api_token=x`, `"password": "x"`
    (
        re.compile(
            r"(?i)(\b[\w-]*(?:authorization|token|password|passwd|secret|api[-_]?key)\b[\"']?"
            r"\s*[:=]\s*[\"']?(?:(?:bearer|basic|token)\s+)?)[^\s\"',;&}]+"
        ),
        rf"\1{_MASK}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=:-]{6,}"), rf"\1 {_MASK}"),
    (re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+"), _MASK),
    # device ids and other UUIDs, with or without dashes; hashes of e-mail addresses
    (re.compile(r"(?i)\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b"), _MASK),
    (re.compile(r"(?i)\b[0-9a-f]{32,}\b"), _MASK),
    # telephone numbers and account numbers: seven digits and more that are no offset or time
    (re.compile(r"\+\d[\d ().-]{6,}\d"), _MASK),
)


def redact(text: str, *, length_max: int = 500) -> str:
    """`text` on one line, masked, and cut at `length_max` characters."""
    line = " ".join(text[: 8 * length_max].split())
    for pattern, mask in _PATTERNS:
        line = pattern.sub(mask, line)
    return line if len(line) <= length_max else line[: length_max - 1] + "…"
