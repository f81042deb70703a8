"""The user of an event → the identifiers of an activity, guarded against merging two people.

The platform merges user points that meet in one activity. So an identifier that many people
share, or that means "none", is left out and noted; an event that carries more identifiers than
one person has is not sent.
"""

import hashlib
import re
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
from relay.stream.mapping.addresses import (
    EmailHashing,
    EmailPolicy,
    clean_address,
    hash_email,
    why_nobodys,
)
from relay.stream.mapping.codes import MappingCode
from relay.stream.mapping.guard import GuardPolicy
from relay.stream.mapping.nothing import OPT_OUTS, why_unusable
from relay.stream.mapping.policy import IdentityForm, IdentityPolicy, MissingCompartment

_OS = {"ios": "ios", "android": "and"}
_HEX = frozenset("0123456789abcdef")
_HASH_DIGITS = {name: hashlib.new(name).digest_size * 2 for name in EmailHashing}
# Found once: Python 3.11 takes 80 ns to find a member of an enumeration.
_ALL_OF_THEM = IdentityForm.USER_IDENTIFIERS
_SHARED_ACCOUNT = MappingCode.SHARED_ACCOUNT
_NOBODY = (
    _SHARED_ACCOUNT,
    MappingCode.HASH_OF_NOTHING,
    MappingCode.TEMPLATE_LEFT_OVER,
)
_PRECEDENCE = {"USER_ACCOUNT": 0, "USER_EMAIL": 1, "USER_AGENT": 2}
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z").match
# What stands in front of a device's own id, in the platform's forms.
_DEVICE_PREFIX = re.compile(
    r"(?:mob:(ios|and):raw|mob:[a-z]+:[a-z0-9]+|net:[0-9]+|web:[^:]*|tech:[a-z]+|[a-z]{2,8}):"
).match

Entry = dict[str, Any]
"""One of `$user_identifiers`."""


class Identity(NamedTuple):
    """The identifiers that may be sent, what was left out, and the digest that names the lane."""

    entries: tuple[Entry, ...]
    lane: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Identity(lane={self.lane}, notes={self.notes})"


class KnownEmail(NamedTuple):
    """An email by the datamart's digest, in clear where it came so."""

    digest: str
    address: str | None
    repaired: bool

    def __repr__(self) -> str:
        return "KnownEmail(…)"


def identify(user: User, policy: IdentityPolicy) -> Identity | Unmappable:
    """The identifiers to send for `user`: accounts, devices, emails.

    One account and nothing else, as nearly all events have it, goes a shorter way to the same end.
    """
    accounts_given, guard = user.accounts, policy.guard
    if len(accounts_given) == 1 <= guard.accounts_max and not (user.devices or user.emails):
        account = accounts_given[0]
        if account_fault(account.id, guard) is None:
            compartment = compartment_of(account, policy, "user.accounts[0]")
            if isinstance(compartment, Unmappable):
                return compartment
            entry = _account_entry(account.id, compartment)
            return Identity((entry,), digest(*map(str, entry.values())))
    return _identify_by_all(user, policy)


def _identify_by_all(user: User, policy: IdentityPolicy) -> Identity | Unmappable:
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
    return Identity(tuple(entries), _lane(entries), tuple(notes))


def compartment_of(
    account: Account, policy: IdentityPolicy, path: str
) -> str | int | Unmappable | None:
    """The account's compartment, by the event's word, else by the settings'.

    None leaves it to the platform. `path` is where the account stands, for reasons.
    """
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
        return int(compartment)
    return compartment


def account_fault(account_id: str, guard: GuardPolicy) -> MappingCode | None:
    """Why an account names nobody in particular, or None."""
    if guard.folded_accounts and account_id.strip().casefold() in guard.folded_accounts:
        return _SHARED_ACCOUNT
    return why_unusable(account_id, guard, _SHARED_ACCOUNT)


