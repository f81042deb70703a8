import json

import pytest

from bench.judge import Request, judge, main, read
from bench.workload import Workload


def accepted(arrived: int, *markers: tuple[int, int], status: int = 200, took: int = 1) -> Request:
    return Request(arrived, arrived + took, status, tuple((u, n, arrived - 5) for u, n in markers))


def test_a_run_without_fault_is_order_per_user_and_nothing_lost():
    found = judge([accepted(10, (0, 0)), accepted(20, (1, 0)), accepted(30, (0, 1))], [2, 1])
    assert (found.accepted, found.lost, found.repeated) == (3, 0, 0)
    assert (found.order_breaks, found.overlaps) == (0, 0)
    assert found.guarantee == "order per user, nothing lost, 0 repeated"
    assert found.lateness_p50_s == pytest.approx(5e-6)


def test_what_was_only_refused_is_lost():
    found = judge([accepted(10, (0, 0)), accepted(20, (0, 1), status=500)], [2])
    assert (found.lost, found.statuses) == (1, {"200": 1, "500": 1})


def test_a_retry_that_lets_a_later_event_pass_is_an_order_break():
    found = judge(
        [
            accepted(10, (0, 0), status=429),
            accepted(20, (0, 1)),
            accepted(30, (0, 0)),
            accepted(40, (0, 2)),
        ],
        [3],
    )
    assert (found.order_breaks, found.lost) == (1, 0)


def test_the_order_is_that_of_arrival_and_not_that_of_the_log():
    found = judge([accepted(20, (0, 1)), accepted(10, (0, 0))], [2])
    assert found.order_breaks == 0


def test_events_that_travel_together_have_the_order_of_the_request():
    assert judge([accepted(10, (0, 0), (0, 1))], [2]).order_breaks == 0
    assert judge([accepted(10, (0, 1), (0, 0))], [2]).order_breaks == 1


def test_a_repetition_is_counted_and_breaks_no_order():
    found = judge([accepted(10, (0, 0)), accepted(20, (0, 1)), accepted(30, (0, 0))], [2])
    assert (found.repeated, found.order_breaks, found.accepted) == (1, 0, 2)


def test_order_with_two_of_a_user_in_flight_is_luck():
    found = judge([accepted(10, (0, 0), took=50), accepted(20, (0, 1), took=50)], [2])
    assert (found.order_breaks, found.overlaps) == (0, 1)
    assert found.guarantee == "order by luck, nothing lost, 0 repeated"


def test_other_users_in_flight_are_no_overlap():
    assert judge([accepted(10, (0, 0), took=50), accepted(20, (1, 0))], [1, 1]).overlaps == 0


def test_an_event_nobody_produced_is_unexpected():
    assert judge([accepted(10, (0, 0), (0, 7), (9, 0))], [1]).unexpected == 2


def test_the_log_of_the_sink_is_read_and_the_status_says_whether_something_was_lost(
    tmp_path, monkeypatch, capsys
):
    log, expected = tmp_path / "sink.log", tmp_path / "expected.json"
    log.write_text(
        "100 110 200 600 0000000:000000000:0000000000000050\n"
        "120 130 200 20 \n"
        "140 150 500 600 0000001:000000000:0000000000000090\n"
    )
    expected.write_text("[1, 1]")
    assert [request.status for request in read(log.read_text().splitlines())] == [200, 200, 500]
    arguments = ["judge", "--json", "--log", str(log), "--expected", str(expected)]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert json.loads(capsys.readouterr().out)["lost"] == 1


def test_the_same_arguments_give_the_same_bytes_and_the_counts_that_they_hold():
    workload = Workload(events=2_000, users=50)
    events = list(workload.make())
    assert events == list(workload.make())
    assert {len(event.value) for event in events} == {600}
    counts = workload.counts()
    assert sum(counts) == 2_000
    assert counts[events[0].user] == sum(event.user == events[0].user for event in events)


def test_zipf_users_differ_and_uniform_users_do_not():
    zipf = sorted(Workload(events=5_000, users=50).counts())
    uniform = sorted(Workload(events=5_000, users=50, zipf=0).counts())
    assert zipf[-1] > 10 * zipf[0]
    assert uniform[-1] < 2 * uniform[0]


def test_every_event_is_one_that_relay_sends():
    from bench.limit import bodies  # noqa: PLC0415 - builds with relay's own settings

    made = bodies(Workload(events=20))
    assert all(body.count(b"bench:") == 1 for body in made)
