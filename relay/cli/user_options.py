"""The options that the commands about users share: for whom, and from which file."""

from pathlib import Path
from typing import Annotated, Any

import typer


def _of_user(flag: str, metavar: str, help_text: str) -> Any:
    return typer.Option(
        flag, metavar=metavar, show_default=False, help=help_text, rich_help_panel="Whom"
    )


AccountOption = Annotated[str | None, _of_user("--account", "ID", "An account of the user.")]
CompartmentOption = Annotated[
    str | None,
    _of_user("--compartment", "ID", "Where the account is: id or name; else the settings'."),
]
EmailOption = Annotated[
    str | None, _of_user("--email", "ADDRESS", "An address; hashed as the settings say.")
]
EmailHashOption = Annotated[
    str | None, _of_user("--email-hash", "HASH", "The hash of an address, as the datamart has it.")
]
DeviceOption = Annotated[
    str | None, _of_user("--device", "ID", "A device as the platform knows it: vec:…, mob:….")
]
UserPointOption = Annotated[
    str | None, _of_user("--user-point", "ID", "The platform's own id of the user.")
]
SelectOption = Annotated[
    str | None,
    _of_user(
        "--select",
        "account|email|device|user_point|user_point_bare",
        "Which of these selects the user, where several are given.",
    ),
]
FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file",
        metavar="FILE",
        show_default=False,
        help="Many users: a JSON object a line, an event of docs/EVENTS.md whose type, id and ts "
        "may be left out; - is standard input.",
    ),
]
ProgressOption = Annotated[
    Path | None,
    typer.Option(
        "--progress",
        metavar="FILE",
        show_default=False,
        help="With --file: keep there which lines are finished. A run that was cut short goes on "
        "with the same option; a complete one deletes the file.",
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        show_default=False,
        help="With --file: write lines that failed there, as JSON, instead of to standard error.",
    ),
]
