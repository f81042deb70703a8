"""An error of the YAML parser → the line to look at, and what to change there.

Nothing that the parser quotes is repeated: it may be part of a secret.
"""

import re

import yaml

_QUOTE = "put the whole value in quotes"
_KNOWN: tuple[tuple[str, str], ...] = (
    (r"found character '\\t'", "a tab stands here: YAML indents with spaces only"),
    (r"found character '[@`%]'", f"a value cannot begin with @, ` or %: {_QUOTE}"),
    ("undefined alias", f"a value that begins with * is an alias: {_QUOTE}"),
    ("unknown escape", r"\ is special between double quotes: write \\, or use single quotes"),
    (
        "mapping values are not allowed",
        f"a second `: ` on a line, or a wrong indent: {_QUOTE}, or align it",
    ),
    ("could not find expected ':'", "a line before this one is no `key: value`"),
    ("expected <block end>", "this line is indented less or more than those it belongs to"),
    ("another document", "a second document begins here (`---`): a file holds one"),
    ("expected the node content", f"a bracket or comma without a beginning: {_QUOTE}"),
)
"""What the parser says, as a pattern, and what it means. The first that fits counts."""

_UNCLOSED = (
    ("flow sequence", "a [ is opened here and not closed, or a comma is missing after it"),
    ("flow mapping", "a { is opened here and not closed, or a comma is missing after it"),
    (
        "quoted scalar",
        "a quote is opened here and not closed: put the whole value in quotes of the other kind",
    ),
)
"""What was being read, and the line to say about it: where it began, not where it was noticed."""


def described(error: yaml.MarkedYAMLError) -> tuple[int | None, str]:
    """The number of the line, counted from 1, and the sentence."""
    problem, context = error.problem or "", error.context or ""
    began = error.context_mark
    if began is not None and ("expected ',' or" in problem or "end of stream" in problem):
        for what, meaning in _UNCLOSED:
            if what in context:
                return began.line + 1, meaning
    mark = error.problem_mark or began
    line = None if mark is None else mark.line + 1
    for pattern, meaning in _KNOWN:
        if re.search(pattern, problem):
            return line, meaning
    return line, f"{_bare(problem)} (quote values that hold special characters)"


def _bare(problem: str) -> str:
    """The parser's words up to the first quotation."""
    return re.split(r"[\"'`]", problem, maxsplit=1)[0].strip() or "cannot be parsed"
