"""Tests of a mapping: records, what must become of them, and what became of them instead.

- name: an order becomes a confirmed transaction
  record: {eventId: "1", …}          # the document
  key: "881"                         # what Kafka says about the record: key, headers, topic
  expect: {rule: order, event: {…}}  # or skipped: code, or dead_lettered: code, reason: …
                                     # or events: a list of these, one for each event
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from relay.model import Record, Undecodable, Unwanted
from relay.sources.events import app_event
from relay.sources.mapping.compiling import CompiledMapping
from relay.sources.mapping.rules import Mapped, Part
from relay.sources.tools.trace import Traced, trace
from relay.wording import counted

TEST_KEYS = ("name", "record", "key", "headers", "topic", "timestamp", "expect")
EXPECT_KEYS = ("rule", "event", "skipped", "dead_lettered", "reason")
ABSENT = object()


@dataclass(frozen=True, slots=True)
class TestResult:
    """How a test went: what is wrong, and, where the mapping was run, what its expressions gave."""

    __test__ = False  # for pytest: a value, not a test

    name: str
    wrong: tuple[str, ...]
    traced: tuple[Traced, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong


def run_test(mapping: CompiledMapping, test: Any, number: int) -> TestResult:
    """Run one test. A test that cannot be understood has failed: it tests nothing."""
    if not isinstance(test, dict):
        return TestResult(f"test {number}", ("must be a map with record and expect",))
    name = str(test.get("name", f"test {number}"))
    wrong = _unknown(test, TEST_KEYS, "")
    wrong += [f"has no {key}" for key in ("record", "expect") if key not in test]
    record = _record(test, wrong)
    if wrong or record is None:
        return TestResult(name, tuple(wrong))
    document = test["record"]
    parts = mapping(document, record)
    wrong = _judge(parts, _rules(mapping, document, record, len(parts)), test["expect"])
    traced = tuple(trace(mapping, document, record)) if wrong else ()
    return TestResult(name, tuple(wrong), traced)


def _record(test: dict[str, Any], wrong: list[str]) -> Record | None:
    key, headers = test.get("key"), test.get("headers", {})
    topic, timestamp = test.get("topic", "test"), test.get("timestamp", 0)
    if not (key is None or isinstance(key, str)):
        wrong.append("key: must be text")
    if not isinstance(headers, dict) or not all(isinstance(v, str) for v in headers.values()):
        wrong.append("headers: must be a map of texts")
    if not isinstance(topic, str) or not isinstance(timestamp, int):
        wrong.append("topic must be text, and timestamp epoch milliseconds")
    if wrong:
        return None
    listed = tuple((name, value.encode()) for name, value in headers.items())
    return Record(topic, 0, 0, timestamp, None if key is None else key.encode(), b"", listed)


def _rules(mapping: CompiledMapping, document: Any, record: Record, count: int) -> list[str | None]:
    """The name of the rule that decided about each part; None where none did."""
    found = [mapping.rule_for(*element) for element in mapping.elements(document, record)]
    names = [None if rule is None else rule.name.name for rule in found]
    return names if len(names) == count else [None] * count


def _judge(parts: Sequence[Part], rules: Sequence[str | None], expect: Any) -> list[str]:
    if not isinstance(expect, dict):
        return ["expect: must be a map"]
    if "events" in expect:
        wrong = _unknown(expect, ("events",), "expect.")
        wanted = expect["events"]
        if not isinstance(wanted, list):
            return [*wrong, "expect.events: must be a list"]
        if len(wanted) != len(parts):
            wrong.append(f"expected {counted(len(wanted), 'event')}, and it became {len(parts)}")
        for at, (part, rule, one) in enumerate(zip(parts, rules, wanted, strict=False)):
            wrong += [f"event {at}: {text}" for text in _judge_part(part, rule, one)]
        return wrong
    if len(parts) != 1:
        return [f"it became {len(parts)} events: expect a list of `events`"]
    return _judge_part(parts[0], rules[0], expect)


def _judge_part(part: Part, rule: str | None, expect: Any) -> list[str]:
    if not isinstance(expect, dict) or not expect:
        return ["expect: must be a map that says something"]
    wrong = _unknown(expect, EXPECT_KEYS, "expect.")
    fates = [key for key in ("event", "skipped", "dead_lettered") if key in expect]
    if len(fates) > 1:
        return [*wrong, f"expect: cannot be {' and '.join(fates)} at once"]
    # Each thing that is expected must be so; what is not mentioned may be anything. An event is
    # compared place by place, so that a line tells each difference.
    became = _became(part) | ({} if rule is None else {"rule": rule})
    for key in EXPECT_KEYS:
        if key not in expect:
            continue
        if key == "event" and "event" in became:
            wrong += _differences(expect["event"], became["event"], "event")
        elif key not in became:
            wrong.append(f"expected {key} {expect[key]!r:.200}, and it {_told(became)}")
        elif not identical(expect[key], str(became[key])):
            wrong.append(f"{key}: expected {expect[key]!r}, got {str(became[key])!r}")
    return wrong


def _became(part: Part) -> dict[str, Any]:
    """What there is to be expected of a part."""
    found = app_event(part) if isinstance(part, Mapped) else part
    if isinstance(found, Undecodable):
        return {"dead_lettered": found.code, "reason": found.reason}
    if isinstance(found, Unwanted):
        return {"skipped": found.code, "reason": found.reason}
    return {"event": part.document if isinstance(part, Mapped) else None}


def _told(became: dict[str, Any]) -> str:
    if "dead_lettered" in became:
        return f"was dead-lettered as {became['dead_lettered']}: {became['reason']}"
    if "skipped" in became:
        return f"was skipped as {became['skipped']}"
    return f"became an event by rule {became.get('rule')}"


def _unknown(given: dict[str, Any], known: Sequence[str], where: str) -> list[str]:
    found: list[str] = []
    for key in given.keys() - set(known):
        near = get_close_matches(str(key), known, n=1)
        found.append(
            f"{where}{key}: is not known here{f'; did you mean {near[0]}?' if near else ''}"
        )
    return sorted(found)


def differences(one: Any, other: Any, path: str) -> list[tuple[str, Any, Any]]:
    """The paths at which two documents differ, with both values; ABSENT where there is none."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            found
            for key in dict.fromkeys([*one, *other])
            for found in differences(
                one.get(key, ABSENT), other.get(key, ABSENT), f"{path}.{key}" if path else key
            )
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [found for at, (a, b) in pairs for found in differences(a, b, f"{path}[{at}]")]
    return [] if identical(one, other) else [(path, one, other)]


def identical(one: Any, other: Any) -> bool:
    """Whether two values of JSON are the same, type by type; 1 and 1.0 are."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(identical(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(identical, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _differences(expected: Any, got: Any, path: str) -> list[str]:
    def shown(value: Any) -> str:
        return "nothing" if value is ABSENT else repr(value)

    return [
        f"{place}: expected {shown(one)}, got {shown(other)}"
        for place, one, other in differences(expected, got, path)
    ]
