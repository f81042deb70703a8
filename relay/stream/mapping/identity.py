"""The user of an event → the identifiers of an activity, guarded against merging two people.

The platform merges user points that meet in one activity. So an identifier that many people
share, or that means "none", is left out and noted; an event that carries more identifiers than
one person has is not sent.
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from relay.model import Unmappable
from relay.stream.decoding.user import (
    Account,
    Device,
    DeviceById,
    DevicePoint,
    Email,
    MobileDevice,
    NetworkDevice,
    User,
    VectorDevice,
)
from relay.stream.mapping.policy import (
    EmailHashing,
    EmailPolicy,
    IdentityForm,
    IdentityPolicy,
    MappingCode,
    MissingCompartment,
)

# What broken software writes where an identifier is unknown.
PLACEHOLDERS = frozenset(
    {"0", "-1", "null", "nil", "none", "undefined", "nan", "n/a", "unknown", "anonymous", "guest"}
)
_OS = {"ios": "ios", "android": "and"}
_HEX = frozenset("0123456789abcdef")
_HASH_DIGITS = {name: hashlib.new(name).digest_size * 2 for name in EmailHashing}
_PRECEDENCE = {"USER_ACCOUNT": 0, "USER_EMAIL": 1, "USER_AGENT": 2}
# All-f is a placeholder only where it is as long as a UUID: `ff` may be anybody's id.
_UUID_DIGITS = 32

Entry = dict[str, Any]
"""One of `$user_identifiers`."""


class Identity(NamedTuple):
    """Whose an activity is: what its envelope says, and a digest that names the user's lane."""

    envelope: dict[str, Any]
    lane: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Identity(lane={self.lane}, notes={self.notes})"


class Identified(NamedTuple):
    """The identifiers that may be sent, what was left out, and the digest that names the lane."""

    entries: tuple[Entry, ...]
    lane: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Identified(lane={self.lane}, notes={self.notes})"


class KnownAccount(NamedTuple):
    """An account with its compartment; None leaves the compartment to the platform."""

    id: str
    compartment: str | int | None

    def __repr__(self) -> str:
        return f"KnownAccount(compartment={self.compartment})"


def identify(user: User, policy: IdentityPolicy) -> Identity | Unmappable:
    """What the envelope of an activity says of `user`."""
    found = identifiers(user, policy)
    if isinstance(found, Unmappable):
        return found
    envelope = _envelope(found.entries, policy.form)
    if isinstance(envelope, Unmappable):
        return envelope
    return Identity(envelope, found.lane, found.notes)


def identifiers(user: User, policy: IdentityPolicy) -> Identified | Unmappable:
    """The identifiers to send for `user`: accounts, devices, emails.

    One account and nothing else, as nearly all events have it, goes a shorter way to the same end.
    """
    accounts_given, guard = user.accounts, policy.guard
    if len(accounts_given) == 1 <= guard.accounts_max and not (user.devices or user.emails):
        account = accounts_given[0]
        if not is_shared(account.id, guard.shared_accounts):
            known = locate(account, policy, "user.accounts[0]")
            if isinstance(known, Unmappable):
                return known
            entry = _account_entry(known)
            return Identified((entry,), digest(*map(str, entry.values())))
    return _all_identifiers(user, policy)


def _all_identifiers(user: User, policy: IdentityPolicy) -> Identified | Unmappable:
    entries: list[Entry] = []
    notes: list[str] = []
    # Most events have accounts alone: what an event has none of is not even begun.
    accounts = _accounts(user, policy) if user.accounts else ()
    devices = _devices(user, policy) if user.devices else ()
    emails = _emails(user, policy) if user.emails else ()
    for found in chain(accounts, devices, emails):
        if isinstance(found, Unmappable):
            return found
        if isinstance(found, MappingCode):
            notes.append(found)
        elif found not in entries:
            entries.append(found)
    if not entries:
        left_out = ": all that were there are shared or placeholders" if notes else ""
        return Unmappable(MappingCode.NO_IDENTIFIER, f"user: no usable identifier{left_out}")
    return Identified(tuple(entries), _lane(entries), tuple(notes))


def locate(account: Account, policy: IdentityPolicy, path: str) -> KnownAccount | Unmappable:
    """The account with its compartment, by the event's word, else by the settings'."""
    name = account.compartment
    compartment: str | None
    if name is None:
        compartment = policy.default_compartment_id
        if compartment is None and policy.missing_compartment is MissingCompartment.REJECT:
            return Unmappable(
                MappingCode.COMPARTMENT_MISSING,
                f"{path}: no compartment, and identity.default_compartment_id is not set",
            )
    else:
        compartment = policy.compartments.get(name, name if _is_number(name) else None)
        if compartment is None:
            return Unmappable(
                MappingCode.COMPARTMENT_UNKNOWN,
                f"{path}.compartment: neither a number nor a name in identity.compartments",
            )
    if compartment is not None and policy.compartment_as_number and _is_number(compartment):
        return KnownAccount(account.id, int(compartment))
    return KnownAccount(account.id, compartment)


def is_shared(account_id: str, shared: frozenset[str]) -> bool:
    """Whether many people use this account id, or nobody does."""
    folded = account_id.strip().casefold()
    return folded in shared or _is_placeholder(folded)


def is_placeholder(value: str) -> bool:
    """Whether the value stands for "none": a usual word, or only zeros, or only fs and dashes."""
    return _is_placeholder(value.strip().casefold())


def _is_placeholder(folded: str) -> bool:
    return (
        folded in PLACEHOLDERS
        or not folded.strip("0-")
        or (len(folded) >= _UUID_DIGITS and not folded.strip("f-"))
    )


