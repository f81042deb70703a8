"""The settings' mappings, as `relay check` looks at them: what lint says, and their tests."""

from collections.abc import Iterator
from pathlib import Path

from relay.checks.finding import Finding, failure, ok, warning
from relay.cli.map.files import NamedMapping, mappings_in, tests_beside
from relay.errors import RelayError, SettingsError
from relay.settings import DEFAULT_FILE, Settings
from relay.sources.tools.lint import lint
from relay.sources.tools.testing import run_test
from relay.yaml_text import Located


def check_maps(settings: Settings, config: Path | None) -> Iterator[Finding]:
    """Tests are those in a mapping, and in NAME.map-test.yaml files beside the settings file."""
    for mapping in _mappings(settings, config):
        compiled, problems = mapping.judged(None)
        if compiled is None or problems:
            continue  # told with the settings
        for problem in lint(compiled, mapping.data):
            yield warning(f"mapping {mapping.name}", mapping.shown(problem))
        try:
            finding = _finding(mapping)
        except RelayError as error:
            finding = failure(f"mapping {mapping.name}", error)
        if finding is not None:
            yield finding


def _mappings(settings: Settings, config: Path | None) -> list[NamedMapping]:
    path = config or DEFAULT_FILE
    beside = {one.name: one for one in mappings_in(str(path))} if path.exists() else {}
    given = Located({"mappings": settings.mappings})
    return [
        beside.get(name) or NamedMapping(name, given, ("mappings", name), None)
        for name in settings.mappings
    ]


def _finding(mapping: NamedMapping) -> Finding | None:
    """What its tests say, without a value of their records."""
    count, failing = 0, []
    for _, own, tests in tests_beside(mapping):
        compiled = mapping.compiled(own)
        for number, test in enumerate(tests, start=1):
            count += 1
            result = run_test(compiled, test, number)
            if not result.passed:
                failing.append(result.name)
    subject = f"mapping {mapping.name}"
    if not failing:
        return ok(subject, f"{count} test{'s' * (count > 1)} pass") if count else None
    names = "; ".join(failing[:3]) + (" …" if len(failing) > 3 else "")  # noqa: PLR2004
    problem = SettingsError(
        f"{len(failing)} of {count} tests fail: {names}",
        hint="relay map test with the settings file shows each expression",
    )
    return failure(subject, problem)
