"""Progress of segment commands: bars for people, lines for logs."""

import io

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as RichProgress

from relay.cli.segments.bar import BarProgress, _Amount
from relay.cli.segments.progress import PlainProgress


def shown(screen):
    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        _Amount(),
        console=Console(file=screen, force_terminal=True, width=100),
        auto_refresh=False,
    )


def test_a_bar_says_what_how_far_and_of_how_much():
    screen = io.StringIO()
    with shown(screen) as bars:
        progress = BarProgress(bars)
        progress.begin("uploading", 2_000_000, "bytes")
        progress.at(1_000_000)
        bars.refresh()
        progress.begin("reading the export", None, "rows")
        progress.at(12_345)
        bars.refresh()
        progress.begin("writing files", 100, "lines")
        progress.at(50)
        progress.note("part 1: adopted execution 7")
        bars.refresh()
        progress.begin("downloading the export", None, "bytes")
        progress.at(5, 10)
        bars.refresh()
    text = screen.getvalue()
    for expected in ("1.0/2.0 MB", "12,345 rows", "50 of 100 lines", "adopted execution 7", "5/10"):
        assert expected in text


def test_a_log_gets_a_line_for_each_thing(capsys):
    progress = PlainProgress()
    progress.begin("uploading", 2_000_000, "bytes")
    progress.at(1)
    progress.begin("comparing with the last import")
    progress.note("said")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "uploading (2,000,000 bytes)", "comparing with the last import", "said",
    ]  # fmt: skip
