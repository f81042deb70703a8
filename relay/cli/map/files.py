"""Files of mappings, of their tests and of records, as the commands of `relay map` read them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiter

from relay.cli.lines import numbered_lines, opened
from relay.errors import InputError, SettingsError
from relay.model import Record
from relay.sources.mapping import CompiledMapping, judge_mapping
from relay.sources.mapping.compiling import shown
from relay.sources.mapping.nodes import Problem
from relay.sources.presets import preset, preset_names
from relay.yaml_text import Loc, Located, read_yaml

LINE_MAX = 16 * 1_048_576  # A sample may hold a whole batch in one line; more is some other file.
TESTS_SUFFIX = ".map-test.yaml"


@dataclass(frozen=True, slots=True)
class NamedMapping:
    """A mapping and where it stands: a file or preset, and the place in it."""

    name: str
    given: Located
    at: Loc
    path: Path | None

    @property
    def data(self) -> dict[str, Any]:
        """Its YAML."""
        data = self.given.data
        for step in self.at:
            data = data[step]
        return data if isinstance(data, dict) else {}

    def judged(
        self, settings: dict[str, Any] | None
    ) -> tuple[CompiledMapping | None, list[Problem]]:
        """The mapping as far as it compiles, and what is wrong with it."""
        return judge_mapping(self.given, settings, at=self.at)

    def compiled(self, settings: dict[str, Any] | None) -> CompiledMapping:
        """The mapping. Raises SettingsError with every problem."""
        compiled, problems = self.judged(settings)
        errors = [*self.given.problems, *(self.shown(p) for p in problems if p.severity == "error")]
        if errors or compiled is None:
            raise SettingsError("\n".join(dict.fromkeys(errors)))
        return compiled

    def shown(self, problem: Problem) -> str:
        """A problem as one line."""
        return shown(self.given, self.at, problem)


def mappings_in(source: str) -> list[NamedMapping]:
    """The mappings of a file (one mapping, or `mappings:` of a settings file), or a preset."""
    path = Path(source)
    if not path.exists() and source in preset_names():
        return [NamedMapping(source, preset(source), (), None)]
    given = read(path)
    data = given.data
    if isinstance(data, dict) and "rules" not in data and isinstance(data.get("mappings"), dict):
        return [NamedMapping(name, given, ("mappings", name), path) for name in data["mappings"]]
    return [NamedMapping(path.stem, given, (), path)]


def mapping_in(source: str) -> NamedMapping:
    """The one mapping of a file; `file.yaml#name` names one of several."""
    file, _, name = source.partition("#")
    found = [one for one in mappings_in(file) if name in ("", one.name)]
    if len(found) != 1:
        names = ", ".join(one.name for one in mappings_in(file))
        raise InputError(
            f"{source}: names no single mapping", hint=f"FILE#NAME, with one of {names}"
        )
    return found[0]


def tests_beside(mapping: NamedMapping) -> Iterator[tuple[str, dict[str, Any] | None, list[Any]]]:
    """The tests of a mapping: its own, and files `NAME….map-test.yaml` beside its file.

    With each list comes its file and the settings that it wants the mapping to have.
    """
    if isinstance(mapping.data.get("tests"), list):
        yield str(mapping.path or mapping.name), None, mapping.data["tests"]
    if mapping.path is None:
        return
    for path in sorted(mapping.path.parent.glob(f"*{TESTS_SUFFIX}")):
        stem = path.name.removesuffix(TESTS_SUFFIX)
        if stem != mapping.name and not stem.startswith(mapping.name + "."):
            continue
        given = read(path)
        data = given.data if isinstance(given.data, dict) else {"tests": given.data}
        for key in data.keys() - {"settings", "tests"}:
            given.problems.append(
                f"{given.origin((key,))}: {key}: only settings and tests stand here"
            )
        if not isinstance(data.get("tests"), list):
            given.problems.append(f"{path}: needs a list of tests")
        if given.problems:
            raise SettingsError("\n".join(given.problems))
        yield str(path), data.get("settings"), data["tests"]


def settings_in(path: Path | None) -> dict[str, Any] | None:
    """Settings for a mapping, from a YAML file that is a map of them."""
    if path is None:
        return None
    given = read(path)
    if given.problems or not isinstance(given.data, dict):
        raise SettingsError("\n".join(given.problems) or f"{path}: must be a map of settings")
    return given.data


def read(path: Path) -> Located:
    """A YAML file. Raises InputError when it cannot be read at all."""
    try:
        return read_yaml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text") from None


def documents(source: Path) -> Iterator[tuple[int, Any, Record]]:
    """The records of a file, one JSON value a line, with the number of the line."""
    with opened(source) as file:
        for number, line in numbered_lines(file, LINE_MAX):
            try:
                document = jiter.from_json(line, allow_inf_nan=False)
            except ValueError:
                raise InputError(
                    f"{source}:{number}: is not JSON", hint="one value a line"
                ) from None
            yield number, document, Record(source.name, 0, number, 0, None, line)
