"""The options that the commands about users share: for whom, and from which file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from relay.errors import InputError


def _of_user(flag: str, metavar: str, help_text: str) -> Any:
    return typer.Option(
        flag, metavar=metavar, show_default=False, help=help_text, rich_help_panel="Whom"
    )


def _of_file(flag: str, help_text: str) -> Any:
    return typer.Option(flag, metavar="FILE", show_default=False, help=help_text)


@dataclass(frozen=True, slots=True)
class Whom:
    """The identifiers that were given for one user, and which of them selects."""

    account: Annotated[str | None, _of_user("--account", "ID", "An account of the user.")] = None
    compartment: Annotated[
        str | None,
        _of_user("--compartment", "ID", "Where the account is: id or name; else the settings'."),
    ] = None
    email: Annotated[
        str | None, _of_user("--email", "ADDRESS", "An address; hashed as the settings say.")
    ] = None
    email_hash: Annotated[
        str | None,
        _of_user("--email-hash", "HASH", "The hash of an address, as the datamart has it."),
    ] = None
    device: Annotated[
        str | None,
        _of_user("--device", "ID", "A device as the platform knows it: vec:…, mob:…."),
    ] = None
    user_point: Annotated[
        str | None, _of_user("--user-point", "ID", "The platform's own id of the user.")
    ] = None
    select: Annotated[
        str | None,
        _of_user(
            "--select",
            "account|email|device|user_point|user_point_bare",
            "Which of these selects the user, where several are given.",
        ),
    ] = None

    def fields(self) -> dict[str, Any]:
        """The fields of an event that say the same."""
        if self.compartment is not None and self.account is None:
            raise InputError("--compartment says where an account is; give --account too")
        user: dict[str, Any] = {}
        if self.account is not None:
            account = {"id": self.account, "compartment": self.compartment}
            user["accounts"] = [{k: v for k, v in account.items() if v is not None}]
        email = {"address": self.email, "hash": self.email_hash}
        if given := {k: v for k, v in email.items() if v is not None}:
            user["emails"] = [given]
        if self.device is not None:
            user["devices"] = [{"id": self.device}]
        if not user and self.user_point is None:
            raise InputError(
                "nobody is named",
                hint="give --account, --email, --email-hash, --device or --user-point",
            )
        fields = {"user": user, "user_point_id": self.user_point, "selector": self.select}
        return {k: v for k, v in fields.items() if v is not None}

    @property
    def is_nobody(self) -> bool:
        """Whether nothing was given."""
        return self == Whom()


@dataclass(frozen=True, slots=True)
class UsersFile:
    """A file of users instead of one user, and what is kept of it."""

    file: Annotated[
        Path | None,
        _of_file(
            "--file",
            "Many users: a JSON object a line, an event of docs/EVENTS.md whose type, id and ts "
            "may be left out; - is standard input.",
        ),
    ] = None
    progress: Annotated[
        Path | None,
        _of_file(
            "--progress",
            "With --file: keep there which lines are finished. A run that was cut short goes on "
            "with the same option; a complete one deletes the file.",
        ),
    ] = None
    report: Annotated[
        Path | None,
        _of_file(
            "--report",
            "With --file: write lines that failed there, as JSON, instead of to standard error.",
        ),
    ] = None

    def instead_of(self, whom: Whom, others: object) -> Path | None:
        """The file; with one, nothing else may say whom or what.

        Raises:
            InputError: Both are given, or what belongs to a file without one.
        """
        if self.file is None:
            if self.progress is not None or self.report is not None:
                raise InputError("--progress and --report belong to --file")
        elif others or not whom.is_nobody:
            raise InputError("--file says whom and what; give nothing else of it")
        return self.file
