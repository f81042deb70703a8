"""A function does one job: none of Relay's has sixty lines."""

import ast

from scripts.generate import ROOT

_LINES = 60


def test_every_function_is_shorter_than_sixty_lines():
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in (ROOT / "relay").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= _LINES - 1
    ]
    assert long == []
