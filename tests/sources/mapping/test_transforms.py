"""Every transform on every kind of JSON: a value, absent, or a dead letter without a value."""

import json

import pytest

from relay.model import Undecodable
from relay.sources.mapping.transforms import TRANSFORMS, BadArguments, make
from tests.support.mappings import RECORD, of_expression, problems

ARGUMENTS = {
    "truncate": "(3)",
    "strip_prefix": '("$")',
    "with_prefix": '("x")',
    "gather": '("key")',
    "split": '("/")',
    "join": '(",")',
    "divide": "(100)",
    "multiply": "(2)",
    "date": '("%Y-%m-%d", "UTC")',
    "lookup": "(channels)",
    "unless": '("")',
    "find": '("key", "x")',
    "pick": '("x")',
    "without": '("x")',
    "numbered": '("n", 3)',
}
SECRET = "jane@example.com"
KINDS = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "negative": -7,
    "beyond 2^53": 2**53 + 1,
    "beyond 64 bits": 2**70,
    "decimals": 1.5,
    "large float": 1e300,
    "infinite": float("inf"),
    "empty text": "",
    "text": SECRET,
    "lone surrogate": "\ud800",
    "many digits": "9" * 400,
    "huge exponent": "1e999",
    "empty list": [],
    "list": [SECRET, None, [1]],
    "list of objects": [{"key": SECRET}, 1],
    "empty object": {},
    "object": {"x": SECRET, "key": None},
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_transform_takes_every_kind_of_json_or_says_why_not(name, kind):
    compiled = of_expression(f".a | {name}{ARGUMENTS.get(name, '')}")
    (part,) = compiled({"a": KINDS[kind]}, RECORD)
    if isinstance(part, Undecodable):
        assert part.reason.startswith("properties.value: ")
        assert part.reason.endswith(" (from .a, rule 1)")
        assert SECRET not in part.reason
        assert part.code in {"invalid_field", "invalid_timestamp"}
    if KINDS[kind] is None:
        assert "properties" not in part.document


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_soft_transform_never_makes_a_dead_letter(name, kind):
    compiled = of_expression(f".a | {name}{ARGUMENTS.get(name, '')}?")
    (part,) = compiled({"a": KINDS[kind]}, RECORD)
    assert not isinstance(part, Undecodable)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (".a | divide(0)", "divide cannot divide by 0"),
        (".a | divide", "divide takes 1 argument"),
        (".a | text(1)", "text takes no arguments"),
        (".a | split", "split takes at least 1 argument"),
        (".a | numbered(1, 2)", "numbered takes a text in double quotes as argument 1"),
        ('.a | date("%Y-%m-%d")', "date needs %z in the pattern, or a zone"),
        ('.a | date("%d %b %Y", "UTC")', "date knows %Y %m %d %H %M %S %f %z and %% in a pattern"),
        ('.a | date("%H:%M", "UTC")', "date needs %Y, %m and %d in the pattern"),
        ('.a | date("%Y%m%d", "Middle/Earth")', "Middle/Earth is not a time zone"),
        ('.a | number(",", ",")', "number takes two different signs"),
        ('.a | number("1")', "number takes two different signs, no digits"),
        ('.a | number(",", "e")', "number takes two different signs, no digits"),
        ('.a | flag("Y")', "flag takes what means yes and what means no, or nothing"),
        (".a | lookup(chanels)", "chanels is no table; did you mean channels?"),
        (".a | uper", "uper is no transform; did you mean upper?"),
        (".a | pick(@settings.colums)", "settings has no colums; did you mean columns?"),
        (".a | pick(x)", "x is no constant: text is written in double quotes"),
    ],
)
def test_wrong_arguments_are_told_when_the_mapping_is_compiled(expression, text):
    line = _line(expression)
    assert line.startswith("m.yaml:7: rules[0].properties.value: ")
    assert text in line


def _line(expression):
    quoted = "'" + expression.replace("'", "''") + "'"
    (line,) = problems(
        f"""
        rules:
          - track: e
            id: "1"
            ts: 1795339800000
            properties:
              value: {quoted}
        tables: {{channels: {{app: "1023"}}}}
        settings: {{columns: [x, y]}}
        """
    )
    return line


@pytest.mark.parametrize(
    ("unit", "value", "told"),
    [
        ("seconds", 1795339800123, "the size of milliseconds"),
        ("millis", 1795339800, "the size of seconds"),
        ("millis", 1795339800123456, "the size of microseconds"),
        ("micros", 1795339800123, "the size of milliseconds"),
        ("seconds", 12, "the size of something else"),
    ],
)
def test_a_time_in_another_unit_is_refused_with_its_unit(unit, value, told):
    (part,) = of_expression(f".a | {unit}")({"a": value}, RECORD)
    assert part.code == "invalid_timestamp"
    assert told in part.reason


@pytest.mark.parametrize(
    ("pattern", "zone", "text", "ms"),
    [
        ("%Y-%m-%dT%H:%M:%S.%f%z", "", "2026-11-22T09:30:00.123456789+01:00", 1795336200123),
        ("%Y-%m-%d %H:%M:%S%z", "Europe/Paris", "2026-11-22 09:30:00Z", 1795339800000),
        # Clocks are put back: the first 02:30 is meant, which is summer time.
        ("%Y-%m-%d %H:%M", "Europe/Paris", "2026-10-25 02:30", 1792888200000),
        ("%d/%m/%Y", "UTC", "1/2/2026", 1769904000000),
    ],
)
def test_a_date_is_read_by_its_pattern_and_zone(pattern, zone, text, ms):
    assert make("date", [pattern, zone] if zone else [pattern])(text) == ms


@pytest.mark.parametrize("text", ["2026-02-30", "2026-1", "", "2026-01-01 ", "0000-01-01"])
def test_a_date_that_does_not_exist_or_fit_is_refused(text):
    (part,) = of_expression('.a | date("%Y-%m-%d", "UTC")')({"a": text}, RECORD)
    assert part.code == "invalid_timestamp"


def test_arguments_are_judged_by_kind():
    with pytest.raises(BadArguments):
        make("truncate", [True])


def test_json_in_a_text_can_be_gone_into():
    document = {"a": json.dumps({"b": [{"c": 7}]})}
    (part,) = of_expression("(.a | json).b[0].c")(document, RECORD)
    assert part.document["properties"] == {"value": 7}
