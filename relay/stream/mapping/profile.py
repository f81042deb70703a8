"""Which profile an event is about: the account and compartment that are its key."""

from typing import NamedTuple

from relay.model import Unmappable
from relay.stream.decoding.app_event import Profile
from relay.stream.mapping.codes import MappingCode
from relay.stream.mapping.identity import account_fault, compartment_of
from relay.stream.mapping.policy import IdentityPolicy
from relay.stream.mapping.rules import RESERVED_PROFILE_PROPERTIES, check_properties


class ProfileKey(NamedTuple):
    """What names a profile within its user point."""

    compartment: str | int
    account: str


def profile_key(event: Profile, policy: IdentityPolicy) -> ProfileKey | Unmappable:
    """The account that the event names, else the user's first that is usable."""
    wrong = check_properties(event.properties, RESERVED_PROFILE_PROPERTIES)
    if wrong is not None:
        return wrong
    guard = policy.guard
    path, account = "account", event.account
    if account is None:
        path = "user.accounts"
        account = next((a for a in event.user.accounts if account_fault(a.id, guard) is None), None)
    if account is None or account_fault(account.id, guard) is not None:
        return Unmappable(
            MappingCode.PROFILE_WITHOUT_ACCOUNT,
            f"{path}: a profile belongs to an account, and no usable one is given",
        )
    compartment = compartment_of(account, policy, path)
    if isinstance(compartment, Unmappable):
        return compartment
    if compartment is None:
        return Unmappable(
            MappingCode.COMPARTMENT_MISSING,
            f"{path}: a profile needs its compartment; set identity.default_compartment_id",
        )
    return ProfileKey(compartment, account.id)
