"""What keeps people apart who are not the same: ids and addresses that many people use."""

import hashlib
from collections.abc import Iterable
from functools import cached_property

from pydantic import Field

from relay.section import Section

_ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")


class GuardPolicy(Section):
    """What keeps people apart who are not the same: the platform merges users that meet.

    The numbers are those above which the platform flags a user point.
    """

    shared_accounts: list[str] = Field(
        default_factory=list,
        description="Account ids that many people use (a kiosk, a call centre); case is ignored. "
        "They are left out; so are `guest`, `anonymous`, `null`, `0` and their like.",
    )
    shared_emails: list[str] = Field(
        default_factory=list,
        description="Addresses, hashes of addresses, or whole domains (`@shop.example`), that many "
        "people use. They are left out.",
    )
    placeholders: list[str] = Field(
        default_factory=list,
        description='Your producers\' own words for "none", for accounts, devices and the name of '
        "an address; case is ignored. Ids that are one of them are left out, and so are its "
        "digests (MD5, SHA-1, SHA-2). The usual words are known (docs/EVENT_CODES.md).",
    )
    leave_out_role_addresses: bool = Field(
        True,
        description="Leave out addresses that a role has and not a person: `info@`, `support@`, "
        "`sales@` and their like (docs/EVENT_CODES.md).",
    )
    role_names: list[str] = Field(
        default_factory=list,
        description="More names of roles, in front of the `@`; case is ignored.",
    )
    normalise_advertising_ids: bool = Field(
        True,
        description="Write raw advertising ids as their systems do: iOS in capitals, Android in "
        "small letters. `false` sends them as they come.",
    )
    accounts_max: int = Field(4, ge=1, description="Events with more accounts are dead-lettered.")
    emails_max: int = Field(4, ge=1, description="Events with more emails are dead-lettered.")
    devices_max: int = Field(10, ge=1, description="Events with more devices are dead-lettered.")

    @cached_property
    def folded_accounts(self) -> frozenset[str]:
        """`shared_accounts`, as ids are compared."""
        return _folded(self.shared_accounts)

    @cached_property
    def folded_emails(self) -> frozenset[str]:
        """`shared_emails`, as addresses and domains are compared."""
        return _folded(self.shared_emails)

    @cached_property
    def folded_placeholders(self) -> frozenset[str]:
        """`placeholders`, as ids are compared."""
        return _folded(self.placeholders)

    @cached_property
    def placeholder_digests(self) -> frozenset[str]:
        """The digests of `placeholders`, as they are written and in small letters."""
        return digests_of([*self.placeholders, *self.folded_placeholders])

    @cached_property
    def folded_roles(self) -> frozenset[str]:
        """`role_names`, as names are compared."""
        return _folded(self.role_names)


def digests_of(words: Iterable[str]) -> frozenset[str]:
    """The digests of the words, written small, large and with a capital, in hexadecimal."""
    return frozenset(
        hashlib.new(algorithm, form.encode(), usedforsecurity=False).hexdigest()
        for word in words
        for form in {word, word.lower(), word.upper(), word.capitalize()}
        for algorithm in _ALGORITHMS
    )


def _folded(entries: Iterable[str]) -> frozenset[str]:
    return frozenset(entry.casefold() for entry in entries)
