"""`relay map test · lint · explain · diff · preset`: what helps to write a mapping."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from relay.cli.options import ConfigOption, JsonOption
from relay.errors import ExitStatus
from relay.wording import counted

MappingArgument = Annotated[
    str,
    typer.Argument(
        metavar="MAPPING",
        help="A mapping file, a settings file with mappings, or the name of a preset.",
    ),
]
SettingsOption = Annotated[
    Path | None,
    typer.Option("--settings", metavar="FILE", help="YAML with settings for the mapping."),
]
ShowOption = Annotated[
    bool, typer.Option("--show-personal-data", help="Print values as they are, not masked.")
]


def register(group: typer.Typer) -> None:
    """Make the commands known."""
    group.command("test")(run_tests)
    group.command("lint")(lint_mapping)
    group.command("explain")(explain)
    group.command("diff")(diff)
    group.command("preset")(print_preset)


def run_tests(
    mapping: MappingArgument, settings: SettingsOption = None, as_json: JsonOption = False
) -> None:
    """Run the tests of a mapping.

    Those in the mapping, and those in NAME.map-test.yaml beside its file.

    Of a test that fails the value of each expression is shown. Exit status 10 when any fails.

    Example: relay map test shop.yaml
    """
    from relay.cli.map.files import mappings_in, settings_in, tests_beside
    from relay.sources.tools.testing import run_test

    given = settings_in(settings)
    results: list[dict[str, Any]] = []
    for one in mappings_in(mapping):
        for file, own, tests in tests_beside(one):
            compiled = one.compiled({**(given or {}), **(own or {})})
            for number, test in enumerate(tests, start=1):
                result = run_test(compiled, test, number)
                results.append({"file": file, "test": result.name, "wrong": list(result.wrong)})
                if not as_json:
                    _say_result(file, result)
    failed = sum(1 for result in results if result["wrong"])
    if as_json:
        typer.echo(json.dumps({"tests": results, "failed": failed}, ensure_ascii=False))
    else:
        typer.echo(f"{counted(len(results), 'test')}, {failed} failed")
    if failed or not results:
        raise typer.Exit(ExitStatus.FINDINGS)


def _say_result(file: str, result: Any) -> None:
    typer.echo(f"{'ok    ' if result.passed else 'FAILED'} {file}: {result.name}")
    for line in result.wrong:
        typer.echo(f"         {line}")
    for at, traced in enumerate(result.traced):
        typer.echo(f"         event {at}, rule {traced.rule or '(none)'}")
        for value in traced.values:
            typer.echo(f"           {value.target} = {value.expression}  ->  {_told(value)}")


def _told(value: Any, *, exact: bool = True) -> str:
    from relay.sources.tools.comparing import masked

    if value.fault is not None:
        return str(value.fault)
    if value.value is None:
        return "absent"
    return (
        json.dumps(value.value, ensure_ascii=False, default=str) if exact else masked(value.value)
    )


def lint_mapping(
    mapping: MappingArgument,
    samples: Annotated[
        Path | None,
        typer.Option("--samples", metavar="FILE", help="Records, one JSON value a line."),
    ] = None,
    settings: SettingsOption = None,
) -> None:
    """Say what is wrong with a mapping, or looks wrong.

    With samples also paths that no record has. Exit status 10 when there is anything to say.

    Example: relay map lint shop.yaml --samples orders.ndjson
    """
    from relay.cli.map.files import documents, mappings_in, settings_in
    from relay.sources.tools.lint import lint, lint_paths

    lines: list[str] = []
    for one in mappings_in(mapping):
        compiled, problems = one.judged(settings_in(settings))
        if compiled is not None and not problems and not one.given.problems:
            problems = lint(compiled, one.data)
            if samples is not None:
                problems += lint_paths(compiled, (found for _, found, _ in documents(samples)))
        lines += one.given.problems
        lines += [f"{problem.severity}: {one.shown(problem)}" for problem in problems]
    for line in dict.fromkeys(lines):
        typer.echo(line)
    if lines:
        raise typer.Exit(ExitStatus.FINDINGS)
    typer.echo("nothing to say")


def explain(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="Records, one JSON value a line; - is stdin.")
    ],
    mapping: Annotated[
        str, typer.Option("--mapping", "-m", metavar="MAPPING", help="A mapping file or preset.")
    ],
    settings: SettingsOption = None,
    show_personal_data: ShowOption = False,
) -> None:
    """Show which expression made each field of each event.

    Example: relay map explain orders.ndjson --mapping shop.yaml
    """
    from relay.cli.map.files import documents, mapping_in, settings_in
    from relay.model import Undecodable, Unwanted
    from relay.sources.events import events_of
    from relay.sources.tools.trace import trace

    compiled = mapping_in(mapping).compiled(settings_in(settings))
    for number, document, record in documents(source):
        traced = trace(compiled, document, record)
        for at, event in enumerate(events_of(compiled(document, record))):
            match event:
                case Undecodable():
                    fate = f"dead-lettered: {event.code}: {event.reason}"
                case Unwanted():
                    fate = f"skipped: {event.code}"
                case _:
                    fate = f"becomes {event.type}"
            rule = traced[at].rule if at < len(traced) else None
            typer.echo(f"line {number}, event {at}: rule {rule or '(none)'}: {fate}")
            for value in traced[at].values if at < len(traced) else ():
                told = _told(value, exact=show_personal_data)
                typer.echo(f"  {value.target} = {value.expression}  ->  {told}")


def diff(  # noqa: PLR0917 - options of a command are given by name
    old: Annotated[str, typer.Option("--old", metavar="MAPPING", help="The mapping as it was.")],
    new: Annotated[str, typer.Option("--new", metavar="MAPPING", help="The mapping as it is now.")],
    source: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Records, one JSON value a line; - is stdin."),
    ] = None,
    topic: Annotated[
        str | None,
        typer.Option("--from", metavar="TOPIC", help="Instead of FILE: the last of a topic."),
    ] = None,
    last: Annotated[
        int, typer.Option("--last", min=1, help="How many records of the topic, about.")
    ] = 10_000,
    config: ConfigOption = None,
    settings: SettingsOption = None,
    show_personal_data: ShowOption = False,
) -> None:
    """Compare what two mappings make of the same records.

    Fates first, then fields.

    The records are those of a file, or the last of a topic, read without a consumer group in the
    format that the topic's source has. Exit status 10 when any record ends otherwise.

    Example: relay map diff orders.ndjson --old shop.yaml --new shop-next.yaml
    """
    from relay.cli.map.files import mapping_in, settings_in
    from relay.cli.map.records import Where, for_each
    from relay.sources.tools.comparing import Comparison

    given = settings_in(settings)
    before, after = mapping_in(old).compiled(given), mapping_in(new).compiled(given)
    comparison = Comparison()
    unread = for_each(
        Where(source, topic, config, last),
        lambda document, record: comparison.add(before, after, document, record),
    )
    _say_comparison(comparison, exact=show_personal_data)
    if unread:
        typer.echo(f"{unread:>8}  could not be read, by either")
    if comparison.differs:
        raise typer.Exit(ExitStatus.FINDINGS)


def _say_comparison(comparison: Any, *, exact: bool) -> None:
    from relay.sources.tools.comparing import masked
    from relay.sources.tools.testing import ABSENT

    def told(value: Any) -> str:
        if not exact or value is ABSENT:
            return masked(value)
        return json.dumps(value, ensure_ascii=False, default=str)

    typer.echo(
        f"{counted(comparison.records, 'record')}, {counted(comparison.fates.total(), 'event')}"
    )
    for (one, other), count in comparison.fates.most_common():
        typer.echo(f"{count:>8}  {one}" if one == other else f"{count:>8}  {one}  ->  {other}")
    for path, count in comparison.changed.most_common():
        typer.echo(f"{count:>8}  {path}")
        for was, now in comparison.examples[path]:
            typer.echo(f"            {told(was)}  ->  {told(now)}")


def print_preset(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Which one; without it their names.")
    ] = None,
) -> None:
    """Print a preset: a mapping to copy and change.

    Example: relay map preset segment
    """
    from relay.sources.presets import preset_names, preset_text

    if name is None:
        for known in preset_names():
            typer.echo(known)
        return
    typer.echo(preset_text(name), nl=False)
