"""`relay schema`: the formats that we read and write, as JSON Schemas on standard output."""

from collections.abc import Callable
from importlib.resources import files
from typing import Annotated

import typer

from relay.errors import InputError


def register(app: typer.Typer) -> None:
    """Make the command known."""
    app.command()(schema)


def schema(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", show_default=False, help="Which; without it, a list."),
    ] = None,
    example: Annotated[
        bool, typer.Option("--example", help="Print examples in this format instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of a format, or examples of it.

    Formats are what relay reads and writes, and its settings.

    Example: relay schema app-event.v1

    Example: relay schema app-event.v1 --example
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
    typer.echo(_example(name) if example else rendered(schemas[name]()), nl=False)


def _file(name: str) -> Callable[[], str]:
    return lambda: (files(__package__) / "examples" / name).read_text(encoding="utf-8")


def _preset() -> str:
    from relay.sources.presets import preset_text

    return preset_text("cloudevents")


_EXAMPLES: dict[str, Callable[[], str]] = {
    "app-event.v1": _file("app-event.v1.ndjson"),  # one of each kind, as `relay map` takes them
    "relay.v1": _file("relay.v1.yaml"),
    "mapping.v1": _preset,
}


def _example(name: str) -> str:
    if name not in _EXAMPLES:
        raise InputError(
            f"there is no example of {name}",
            hint="there are: " + ", ".join(_EXAMPLES) + "; relay map FILE shows what we send",
        )
    return _EXAMPLES[name]()
