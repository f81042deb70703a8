"""Email addresses: what is repaired before hashing, and which name nobody or many people.

    repaired    mailto:, "Jane Doe <…>", dots and commas at the end, invisible characters
    left out    a word, a template's left-over, several in one field, role and placeholder addresses
    refused     anything else that is no address

Repairs are made with `identity.email.normalise` only: without it a datamart hashes what it gets.
"""

import hashlib
import re
from enum import StrEnum

from pydantic import Field

from relay.section import Section
from relay.stream.mapping.codes import MappingCode
from relay.stream.mapping.guard import GuardPolicy
from relay.stream.mapping.nothing import without_invisible

# Read by whoever is on duty: people behind one differ, and the platform would merge them.
ROLES = frozenset(
    {
        *("abuse", "accounting", "accounts", "admin", "administrator", "billing", "booking"),
        *("bookings", "careers", "compliance", "contact", "contactus", "customercare"),
        *("customerservice", "customersupport", "dpo", "enquiries", "enquiry", "feedback"),
        *("finance", "help", "helpdesk", "hostmaster", "hr", "info", "information", "inquiries"),
        *("invoices", "jobs", "legal", "mailer-daemon", "marketing", "media", "newsletter", "noc"),
        *("office", "orders", "postmaster", "press", "privacy", "reception", "recruitment"),
        *("reservations", "root", "sales", "security", "service", "services", "shop", "support"),
        *("team", "webmaster"),
    }
)

# Typed, or written by software, where somebody had no address to give.
_PLACEHOLDER_NAMES = frozenset(
    {
        *("anonymous", "anonym", "asdf", "donotreply", "do-not-reply", "do_not_reply", "dummy"),
        *("email", "e-mail", "fake", "guest", "invalid", "myemail", "nan", "nil", "noemail"),
        *("no-email", "no_email", "no.email", "nomail", "no-mail", "nobody", "none", "noone"),
        *("noreply", "no-reply", "no_reply", "no.reply", "notprovided", "not-provided", "null"),
        *("qwerty", "test", "tester", "testing", "test.test", "undefined", "unknown", "user"),
        *("username", "xxx", "youremail", "your.email", "your-email", "your_email", "yourname"),
    }
)
_PLACEHOLDER_DOMAINS = frozenset(
    {
        *("domain.com", "fake.com", "invalid.com", "localhost", "mydomain.com", "no.email"),
        *("noemail.com", "no-email.com", "nomail.com", "none.com", "none.none", "noreply.com"),
        *("null.com", "null.null", "test.com", "test.test", "undefined.com", "yourdomain.com"),
    }
)
_RESERVED_ENDS = (".invalid", ".localhost", ".test")  # RFC 2606: no such host, ever

_NAMED = re.compile(r"\A[^<>@]*<([^<>@\s]+@[^<>@\s]+)>\Z").match


class EmailHashing(StrEnum):
    """The one function by which a datamart hashes addresses. The value is hashlib's name."""

    MD5 = "md5"
    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


class EmailPolicy(Section):
    """How email addresses become hashes. A datamart uses one function for all its flows."""

    hash: EmailHashing = Field(EmailHashing.SHA256, description="The datamart's hash function.")
    normalise: bool = Field(
        True, description="Trim and lower an address before it is hashed. The platform does not."
    )
    accept_clear: bool = Field(
        True,
        description="Whether events may hold addresses in clear; they are dead-lettered if not.",
    )
    send_clear: bool = Field(
        False, description="Send the address in clear beside its hash, where the event has it."
    )
    check_hash: bool = Field(
        True,
        description="Hashes in events must be hexadecimal, as long as those of `hash`; they are "
        "sent in lower case. `false` sends them as they come (salted or encoded otherwise).",
    )


def hash_email(address: str, policy: EmailPolicy) -> str:
    """The hash by which the datamart knows an address."""
    if policy.normalise:
        address = clean_address(address).lower()
    # Not for secrecy: the datamart's one function decides, and some datamarts use MD5 or SHA-1.
    return hashlib.new(policy.hash, address.encode(), usedforsecurity=False).hexdigest()


def clean_address(address: str) -> str:
    """An address without what surrounds it at times. Letter case stays."""
    text = address.strip() if address.isascii() else without_invisible(address).strip()
    # Nearly all need nothing. The rest, in this order: `mailto:` with its question, a name with the
    # address in <>, quotes of a cell, the end of a sentence.
    if text[:1].isalnum() and text[-1:].isalpha() and ":" not in text:
        return text
    if text[:7].lower() == "mailto:":
        text = text[7:].partition("?")[0].strip()
    named = _NAMED(text) if text[-1:] == ">" else None
    if named is not None:
        text = named[1]
    # An end such as of a sentence, and quotes as of a cell.
    return text.strip("\"'").rstrip(".,;").strip()


def why_nobodys(address: str, guard: GuardPolicy) -> MappingCode | None:
    """Why a well-formed address is no person's, or None. The address is in lower case."""
    # From what somebody named to what we know, the first that holds:
    #
    #     in the settings, whole or by its domain   shared
    #     a name, or a domain, that means "none"    placeholder; what follows a + is not looked at
    #     an office's                               role, unless the settings take those
    #     else                                      somebody's
    name, _, domain = address.rpartition("@")
    if address in guard.folded_emails or f"@{domain}" in guard.folded_emails:
        return MappingCode.SHARED_EMAIL
    name = name.partition("+")[0]
    if (
        name in _PLACEHOLDER_NAMES
        or name in guard.folded_placeholders
        or domain in _PLACEHOLDER_DOMAINS
        or domain.endswith(_RESERVED_ENDS)
    ):
        return MappingCode.PLACEHOLDER_EMAIL
    if guard.leave_out_role_addresses and (name in ROLES or name in guard.folded_roles):
        return MappingCode.ROLE_EMAIL
    return None
