"""What is done about an upload, for every story that the ledger and the platform can tell."""

import pytest

from relay.apis.mediarithmics_document_imports import Execution
from relay.segments.next_step import (
    NOT_LISTED,
    Attempt,
    Ended,
    GiveUp,
    Hold,
    Note,
    Seen,
    Upload,
    Wait,
    next_step,
)
from relay.segments.policy import UploadPolicy
from tests.support.policies import tuned

POLICY = UploadPolicy(attempts_max=2, adoption_s=60)


def record(number, execution_id=None, *, vanished=False, status=None):
    return Attempt(number, 0, execution_id, False, vanished, status)


def adopted(number, execution_id):
    return Attempt(number, 0, execution_id, adopted=True)


def execution(id_, status):
    return Execution(id_, status, error="why")


RUNNING, DONE, FAILED, CANCELED, STRANGE = (
    execution(name, status)
    for name, status in [
        ("r", "RUNNING"),
        ("d", "SUCCEEDED"),
        ("f", "FAILED"),
        ("c", "CANCELED"),
        ("s", "SOMETHING_NEW"),
    ]
)


@pytest.mark.parametrize(
    ("records", "seen", "step"),
    [
        # Nothing was asked for yet.
        ([], Seen(), Upload()),
        # Asked, no answer: looked for, for a while, and then not there.
        ([record(1)], Seen(looked_s=59), Wait()),
        ([record(1)], Seen(looked_s=60), Note(record(1, vanished=True))),
        ([record(1, vanished=True)], Seen(), Upload()),
        # Asked, no answer, and there it is: whatever it is doing.
        ([record(1)], Seen([RUNNING]), Note(adopted(1, "r"))),
        ([record(1)], Seen([DONE], 999), Note(adopted(1, "d"))),
        # Nobody asked for this one, or it was given up as vanished: it is ours all the same.
        ([record(1, "d")], Seen([RUNNING, DONE]), Note(adopted(2, "r"))),
        ([record(1, vanished=True)], Seen([DONE]), Note(adopted(2, "d"))),
        # Several at once: the oldest first, and the list begins with the newest.
        ([record(1), record(2)], Seen([RUNNING, FAILED]), Note(adopted(1, "f"))),
        # Under way.
        ([record(1, "r")], Seen([RUNNING]), Wait(RUNNING)),
        ([record(1, "r")], Seen([]), Wait()),
        ([record(1, "s")], Seen([STRANGE]), Wait(STRANGE)),
        # A second one that still runs is waited for: a run must not end before it has.
        ([record(1, "d"), record(2, "r")], Seen([RUNNING, DONE]), Wait(RUNNING)),
        # Imported.
        ([record(1, "d")], Seen([DONE]), Ended(DONE)),
        ([record(1, "f"), record(2, "d")], Seen([DONE, FAILED]), Ended(DONE)),
        ([record(1, "c"), record(2, "d")], Seen([DONE, CANCELED]), Ended(DONE)),
        # Failed.
        ([record(1, "f")], Seen([FAILED]), Upload()),
        ([record(1, "c")], Seen([CANCELED]), GiveUp("execution c was canceled on the platform")),
        (
            [record(1, "f"), record(2, "g")],
            Seen([execution("g", "LOST"), FAILED]),
            GiveUp("2 executions ended as LOST: why"),
        ),
        # Listed once, and not any more: waited for, and then it counts as failed.
        ([record(1, "r")], Seen([], missing_s=59), Wait()),
        ([record(1, "r")], Seen([], missing_s=60), Note(record(1, "r", status=NOT_LISTED))),
        ([record(1, "r", status=NOT_LISTED)], Seen([]), Upload()),
        (
            [record(1, "r", status=NOT_LISTED), record(2, "q", status=NOT_LISTED)],
            Seen([]),
            GiveUp("2 executions ended as not listed any more"),
        ),
        # Uploads that do not get through are counted too: no fault of the file.
        ([record(1, vanished=True), record(2, vanished=True)], Seen(), Hold(2)),
        (
            [record(1, vanished=True), record(2, vanished=True)],
            Seen(vanished_before=1),
            Upload(),
        ),
    ],
)
def test_the_next_step_follows_from_what_is_known(records, seen, step):
    assert next_step(records, seen, POLICY) == step


def test_where_nothing_may_be_begun_nothing_is():
    none = tuned(UploadPolicy, attempts_max=0)
    assert next_step([], Seen(), none) == GiveUp("it was not uploaded")
    assert next_step([record(1, "f")], Seen([FAILED]), none) == GiveUp(
        "the execution ended as FAILED: why"
    )
    assert next_step([record(1, "d")], Seen([DONE]), none) == Ended(DONE)
