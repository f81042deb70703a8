"""Mappings for tests: YAML text in, what becomes of documents out."""

from textwrap import dedent
from typing import Any

from relay.model import Record
from relay.sources.mapping import CompiledMapping, compile_mapping, judge_mapping
from relay.sources.mapping.compiling import shown
from relay.yaml_text import read_yaml

RECORD = Record("shop", 3, 17, 1795339800000, b"881", b"", (("source", b"crm"),))
PROPERTY = """
rules:
  - track: e
    id: "1"
    ts: 1795339800000
    properties:
      value: {expression}
tables: {{channels: {{app: "1023"}}, flags: {{a: true}}}}
settings: {{unset: null, salt: s, columns: [x, y], names: {{a: b}}, wide: 12}}
"""


def mapping(text: str, settings: dict[str, Any] | None = None) -> CompiledMapping:
    """The mapping in a YAML text."""
    return compile_mapping(read_yaml(dedent(text), "m.yaml"), settings)


def problems(text: str) -> list[str]:
    """Everything that is wrong with a mapping, as the lines that are shown."""
    given = read_yaml(dedent(text), "m.yaml")
    _, found = judge_mapping(given)
    return [*given.problems, *(shown(given, (), problem) for problem in found)]


def only(text: str, document: Any) -> Any:
    """The one part that a document becomes."""
    (part,) = mapping(text)(document, RECORD)
    return part


def of_expression(expression: str) -> CompiledMapping:
    """A mapping with a property `value` from an expression."""
    quoted = "'" + expression.replace("'", "''") + "'"
    return mapping(PROPERTY.format(expression=quoted))