def user_agent_id(device: Device) -> str:
    """The platform's form of a device id."""
    match device:
        case DeviceById():
            return device.id
        case MobileDevice():
            return f"mob:{_OS[device.os]}:raw:{device.advertising_id}"
        case NetworkDevice():
            return f"net:{device.registry}:{device.network_id}"
        case VectorDevice():
            return f"vec:{device.vector_id}"
        case DevicePoint():
            return f"udp:{device.device_point_id}"


def hash_email(address: str, policy: EmailPolicy) -> str:
    """The hash by which the datamart knows an address."""
    if policy.normalise:
        address = address.strip().lower()
    # Not for secrecy: the datamart's one function decides, and some datamarts use MD5 or SHA-1.
    return hashlib.new(policy.hashing, address.encode(), usedforsecurity=False).hexdigest()


def _accounts(user: User, policy: IdentityPolicy) -> Iterator[Entry | MappingCode | Unmappable]:
    if len(user.accounts) > policy.guard.accounts_max:
        yield _too_many("accounts", len(user.accounts), policy.guard.accounts_max)
    for index, account in enumerate(user.accounts):
        if is_shared(account.id, policy.guard.shared_accounts):
            yield MappingCode.SHARED_ACCOUNT
            continue
        known = locate(account, policy, f"user.accounts[{index}]")
        if isinstance(known, Unmappable):
            yield known
        else:
            yield _account_entry(known)


def _account_entry(known: KnownAccount) -> Entry:
    if known.compartment is None:
        return {"$type": "USER_ACCOUNT", "$user_account_id": known.id}
    return {
        "$type": "USER_ACCOUNT",
        "$compartment_id": known.compartment,
        "$user_account_id": known.id,
    }


def _emails(user: User, policy: IdentityPolicy) -> Iterator[Entry | MappingCode | Unmappable]:
    if len(user.emails) > policy.guard.emails_max:
        yield _too_many("emails", len(user.emails), policy.guard.emails_max)
    for index, email in enumerate(user.emails):
        digest = _email_hash(email, policy.email, f"user.emails[{index}]")
        if isinstance(digest, Unmappable):
            yield digest
        elif _is_shared_email(email, digest, policy.guard.shared_emails):
            yield MappingCode.SHARED_EMAIL
        elif email.address is not None and policy.email.send_clear:
            yield {"$type": "USER_EMAIL", "$hash": digest, "$email": email.address.strip()}
        else:
            yield {"$type": "USER_EMAIL", "$hash": digest}


def _devices(user: User, policy: IdentityPolicy) -> Iterator[Entry | MappingCode | Unmappable]:
    if len(user.devices) > policy.guard.devices_max:
        yield _too_many("devices", len(user.devices), policy.guard.devices_max)
    for device in user.devices:
        agent = user_agent_id(device)
        if is_placeholder(agent.rpartition(":")[2]):
            yield MappingCode.PLACEHOLDER_DEVICE
        else:
            yield {"$type": "USER_AGENT", "$user_agent_id": agent}


def _too_many(what: str, count: int, limit: int) -> Unmappable:
    return Unmappable(
        MappingCode.TOO_MANY_IDENTIFIERS,
        f"user.{what}: {count} of them, where one person has {limit} at most (identity.guard)",
    )


def _email_hash(email: Email, policy: EmailPolicy, path: str) -> str | Unmappable:
    if email.address is not None and not policy.accept_clear:
        return Unmappable(
            MappingCode.CLEAR_EMAIL,
            f"{path}.address: in clear, and identity.email.accept_clear is false",
        )
    if email.hash is None:
        address = (email.address or "").strip()
        name, at, domain = address.rpartition("@")
        if not (name and at and domain) or len(address.split()) != 1:
            return Unmappable(MappingCode.EMAIL_MALFORMED, f"{path}.address: not an email address")
        return hash_email(email.address or "", policy)
    if not policy.check_hash:
        return email.hash
    digest = email.hash.lower()
    if len(digest) != _HASH_DIGITS[policy.hashing] or not _HEX.issuperset(digest):
        return Unmappable(
            MappingCode.EMAIL_HASH_MALFORMED,
            f"{path}.hash: not a {policy.hashing} in hexadecimal (identity.email)",
        )
    return digest


def _is_shared_email(email: Email, digest: str, shared: frozenset[str]) -> bool:
    return digest in shared or (
        email.address is not None and email.address.strip().casefold() in shared
    )


def _envelope(entries: tuple[Entry, ...], form: IdentityForm) -> dict[str, Any] | Unmappable:
    if form is IdentityForm.USER_IDENTIFIERS:
        return {"$user_identifiers": list(entries)}
    root: dict[str, Any] = {}
    for entry in entries:
        fields = {key: value for key, value in entry.items() if key != "$type"}
        if entry["$type"] == "USER_EMAIL":
            fields = {"$email_hash": fields}
        if not root.keys().isdisjoint(fields):
            return Unmappable(
                MappingCode.LEGACY_FORM,
                "user: identity.form legacy carries one account, one email and one device",
            )
        root |= fields
    return root


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _lane(entries: Sequence[Entry]) -> str:
    best = best_of(entries)
    # The clear address, which some events carry and others do not, must not part one user's.
    return digest(*[str(value) for key, value in best.items() if key != "$email"])


def best_of(entries: Sequence[Entry]) -> Entry:
    """The identifier that names the user best: an account, else an email, else a device."""
    if len(entries) == 1:
        return entries[0]
    return min(entries, key=lambda entry: _PRECEDENCE[entry["$type"]])


def digest(*parts: str) -> str:
    """Names a lane without saying whose it is."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
