"""How lines are written, given where they go."""

import pytest

from relay.settings.log import LogFormat, LogSettings


@pytest.mark.parametrize(
    ("form", "on_terminal", "json"),
    [
        ("auto", True, False),
        ("auto", False, True),
        ("json", True, True),
        ("console", False, False),
    ],
)
def test_auto_is_for_people_on_a_terminal_and_for_machines_elsewhere(form, on_terminal, json):
    assert LogSettings(format=LogFormat(form)).as_json(on_terminal=on_terminal) is json
