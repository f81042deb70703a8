"""`relay demo`, whole: everything is accounted for, with one datamart and with several."""

import json

import pytest
from typer.testing import CliRunner

from relay.cli import app

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("datamarts", [1, 3])
def test_every_event_meets_its_fate_in_order(datamarts, tmp_path):
    log = tmp_path / "log"
    given = ["demo", "--events", "300", "--datamarts", str(datamarts), "--json", "--log", str(log)]
    ended = CliRunner().invoke(app, given)
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    assert told["produced"] == 300
    assert told["delivered"] + told["skipped"] + told["dead_lettered"] == 300
    assert (told["dead_lettered"], told["out_of_order"]) == (1, 0)
    down = {
        line["destination"]
        for line in map(json.loads, log.read_text().splitlines())
        if line["event"] == "destination_down"
    }
    assert down == (set() if datamarts == 1 else {"shop-3"})