def is_nobody(value: str, guard: GuardPolicy) -> bool:
    """Whether a value of any kind stands for "none": a word, a digest of one, a left-over."""
    return why_unusable(value, guard, _SHARED_ACCOUNT) in _NOBODY


def user_agent_id(device: Device, *, normalise: bool = True) -> str:
    """The platform's form of a device id, as it is sent; `normalise` the case of raw ones."""
    prefix, own, os = _own_id(device)
    return prefix + (usual_case(os, own) if normalise and os else own)


def own_id(device: Device) -> str:
    """A device's own id, without what the platform puts in front of it."""
    return _own_id(device)[1]


def usual_case(os: str, advertising_id: str) -> str:
    """A raw advertising id in the case that its system writes it in: iOS large, Android small.

    Producers lower what they have at times, and the platform would know the device twice.
    """
    if _UUID(advertising_id) is None:
        return advertising_id
    return advertising_id.upper() if os == "ios" else advertising_id.lower()


def device_fault(own: str, guard: GuardPolicy) -> MappingCode | None:
    """Why a device's own id, without the platform's prefix, names no device, or None."""
    # An id that an opt-out leaves behind is one that millions of devices have: all their users
    # would become one.
    fault = why_unusable(own, guard, MappingCode.PLACEHOLDER_DEVICE)
    if fault is None and own.strip().casefold() in OPT_OUTS:
        return MappingCode.OPTED_OUT_DEVICE
    return fault


def _own_id(device: Device) -> tuple[str, str, str]:
    """The platform's prefix, the device's own id behind it, and the system of an advertising id."""
    match device:
        case MobileDevice():
            os = _OS[device.os]
            return f"mob:{os}:raw:", device.advertising_id, os
        case DeviceById():
            found = _DEVICE_PREFIX(device.id)
            if found is None:
                return "", device.id, ""
            prefix = found[0]
            return prefix, device.id[len(prefix) :], found[1] or ""
        case NetworkDevice():
            return f"net:{device.registry}:", device.network_id, ""
        case VectorDevice():
            return "vec:", device.vector_id, ""
        case DevicePoint():
            return "udp:", device.device_point_id, ""


def _accounts(user: User, policy: IdentityPolicy) -> Iterator[Entry | MappingCode | Unmappable]:
    if len(user.accounts) > policy.guard.accounts_max:
        yield _too_many("accounts", len(user.accounts), policy.guard.accounts_max)
    for index, account in enumerate(user.accounts):
        fault = account_fault(account.id, policy.guard)
        if fault is not None:
            yield fault
            continue
        compartment = compartment_of(account, policy, f"user.accounts[{index}]")
        if isinstance(compartment, Unmappable):
            yield compartment
        else:
            yield _account_entry(account.id, compartment)


def _account_entry(account_id: str, compartment: str | int | None) -> Entry:
    if compartment is None:
        return {"$type": "USER_ACCOUNT", "$user_account_id": account_id}
    return {
        "$type": "USER_ACCOUNT",
        "$compartment_id": compartment,
        "$user_account_id": account_id,
    }


def _emails(user: User, policy: IdentityPolicy) -> Iterator[Entry | MappingCode | Unmappable]:
    if len(user.emails) > policy.guard.emails_max:
        yield _too_many("emails", len(user.emails), policy.guard.emails_max)
    for index, email in enumerate(user.emails):
        if email.address is not None and not policy.email.accept_clear:
            yield Unmappable(
                MappingCode.CLEAR_EMAIL,
                f"user.emails[{index}].address: in clear, and identity.email.accept_clear is false",
            )
            continue
        found = _known_email(email, policy, f"user.emails[{index}]")
        if not isinstance(found, KnownEmail):
            yield found
            continue
        if found.repaired:
            yield MappingCode.EMAIL_REPAIRED
        if found.address is not None and policy.email.send_clear:
            yield {"$type": "USER_EMAIL", "$hash": found.digest, "$email": found.address}
        else:
            yield {"$type": "USER_EMAIL", "$hash": found.digest}


