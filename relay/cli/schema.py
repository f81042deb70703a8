"""`relay schema`: the formats that we read and write, as JSON Schemas on standard output."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Make the command known."""
    app.command()(schema)


def schema(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", show_default=False, help="Which; without it, a list."),
    ] = None,
) -> None:
    """Print the JSON Schema of a format that relay reads or writes, or of its settings.

    Example: relay schema app-event.v1
    """
    from relay.schemas import SCHEMAS, rendered
    from relay.settings.editor_schemas import EDITOR_SCHEMAS

    schemas = {**SCHEMAS, **EDITOR_SCHEMAS}
    if name is None:
        for known, generate in schemas.items():
            typer.echo(f"{known:20} {generate()['title']}")
        return
    if name not in schemas:
        raise typer.BadParameter(f"there is no {name!r}; there are: {', '.join(schemas)}")
    typer.echo(rendered(schemas[name]()), nl=False)
