"""`relay users`: profiles and choices of single users, or of a file of them, by hand."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.commands import Commands
from relay.cli.options import ConfigOption, JsonOption
from relay.cli.users.options import UsersFile, Whom
from relay.errors import InputError

if TYPE_CHECKING:
    from relay.stream.mapping.policy import UpdateStrategy

_group = Commands(help="Change and read what is known of single users.")
_profile = Commands(help="Profiles: properties of an account.")
_choices = Commands(help="Choices: what a user accepts or refuses.")
_group.add_typer(_profile, name="profile")
_group.add_typer(_choices, name="choices")


def register(app: typer.Typer) -> None:
    """Make the commands known."""
    app.add_typer(_group, name="users")


@_profile.command(name="set")
def set_profile(
    properties: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=TEXT|NAME:=JSON", show_default=False, help="Properties to set."
        ),
    ] = None,
    *,
    whom: Whom,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="STRATEGY",
            show_default=False,
            help="PARTIAL_UPDATE, FORCE_REPLACE, legacy_replace, legacy_merge, "
            "legacy_merge_objects or platform; else mapping.update_strategy.",
        ),
    ] = None,
    many: UsersFile,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set properties of the profile of an account.

    The profile is put on the user point; there is no activity. Exit status 8 when the user is not
    known or the request is refused, 7 when the API cannot be reached or refuses the token.

    Example: relay users profile set gender=female points:=12 --account crm-881 --compartment 1700
    """
    from relay.cli.users.runs import put_one, run_file

    chosen = _strategy(strategy)
    if many.instead_of(whom, properties):
        run_file("profile", chosen, many, config, as_json=as_json)
        return
    if not properties:
        raise InputError("no property is given", hint="give NAME=TEXT, NAME:=JSON or --file")
    put_one("profile", chosen, whom, {"properties": _pairs(properties)}, config, as_json=as_json)


@_profile.command(name="delete-properties")
def delete_properties(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", show_default=False, help="Properties to delete."),
    ] = None,
    *,
    whom: Whom,
    many: UsersFile,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete properties of the profile of an account.

    The update strategy is PARTIAL_DELETE.

    In a file the `properties` of a line name what goes; their values are null, or what is to go
    out of an array or object. Exit statuses as of `set`.

    Example: relay users profile delete-properties zipcode --account crm-881 --compartment 1700
    """
    from relay.cli.users.runs import put_one, run_file
    from relay.stream.mapping.policy import UpdateStrategy

    chosen = UpdateStrategy.PARTIAL_DELETE
    if many.instead_of(whom, names):
        run_file("profile", chosen, many, config, as_json=as_json)
        return
    if not names:
        raise InputError("no property is named", hint="give names, or --file")
    put_one("profile", chosen, whom, {"properties": dict.fromkeys(names)}, config, as_json=as_json)


@_choices.command(name="set")
def set_choice(
    processing: Annotated[
        str | None,
        typer.Argument(metavar="PROCESSING_ID", show_default=False, help="What the choice is on."),
    ] = None,
    *,
    accept: Annotated[
        bool | None,
        typer.Option("--accept/--refuse", show_default=False, help="What the user decided."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", show_default=False, help="When: RFC 3339 or epoch ms; else now."
        ),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=TEXT|NAME:=JSON", show_default=False, help="A custom field; repeatable."
        ),
    ] = None,
    whom: Whom,
    many: UsersFile,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a user decided about a processing of personal data.

    Exit status 8 when the user is not known or the request is refused, 7 when the API cannot be
    reached or refuses the token.

    Example: relay users choices set 2048 --refuse --email jane@example.com
    """
    from relay.cli.users.runs import put_one, run_file

    if many.instead_of(whom, processing):
        run_file("choice", None, many, config, as_json=as_json)
        return
    if processing is None or accept is None:
        raise InputError(
            "a choice needs a processing id and --accept or --refuse", hint="or give --file"
        )
    fields: dict[str, Any] = {
        "processing_id": processing,
        "accepted": accept,
        "properties": _pairs(field or []),
    }
    if at is not None:
        fields["ts"] = int(at) if at.isascii() and at.isdigit() else at
    put_one("choice", None, whom, fields, config, as_json=as_json)


@_choices.command(name="list")
def list_choices(
    *,
    processing: Annotated[
        str | None,
        typer.Option(
            metavar="PROCESSING_ID", show_default=False, help="Only the choice on this one."
        ),
    ] = None,
    whom: Whom,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the current choices of a user.

    The API answers the same for a user without choices and for one that it does not know.

    Example: relay users choices list --account crm-881 --compartment 1700 --json
    """
    from relay.cli.users.runs import read_choices
    from relay.stream.mapping.requests import choice_path, choices_path

    def path(datamart_id: str, selector: str) -> str:
        if processing is None:
            return choices_path(datamart_id, selector)
        return choice_path(datamart_id, selector, processing)

    read_choices(path, whom, config, as_json=as_json)


@_choices.command(name="history")
def choice_history(
    processing: Annotated[
        str, typer.Argument(metavar="PROCESSING_ID", help="What the choices are on.")
    ],
    *,
    whom: Whom,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show each choice of a user about one processing.

    Example: relay users choices history 2048 --account crm-881 --compartment 1700
    """
    from relay.cli.users.runs import read_choices
    from relay.stream.mapping.requests import choice_history_path

    def path(datamart_id: str, selector: str) -> str:
        return choice_history_path(datamart_id, selector, processing)

    read_choices(path, whom, config, as_json=as_json)


def _strategy(name: str | None) -> "UpdateStrategy | None":
    from relay.stream.mapping.policy import UpdateStrategy

    if name is None:
        return None
    known = [s for s in UpdateStrategy if s is not UpdateStrategy.PARTIAL_DELETE]
    if name not in known:
        raise typer.BadParameter(f"must be one of {', '.join(known)}", param_hint="--strategy")
    return UpdateStrategy(name)


def _pairs(given: Sequence[str]) -> dict[str, Any]:
    """`NAME=TEXT` and `NAME:=JSON` → properties."""
    properties: dict[str, Any] = {}
    for pair in given:
        name, separator, value = pair.partition("=")
        raw = name.endswith(":")
        name = name.removesuffix(":") if raw else name
        if not separator or not name:
            raise InputError("a property is neither NAME=TEXT nor NAME:=JSON")
        if name in properties:
            raise InputError(f"property {name} is given twice")
        try:
            properties[name] = json.loads(value) if raw else value
        except (ValueError, RecursionError):
            raise InputError(f"property {name}: what stands after := is not JSON") from None
    return properties
