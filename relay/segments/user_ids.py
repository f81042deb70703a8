"""The CSV of an export → the users in it, as the platform knows them, one at a time.

What columns an export has is documented nowhere, so nothing is assumed: the column is told by name
or by place, and what kind of id it holds by the settings. An id is text from end to end:
mParticle's have 64 bits and would not survive as floating-point numbers.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from relay.errors import InputError
from relay.segments.formats import CONTROL
from relay.segments.text_file import cut_off, rows
from relay.stream.mapping.addresses import EmailPolicy, hash_email
from relay.stream.mapping.guard import GuardPolicy
from relay.stream.mapping.identity import is_nobody

_INT64_MAX = 1 << 63
_GUARD = GuardPolicy()
_MPID = re.compile(r"-?[1-9][0-9]{0,18}")
# No number that stands for "nobody", as -1 does, is longer: looking it up costs a µs a row.
_WORD_DIGITS_MAX = 5
_ROUNDED = re.compile(r"-?[0-9.,]+[eE]\+?[0-9]+")
_EMAIL = re.compile(r"[^\s@;,|<>\"]+@[^\s@;,|<>\"]+")
_HEX = re.compile(r"[0-9a-fA-F]+")


class IdType(StrEnum):
    """What the id column of an export holds."""

    MPID = "mpid"
    CUSTOMER_ID = "customer_id"
    EMAIL = "email"
    EMAIL_HASH = "email_hash"
    USER_AGENT_ID = "user_agent_id"
    OTHER = "other"

    @property
    def identifier(self) -> str:
        """The field of a segment command that takes it."""
        match self:
            case IdType.EMAIL | IdType.EMAIL_HASH:
                return "email_hash"
            case IdType.USER_AGENT_ID:
                return "user_agent_id"
            case IdType.MPID | IdType.CUSTOMER_ID | IdType.OTHER:
                return "user_account_id"


@dataclass(frozen=True, slots=True)
class IdPolicy:
    """Where the users of an export stand, and how they become identifiers."""

    id_type: IdType
    column: str | int = 0
    """A column's name, or its place counted from 0."""
    header: bool = True
    """Whether the first line names the columns."""
    email: EmailPolicy = field(default_factory=EmailPolicy)
    last_line_end: bool = True
    """Whether the last line must end with a line end, where the ids stand in the last column."""


def read_users(path: Path, policy: IdPolicy, *, called: Path | None = None) -> Iterator[str | None]:
    """Each row's user; None for a row without one: empty, or a word that means nobody.

    `called` is what errors call the file, where that is not where it lies.
    """
    table = rows(path, called)
    name = called or path
    place = _place(name, table, policy)
    numbers = policy.id_type is IdType.MPID
    for number, cells, open_end in table:
        if place >= len(cells):
            raise InputError(f"{name}:{number}: has {len(cells)} columns, none at {place}")
        if open_end and policy.last_line_end and place == len(cells) - 1:
            raise cut_off(name, open_end, ", or set last_line_end to false")
        cell = cells[place]
        user = _user(cell, policy)
        if user is None or not (numbers and len(cell) > _WORD_DIGITS_MAX):
            if not cell.strip() or is_nobody(cell, _GUARD):
                yield None
                continue
            if user is None:
                raise InputError(
                    f"{name}:{number}: column {place + 1} holds no {policy.id_type}",
                    hint=_hint(cell),
                )
        yield user


def _place(file: Path, table: Iterator[tuple[int, list[str], int]], policy: IdPolicy) -> int:
    """Where the id stands; reads the line of names if there is one."""
    column = policy.column
    if not policy.header:
        if isinstance(column, str):
            raise InputError(f"{file}: a column is told by name, but the file has no line of names")
        return column
    number, names, _ = next(table, (1, [], 0))
    if not names:
        raise InputError(f"{file}: is empty", hint="an export has at least a line of names")
    if isinstance(column, int):
        if column >= len(names):
            raise InputError(f"{file}:{number}: has {len(names)} columns, none at {column}")
        # A first user that is taken for a name would be lost without a word.
        if policy.id_type is not IdType.OTHER and _is_telling(names[column], policy):
            raise InputError(
                f"{file}:{number}: column {column + 1} of the first line holds a "
                f"{policy.id_type}, not a name",
                hint="if the file has no line of names, set header to false",
            )
        return column
    found = [at for at, name in enumerate(names) if name.strip() == column]
    found = found or [
        at for at, name in enumerate(names) if name.strip().casefold() == column.casefold()
    ]
    if len(found) != 1:
        many = "no column" if not found else f"{len(found)} columns"
        raise InputError(
            f"{file}:{number}: has {many} named {column} among its {len(names)}",
            hint="name the column of the users, or its place counted from 0",
        )
    return found[0]


def _is_telling(cell: str, policy: IdPolicy) -> bool:
    """Whether the cell can be nothing but an id: any word may be a customer's."""
    telling = (IdType.MPID, IdType.EMAIL, IdType.EMAIL_HASH)
    return policy.id_type in telling and _user(cell, policy) is not None


def _user(cell: str, policy: IdPolicy) -> str | None:
    """The identifier for a cell, or None where it cannot be one."""
    match policy.id_type:
        case IdType.MPID:
            fits = _MPID.fullmatch(cell) and -_INT64_MAX <= int(cell) < _INT64_MAX
            return cell if fits else None
        case IdType.EMAIL:
            return hash_email(cell, policy.email) if _EMAIL.fullmatch(cell.strip()) else None
        case IdType.EMAIL_HASH:
            digest = cell.strip()
            length = len(hash_email("", policy.email))
            if policy.email.check_hash and (len(digest) != length or not _HEX.fullmatch(digest)):
                return None
            return digest.lower() if policy.email.check_hash else digest
        case IdType.CUSTOMER_ID | IdType.USER_AGENT_ID | IdType.OTHER:
            # With blanks around it is not the id that everybody else sends: refused, not trimmed,
            # since only its owner knows which of the two was meant.
            return None if cell != cell.strip() or CONTROL.search(cell) else cell


def _hint(cell: str) -> str | None:
    if _ROUNDED.fullmatch(cell.strip()):
        return "a spreadsheet has rounded it: use the file as it was exported"
    if cell != cell.strip():
        return "there is white space around it"
    if CONTROL.search(cell):
        return "there is a control character in it, as NUL or a line break"
    return None
