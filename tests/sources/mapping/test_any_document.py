"""Any expression on any document: never raises, always ends, and tells no value."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.model import Undecodable, Unwanted
from relay.sources.events import events_of
from relay.sources.mapping import Mapped, judge_mapping
from relay.sources.mapping.parse import NotParsed, parse
from relay.sources.mapping.transforms import TRANSFORMS
from relay.sources.shadow import Shadow
from relay.sources.tools.comparing import Comparison
from relay.sources.tools.lint import lint, lint_paths
from relay.sources.tools.trace import trace
from relay.yaml_text import Located
from tests.sources.mapping.test_transforms import ARGUMENTS
from tests.support.mappings import RECORD

pytestmark = pytest.mark.slow

SECRET = "s3cr3t"
KEYS = st.sampled_from(["a", "b", "key", "value", SECRET])
DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from([SECRET, "2026-01-31T09:30:00Z", 1795339800000, "1,5", "[1]", "/a/b"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
PATHS = st.sampled_from([".", ".a", ".b", ".a.b", ".a[0]", ".b[-1].key", "^.a", "^^.b", '."key"'])
CONSTANTS = st.sampled_from(['"x"', "1", "0.5", "true", "@key", "@index", "@null", "@settings.s"])
CALLS = st.sampled_from([f"{name}{ARGUMENTS.get(name, '')}" for name in TRANSFORMS])


def _joined(inner):
    return (
        st.builds("({} | {})".format, inner, CALLS)
        | st.builds("({} | {}?)".format, inner, CALLS)
        | st.builds("({} // {})".format, inner, inner)
        | st.builds("({} == {})".format, inner, inner)
        | st.builds("({} and not {})".format, inner, inner)
        | st.builds('({} in [1, "x"] or has({}))'.format, inner, inner)
        | st.builds("({}).b[0]".format, inner)
    )


EXPRESSIONS = st.recursive(PATHS | CONSTANTS, _joined, max_leaves=6)


def _structures(inner):
    each = {"each": EXPRESSIONS, "as": inner}
    return (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.sampled_from(["p", "q", "{.a}", "$r"]), inner, min_size=1, max_size=3)
        | st.fixed_dictionaries(each, optional={"when": EXPRESSIONS})
        | st.fixed_dictionaries({"each": EXPRESSIONS, "key": EXPRESSIONS, "value": inner})
        | st.fixed_dictionaries({"when": EXPRESSIONS, "then": inner}, optional={"else": inner})
        | st.builds(lambda parts: {"merge": parts}, st.lists(inner, max_size=2))
        | st.builds(lambda parts: {"concat": parts}, st.lists(inner, max_size=2))
    )


VALUES = st.recursive(EXPRESSIONS | st.sampled_from(["text", 1, True]), _structures, max_leaves=6)
RULES = st.fixed_dictionaries(
    {"track": EXPRESSIONS, "id": EXPRESSIONS, "ts": EXPRESSIONS},
    optional={
        "when": EXPRESSIONS,
        "properties": VALUES,
        "consents": VALUES,
        "user": st.fixed_dictionaries({"accounts": VALUES, "devices": VALUES}),
    },
)
MAPPINGS = st.fixed_dictionaries(
    {"rules": st.lists(RULES, min_size=1, max_size=3)}, optional={"events": EXPRESSIONS}
)


@settings(max_examples=600, deadline=None)
@given(MAPPINGS, DOCUMENTS)
def test_any_mapping_of_any_document_ends_in_parts_that_tell_no_value(given_mapping, document):
    given_mapping |= {"tables": {"channels": {"a": 1}}, "settings": {"s": "x"}}
    compiled, problems = judge_mapping(Located(given_mapping))
    assert SECRET not in repr([problem.text for problem in problems])
    assert compiled is not None  # what is wrong in it gives nothing, and the rest runs
    parts = compiled(document, RECORD)
    assert parts
    for part, event in zip(parts, events_of(parts), strict=True):
        assert isinstance(part, Mapped | Undecodable | Unwanted)
        assert SECRET not in repr(event)
        if isinstance(event, Undecodable | Unwanted):
            assert SECRET not in event.reason
    assert compiled(document, RECORD) == parts or "nan" in repr(document)
    check_tools(compiled, given_mapping, document, parts)


def check_tools(compiled, given_mapping, document, parts):
    """The tools that look at mappings take whatever the language takes."""
    problems = [*lint(compiled, given_mapping), *lint_paths(compiled, [document])]
    assert SECRET not in repr(
        [problem.text for problem in problems if "no sample" not in problem.text]
    )
    for traced in trace(compiled, document, RECORD):
        assert all(value.fault is None or SECRET not in value.fault for value in traced.values)
    comparison = Comparison()
    comparison.add(compiled, compiled, document, RECORD)
    assert not comparison.differs or "nan" in repr(document)
    shadow = Shadow("shop", compiled)
    shadow.look(parts, document, RECORD)
    assert not shadow.differing or "nan" in repr(document)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet='.^@"()[]|/=!,?abnotrhs1 -\\{}', max_size=30))
def test_any_text_is_an_expression_or_is_refused_with_a_place_in_it(text):
    try:
        parse(text)
    except NotParsed as error:
        place, why = error.at, error.text
    else:
        return
    assert 0 <= place <= len(text)
    assert why
