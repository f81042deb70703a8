"""How lines are written, given where they go."""

import io
import json

import pytest

from relay.settings.log import LogFormat, LogSettings
from relay.stream.facts import TokenReloaded


@pytest.mark.parametrize(
    ("form", "on_terminal", "as_json"),
    [
        ("auto", True, False),
        ("auto", False, True),
        ("json", True, True),
        ("console", False, False),
    ],
)
def test_auto_is_for_people_on_a_terminal_and_for_machines_elsewhere(form, on_terminal, as_json):
    assert LogSettings(format=LogFormat(form)).as_json(on_terminal=on_terminal) is as_json


def test_every_setting_reaches_the_log():
    stream = io.BytesIO()
    settings = LogSettings.model_validate(
        {"level": "error", "levels": {"sending": "info"}, "format": "json", "fields": "ecs"}
    )
    log = settings.opened(["token_reloaded"], stream)
    log.write(TokenReloaded())
    line = json.loads(stream.getvalue())
    assert (line["log.level"], line["message"]) == ("info", "***")


def test_a_stage_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="levels"):
        LogSettings.model_validate({"levels": {"sendin": "info"}})
