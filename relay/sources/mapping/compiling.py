"""A mapping as it stands in YAML → a function from documents to events, made once.

    compiled = compile_mapping(read_yaml(text, "shop.yaml"))
    for part in compiled(document, record): ...       # Mapped | Undecodable | Unwanted

The function is pure, never raises on JSON values, and ends after steps that are bounded by the
size of the mapping times the size of the document.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from relay.errors import SettingsError
from relay.model import Record, Undecodable, Unwanted
from relay.sources.mapping.evaluation import Closure, Names, Scope
from relay.sources.mapping.faults import MappingCode, Unfit
from relay.sources.mapping.nodes import Evaluated, Problem, Problems, Severity, read_expression
from relay.sources.mapping.rules import Mapped, Part, Rule, RuleName, read_rule, refused
from relay.sources.mapping.structure import build, reads
from relay.sources.mapping.syntax import Path
from relay.yaml_text import Located

EVENTS_MAX = 1000  # of one record, where no settings say otherwise
KEYS = ("settings", "tables", "events", "all", "rules", "otherwise", "no_user", "tests")
_NOBODY = Unwanted(MappingCode.NO_USER, "user: has no identifier that the mapping takes")
_NOTHING = Unwanted(MappingCode.NO_EVENTS, "events: the list has no entries")


@dataclass(slots=True)
class CompiledMapping:
    """A mapping that can be used. Call it with a document and the record that it came in."""

    rules: list[Rule]
    otherwise: Part
    events: Evaluated | None
    names: Names
    tests: Sequence[Any] = ()
    events_max: int = EVENTS_MAX
    skip_no_user: bool = False
    _events: Closure | None = None
    _base: tuple[Path, ...] = ()

    def __call__(self, document: Any, record: Record) -> Sequence[Part]:
        """What becomes of a document: one part, or one for each of its events, in their order."""
        scope = Scope(record, None, 0, {})
        if self._events is None:
            return (self._part(document, scope),)
        try:
            found = self._events(document, scope)
        except Unfit as fault:
            fault.target.append("events")
            fault.read = fault.read or self._base
            return (refused(fault, RuleName("events")),)
        # What `events` may give:
        #
        #     absent, or an empty list  skipped, as "no events"
        #     one thing                 a list of one
        #     too many                  a dead letter: nobody sends so many in one record on purpose
        #     a list                    an outcome for each, in their order
        if found is None or found == []:
            return (_NOTHING,)
        if type(found) is not list:
            found = [found]
        if len(found) > self.events_max:
            text = f"events: more than {self.events_max} in one record"
            return (Undecodable(MappingCode.TOO_MANY_EVENTS, text),)
        known: dict[int, Any] = {}
        return [
            self._part(event, Scope(document, scope, at, known)) for at, event in enumerate(found)
        ]

    def _part(self, here: Any, scope: Scope) -> Part:
        for rule in self.rules:
            holds = rule.holds
            if holds is None or holds(here, scope) is True:
                part = rule.outcome(here, scope)
                if self.skip_no_user and type(part) is Mapped and not part.document.get("user"):
                    return _NOBODY
                return part
        return self.otherwise

    @property
    def makes_segments(self) -> bool:
        """Whether one of its rules may make events of membership."""
        return any(rule.outcome_of in {"segment", "native"} for rule in self.rules)

    def rule_for(self, here: Any, scope: Scope) -> Rule | None:
        """The rule that decides about an element; for those who explain."""
        for rule in self.rules:
            if rule.holds is None or rule.holds(here, scope) is True:
                return rule
        return None

    def elements(self, document: Any, record: Record) -> list[tuple[Any, Scope]]:
        """Each event of a document with its scope; for those who explain."""
        scope = Scope(record, None, 0, {})
        if self._events is None:
            return [(document, scope)]
        try:
            found = self._events(document, scope)
        except Unfit:
            return []
        known: dict[int, Any] = {}
        listed = found if type(found) is list else [] if found is None else [found]
        return [
            (event, Scope(document, scope, at, known))
            for at, event in enumerate(listed[: self.events_max])
        ]


def compile_mapping(
    given: Located,
    settings: Mapping[str, Any] | None = None,
    *,
    at: tuple[str | int, ...] = (),
    events_max: int = EVENTS_MAX,
) -> CompiledMapping:
    """The mapping, ready for use. Raises SettingsError with a line for each thing that is wrong.

    `at` is where in the file it stands; `settings` are values for those that the mapping declares.
    """
    compiled, problems = judge_mapping(given, settings, at=at, events_max=events_max)
    errors = [shown(given, at, found) for found in problems if found.severity is Severity.ERROR]
    errors = [*given.problems, *errors]
    if errors or compiled is None:
        raise SettingsError("\n".join(dict.fromkeys(errors)))
    return compiled


def shown(given: Located, at: tuple[str | int, ...], problem: Problem) -> str:
    """A problem as one line: file, line, key path, what is wrong."""
    origin = given.origin((*at, *problem.loc))
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in problem.loc)
    where = ": ".join(part for part in (origin, place.lstrip(".")) if part)
    return f"{where}: {problem.text}" if where else problem.text


def judge_mapping(
    given: Located,
    settings: Mapping[str, Any] | None = None,
    *,
    at: tuple[str | int, ...] = (),
    events_max: int = EVENTS_MAX,
) -> tuple[CompiledMapping | None, list[Problem]]:
    """The mapping, as far as it could be compiled, and all that is wrong with it."""
    problems = Problems()
    data: Any = given.data
    for step in at:
        data = data[step]
    if not isinstance(data, dict):
        if not given.problems:
            problems.error((), "a mapping is a map with rules")
        return None, problems.found
    for key in data.keys() - set(KEYS):
        near = get_close_matches(key, KEYS, n=1)
        problems.error(
            (key,), "is no part of a mapping" + (f"; did you mean {near[0]}?" if near else "")
        )
    names = Names(_tables(data, problems), _settings(data, settings or {}, problems))
    events, closure, base = _events(data, names, problems)
    levels = 0 if events is None else 1
    compiled = CompiledMapping(
        rules=_rules(data, names, levels, problems),
        otherwise=_otherwise(data, problems),
        events=events,
        names=names,
        tests=_listed(data, "tests", problems),
        events_max=events_max,
        skip_no_user=_skips_no_user(data, problems),
        _events=closure,
        _base=base,
    )
    return compiled, problems.found


def _listed(data: dict[str, Any], key: str, problems: Problems) -> list[Any]:
    found = data.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        problems.error((key,), "must be a list")
        return []
    return found


def _mapped(data: dict[str, Any], key: str, problems: Problems) -> dict[str, Any]:
    found = data.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        problems.error((key,), "must be a map")
        return {}
    return found


def _tables(data: dict[str, Any], problems: Problems) -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = {}
    for name, table in _mapped(data, "tables", problems).items():
        if not isinstance(table, dict):
            problems.error(("tables", name), "must be a map from texts to values")
            continue
        for key, value in table.items():
            if value is None or isinstance(value, dict | list):
                problems.error(
                    ("tables", name, key), "must be text, a number, true or false; nothing nested"
                )
        tables[name] = table
    return tables


def _settings(data: dict[str, Any], given: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """The settings that the mapping declares, with the values that were given for them."""
    declared = dict(_mapped(data, "settings", problems))
    for name, value in given.items():
        if name not in declared:
            near = get_close_matches(name, declared, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            problems.error(("settings", name), f"is no setting of this mapping{meant}")
            continue
        default = declared[name]
        # A setting must have the kind of its default; one that has none takes any.
        if default is not None and value is not None and type(default) is not type(value):
            problems.error(("settings", name), f"must be {_kind(default)}")
            continue
        declared[name] = value
    for name, value in declared.items():
        inner = (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        )
        if any(isinstance(entry, dict | list) or entry is None for entry in inner):
            problems.error(("settings", name), "holds something nested or empty: only plain values")
    return declared


def _kind(value: Any) -> str:
    kinds = {dict: "a map", list: "a list", str: "text", bool: "true or false"}
    return kinds.get(type(value), "a number")


def _events(
    data: dict[str, Any], names: Names, problems: Problems
) -> tuple[Evaluated | None, Closure | None, tuple[Path, ...]]:
    if "events" not in data:
        return None, None, ()
    before = len(problems.found)
    found = read_expression(data["events"], ("events",), problems)
    if not isinstance(found, Evaluated):
        if len(problems.found) > before:
            return None, None, ()
        problems.error(("events",), "must be a path to a list, such as .events")
        return None, None, ()
    return found, build(found, names, 0, problems), reads(found)


def _rules(data: dict[str, Any], names: Names, levels: int, problems: Problems) -> list[Rule]:
    every = _mapped(data, "all", problems)
    for key in ("name", "when", "track", "profile", "choice", "segment", "skip"):
        if key in every:
            problems.error(("all", key), "belongs into a rule")
    given = _listed(data, "rules", problems)
    if not given:
        problems.error(("rules",), "a mapping needs at least one rule")
    read = (
        read_rule(rule, every, ("rules", at), names, levels=levels, problems=problems)
        for at, rule in enumerate(given)
    )
    return [rule for rule in read if rule is not None]


def _otherwise(data: dict[str, Any], problems: Problems) -> Part:
    match data.get("otherwise"):
        case "skip":
            return Unwanted(MappingCode.NO_RULE, "no rule of the mapping is for it")
        case "dead_letter" | None:
            return Undecodable(MappingCode.NO_RULE, "no rule of the mapping is for it")
        case _:
            problems.error(("otherwise",), "must be dead_letter or skip")
            return Undecodable(MappingCode.NO_RULE, "no rule of the mapping is for it")


def _skips_no_user(data: dict[str, Any], problems: Problems) -> bool:
    chosen = data.get("no_user", "dead_letter")
    if chosen not in ("skip", "dead_letter"):
        problems.error(("no_user",), "must be dead_letter or skip")
    return bool(chosen == "skip")
