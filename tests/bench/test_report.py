from bench.contenders import BENTHOS_BY_USER, CONTENDERS, RELAY, RELAY_OFF
from bench.goals import AGAINST
from bench.report import write


def row(contender, rate, *, number=0, lost=0, **changes):
    return {
        "scenario": "0 ms, Zipf users",
        "round": number,
        "contender": contender,
        "events": 100,
        "events_per_second": rate,
        "requests_per_second": rate,
        "cpu_us": 10.0,
        "memory_mb": 50.0,
        "lost": lost,
        "order_breaks": 0,
        "repeated": 0,
        "guarantee": f"order per user, {lost} lost",
        **changes,
    }


def rendered(tmp_path, rows):
    path = tmp_path / "RESULTS.md"
    write({"compare": {"about": "here", "full": False, "found": rows}}, path)
    return path.read_text()


def test_ratios_are_to_benthos_by_user_in_the_same_round_and_every_round_is_shown(tmp_path):
    base, peer = BENTHOS_BY_USER.name, "Quix, ordered"
    rows = [row(base, 100.0), row(peer, 50.0, cpu_us=20.0)]
    rows += [row(base, 10.0, number=1), row(peer, 1.0, number=1)]
    rows += [row(base, 30.0, number=2), row(peer, 12.0, number=2)]
    rows += [row(base, 99.0, number=3)]  # the other had three rounds
    (line,) = [text for text in rendered(tmp_path, rows).splitlines() if f"| {peer} |" in text]
    assert line == (
        f"| {peer} | per partition | 100 | 12 (1 to 50) | 12 | 10 | 50 "
        "| 0.40 (0.50 · 0.10 · 0.40) | 1.00 (2.00 · 1.00 · 1.00) | order per user, 0 lost |"
    )


def test_without_benthos_in_the_run_there_are_no_ratios(tmp_path):
    (line,) = [
        text
        for text in rendered(tmp_path, [row(RELAY.name, 5.0)]).splitlines()
        if text.startswith("| Relay |")
    ]
    assert line == "| Relay | per user | 100 | 5 | 5 | 10 | 50 |  |  | order per user, 0 lost |"


def test_the_wire_is_shown_over_tcp_and_over_tls(tmp_path):
    wires = [
        {"tls": False, "in_flight": 64, "rates": [30_000.0], "cpu_us": 15.4},
        {"tls": True, "in_flight": 64, "rates": [20_000.0, 22_000.0], "cpu_us": 19.0},
    ]
    found = {"wrk": 50_000.0, "sink_us": 12.0, "wire": wires}
    path = tmp_path / "RESULTS.md"
    write({"limit": {"about": "here", "full": False, "found": found}}, path)
    report = path.read_text()
    assert "| 64 | TCP | 30,000 | 15 |" in report
    assert "| 64 | TLS | 21,000 (20,000 to 22,000) | 19 |" in report


def test_every_goal_has_a_line_whatever_was_run(tmp_path):
    lines = rendered(tmp_path, []).splitlines()
    assert sum("| not in this run |" in line for line in lines) == len(AGAINST) + 2


def test_the_worst_round_says_what_was_kept(tmp_path):
    rows = [row(RELAY.name, 100.0), row(RELAY.name, 100.0, number=1, lost=3)]
    assert "order per user, 3 lost" in rendered(tmp_path, rows)
    assert "order per user, 0 lost" not in rendered(tmp_path, rows)


def test_what_is_worse_than_a_peer_is_said(tmp_path):
    rows = [row(RELAY.name, 10.0), row("plain loop, 1", 20.0, memory_mb=40.0)]
    report = rendered(tmp_path, rows)
    assert "| 0 ms, Zipf users | events/s | 10 | plain loop, 1: 20 |" in report
    assert "| 0 ms, Zipf users | MB | 50 | plain loop, 1: 40 |" in report


def test_a_measure_of_a_scenario_is_one_line_with_every_peer_that_is_ahead(tmp_path):
    rows = [
        row(RELAY.name, 30.0),
        row(RELAY_OFF.name, 10.0),
        row("plain loop, 1", 20.0),
        row("Quix, ordered", 40.0),
        row("Quix, unordered", 5.0),
    ]
    (line,) = [line for line in rendered(tmp_path, rows).splitlines() if "| events/s | 30" in line]
    assert line == (
        "| 0 ms, Zipf users | events/s | 30 · 10 "
        "| plain loop, 1: 20 (only of off); Quix, ordered: 40 |"
    )


def test_who_is_nowhere_behind_is_told_so(tmp_path):
    rows = [row(RELAY.name, 10.0), row("plain loop, 1", 5.0)]
    assert "Nowhere in this run." in rendered(tmp_path, rows)


def test_who_is_missing_from_the_run_is_named(tmp_path):
    report = rendered(tmp_path, [row(RELAY.name, 10.0), row("plain loop, 1", 5.0)])
    assert "- Quix, ordered: not in this run" in report
    assert "- plain loop, 1: not in this run" not in report


def test_the_versions_of_every_peer_are_given(tmp_path):
    (line,) = [line for line in rendered(tmp_path, []).splitlines() if line.startswith("Peers: ")]
    for name in ("faststream", "quixstreams", "benthos", "franz-go"):
        assert name in line


def test_where_users_or_partitions_wait_for_themselves_less_is_expected_of_a_contender():
    for contender in CONTENDERS:
        assert contender.estimate(0.05, 1.1) <= contender.estimate(0, 1.1)
