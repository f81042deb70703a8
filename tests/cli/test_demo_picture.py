"""What `relay demo` draws fits the terminals that people have."""

import sys

import pytest
from rich.console import Console

from relay.cli.options import on_terminal
from relay.demo.picture import Picture, summary
from relay.demo.tally import Going, Tally

ACTIVITY = {
    "$type": "TOUCH",
    "$unique_key": "b3f0a4c0-e6a1-11f0-8c11-0242ac120002",
    "$user_identifiers": [{"$user_account_id": "crm-0001"}],
    "$events": [{"$event_name": "$transaction_confirmed"}, {"$event_name": "page_seen"}] * 2,
}


def tally(at: float, settled: int) -> Tally:
    return Tally(
        at=at,
        produced=settled,
        delivered=settled - 4,
        dead_lettered=1,
        skipped=3,
        requests=settled,
        duplicates=0,
        out_of_order=0,
        in_flight=12,
        waiting=1_234,
        limit=128,
        lag=17,
        verdicts={"delivered": settled, "throttled": 40, "unavailable": 38},
        destinations={"default": Going("flowing", 12, 1_234)},
    )


@pytest.fixture
def lines():
    console = Console(width=80, force_terminal=False)
    picture = Picture(2_500)
    picture.draw(tally(0.0, 100), [ACTIVITY])
    with console.capture() as captured:
        console.print(picture.draw(tally(1.0, 300), [ACTIVITY]))
        console.print(summary(tally(2.0, 2_500), 17.2, good=True))
    return captured.get().splitlines()


def test_at_80_columns_every_name_is_whole_and_nothing_wraps(lines):
    text = "\n".join(lines)
    for name in ("dead letters", "crm-0001", "TOUCH", "b3f0a4c0", "$unique_key", "1,234 waiting"):
        assert name in text
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line.startswith("  relay")] == lines[-4:]


def test_it_fits_24_lines(lines):
    assert len(lines[: next(i for i, line in enumerate(lines) if "summary" in line)]) <= 23


@pytest.mark.parametrize(("term", "draws"), [("xterm", True), ("dumb", False)])
def test_a_terminal_that_cannot_redraw_gets_plain_lines(monkeypatch, term, draws):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert on_terminal() is draws