def _devices(user: User, policy: IdentityPolicy) -> Iterator[Entry | MappingCode | Unmappable]:
    if len(user.devices) > policy.guard.devices_max:
        yield _too_many("devices", len(user.devices), policy.guard.devices_max)
    for device in user.devices:
        prefix, own, os = _own_id(device)
        fault = device_fault(own, policy.guard)
        if fault is not None:
            yield fault
            continue
        if os and policy.guard.normalise_advertising_ids:
            usual = usual_case(os, own)
            if usual != own:
                yield MappingCode.ADVERTISING_ID_CASE
                own = usual
        yield {"$type": "USER_AGENT", "$user_agent_id": prefix + own}


def _too_many(what: str, count: int, limit: int) -> Unmappable:
    return Unmappable(
        MappingCode.TOO_MANY_IDENTIFIERS,
        f"user.{what}: {count} of them, where one person has {limit} at most (identity.guard)",
    )


def _known_email(
    email: Email, policy: IdentityPolicy, path: str
) -> KnownEmail | MappingCode | Unmappable:
    """The digest of an email, or why it is left out (a code) or refuses the event."""
    guard = policy.guard
    address = None
    if email.address is not None:
        given = _address(email.address, policy, f"{path}.address")
        # A hash beside it counts more; yet an address that is nobody's tells about its hash.
        if isinstance(given, MappingCode):
            return given
        if isinstance(given, str):
            address = given
        elif email.hash is None:
            return given
        else:
            address = email.address.strip()
    # What names the user, by what came:
    #
    #     | address               | hash        | so                                          |
    #     |-----------------------|-------------|---------------------------------------------|
    #     | nobody's              | any         | left out: its hash is nobody's as well      |
    #     | usable                | none        | the hash that we make of it                 |
    #     | not an address        | none        | refused                                     |
    #     | any other             | given       | the hash, checked; the address beside it    |
    #
    # A hash that many people share is left out, whichever way it came.
    repaired = address is not None and address != (email.address or "").strip()
    if email.hash is None:
        digest = hash_email(address or "", policy.email)
    else:
        fault = why_unusable(email.hash, guard, MappingCode.PLACEHOLDER_EMAIL)
        if fault is not None:
            return fault
        checked = _checked_hash(email.hash, policy.email, f"{path}.hash")
        if isinstance(checked, Unmappable):
            return checked
        digest = checked
    if digest in policy.shared_hashes:
        return MappingCode.SHARED_EMAIL
    return KnownEmail(digest, address, repaired and email.hash is None)


def _address(given: str, policy: IdentityPolicy, path: str) -> str | MappingCode | Unmappable:
    """The address to hash, repaired where that is allowed; or why none."""
    address = clean_address(given) if policy.email.normalise else given.strip()
    fault = why_unusable(address, policy.guard, MappingCode.PLACEHOLDER_EMAIL)
    if fault is not None:
        return fault
    if address.count("@") > 1:
        return MappingCode.NOT_ONE_IDENTIFIER
    name, at, domain = address.rpartition("@")
    if not (name and at and domain) or len(address.split()) != 1:
        return Unmappable(MappingCode.EMAIL_MALFORMED, f"{path}: not an email address")
    nobodys = why_nobodys(address.casefold(), policy.guard)
    return address if nobodys is None else nobodys


def _checked_hash(given: str, policy: EmailPolicy, path: str) -> str | Unmappable:
    if not policy.check_hash:
        return given
    digest = given.lower()
    if len(digest) != _HASH_DIGITS[policy.hash] or not _HEX.issuperset(digest):
        return Unmappable(
            MappingCode.EMAIL_HASH_MALFORMED,
            f"{path}: not a {policy.hash} in hexadecimal (identity.email)",
        )
    return digest


def user_fields(entries: tuple[Entry, ...], form: IdentityForm) -> dict[str, Any] | Unmappable:
    """What the envelope of an activity says of its user."""
    # The legacy form has one place for each kind, so two of a kind cannot be sent in it.
    if form is _ALL_OF_THEM:
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
