"""How the user of an event becomes identifiers that the platform knows."""

from pydantic import Field

from relay.section import Section
from relay.stream.mapping.identity import hash_email
from relay.stream.mapping.nothing import digests_of
from relay.stream.mapping.policy import (
    EmailHashing,
    EmailPolicy,
    GuardPolicy,
    IdentityForm,
    IdentityPolicy,
    MissingCompartment,
)


class EmailSettings(Section):
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

    def policy(self) -> EmailPolicy:
        """How addresses are hashed, and which may come and go."""
        return EmailPolicy(
            hashing=self.hash,
            normalise=self.normalise,
            accept_clear=self.accept_clear,
            send_clear=self.send_clear,
            check_hash=self.check_hash,
        )


class GuardSettings(Section):
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
        "digests (MD5, SHA-1, SHA-2). The usual words are known (docs/EVENTS.md).",
    )
    leave_out_role_addresses: bool = Field(
        True,
        description="Leave out addresses that a role has and not a person: `info@`, `support@`, "
        "`sales@` and their like (docs/EVENTS.md).",
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


class IdentitySettings(Section):
    """Which identifiers are sent, and in which form."""

    form: IdentityForm = Field(
        IdentityForm.USER_IDENTIFIERS,
        description="`user_identifiers` sends all of them; `legacy` one of each kind, at the root "
        "of the activity.",
    )
    default_compartment_id: str | None = Field(
        None, min_length=1, description="Compartment of accounts that name none."
    )
    compartments: dict[str, str] = Field(
        default_factory=dict,
        description="Names that events may use for compartments: `{crm: '1000'}`.",
    )
    missing_compartment: MissingCompartment = Field(
        MissingCompartment.REJECT,
        description="An account for which no compartment is known is dead-lettered with `reject`; "
        "`platform` sends it without one, and the platform takes the datamart's default.",
    )
    compartment_as_number: bool = Field(
        False, description="Send compartment ids as JSON numbers instead of text."
    )
    email: EmailSettings = Field(default_factory=EmailSettings, description="Email addresses.")
    guard: GuardSettings = Field(
        default_factory=GuardSettings, description="Against merging different people."
    )

    def policy(self) -> IdentityPolicy:
        """What mapping goes by when it says whose an activity is."""
        email = self.email.policy()
        shared = {entry.casefold() for entry in self.guard.shared_emails}
        shared |= {hash_email(entry, email) for entry in shared if "@" in entry.lstrip("@")}
        placeholders = {entry.casefold() for entry in self.guard.placeholders}
        return IdentityPolicy(
            form=self.form,
            default_compartment_id=self.default_compartment_id,
            compartments=dict(self.compartments),
            missing_compartment=self.missing_compartment,
            compartment_as_number=self.compartment_as_number,
            email=email,
            guard=GuardPolicy(
                shared_accounts=frozenset(entry.casefold() for entry in self.guard.shared_accounts),
                shared_emails=frozenset(shared),
                placeholders=frozenset(placeholders),
                placeholder_digests=digests_of([*self.guard.placeholders, *placeholders]),
                leave_out_role_addresses=self.guard.leave_out_role_addresses,
                role_names=frozenset(entry.casefold() for entry in self.guard.role_names),
                normalise_advertising_ids=self.guard.normalise_advertising_ids,
                accounts_max=self.guard.accounts_max,
                emails_max=self.guard.emails_max,
                devices_max=self.guard.devices_max,
            ),
        )
