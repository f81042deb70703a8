"""An account that somebody asks for, as digests. The id itself is never handed over.

| digest | of | what it is for |
|---|---|---|
| length, in bytes, and CRC-32 | the id as it is written in JSON | compared with each event's |
| SHA-256 | the id in UTF-8 | decides, where the first are equal |
"""

import hashlib
import re
from typing import NamedTuple
from zlib import crc32

import orjson

_TEXT = re.compile("([0-9a-f]{8})([0-9a-f]{8})([0-9a-f]{64})")


class AccountDigest(NamedTuple):
    """See the module's docstring."""

    size: int
    crc32: int
    sha256: str

    def fits(self, account: bytes) -> bool:
        """Whether this is the account."""
        return hashlib.sha256(account).hexdigest() == self.sha256

    def __str__(self) -> str:
        """All in hex, in this order: what is sent."""
        return f"{self.size:08x}{self.crc32:08x}{self.sha256}"


def digest_of(account: str) -> AccountDigest:
    """The digests of an account id."""
    written = orjson.dumps(account)[1:-1]
    return AccountDigest(len(written), crc32(written), hashlib.sha256(account.encode()).hexdigest())


def digest_from(text: str) -> AccountDigest:
    """What `str` made of one.

    Raises:
        ValueError: It is no such text.
    """
    found = _TEXT.fullmatch(text.lower())
    if found is None:
        raise ValueError("account_digest: not a length, a CRC-32 and a SHA-256 in hex")
    return AccountDigest(int(found[1], 16), int(found[2], 16), found[3])
