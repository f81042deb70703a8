"""What is done about an upload, for every story that the ledger and the platform can tell."""

import pytest

from relay.apis.errors import ServerFault
from relay.apis.mediarithmics_document_imports import Execution
from relay.segments.next_step import (
    NOT_LISTED,
    Attempt,
    Do,
    Seen,
    next_step,
)
from relay.segments.outcome import Failed, Held, Landed
from relay.segments.policy import UploadPolicy
from tests.support.policies import tuned

POLICY = UploadPolicy(attempts_max=2, adoption_s=60)
LINES = 3


def record(number, execution_id=None, *, vanished=False, status=None):
    return Attempt(number, 0, execution_id, False, vanished, status)


def adopted(number, execution_id):
    return Attempt(number, 0, execution_id, adopted=True)


def execution(id_, status):
    return Execution(id_, status, succeeded=LINES, failed=0, error="why")


RUNNING, DONE, FAILED, LOST, CANCELED, STRANGE = (
    execution(name, status)
    for name, status in [
        ("r", "RUNNING"),
        ("d", "SUCCEEDED"),
        ("f", "FAILED"),
        ("g", "LOST"),
        ("c", "CANCELED"),
        ("s", "SOMETHING_NEW"),
    ]
)


@pytest.mark.parametrize(
    ("records", "seen", "step"),
    [
        # Nothing was asked for yet.
        ([], Seen(), Do.UPLOAD),
        # Asked, no answer: looked for, for a while, and then not there.
        ([record(1)], Seen(missed_s=59), Do.WAIT),
        ([record(1)], Seen(missed_s=60), record(1, vanished=True)),
        ([record(1, vanished=True)], Seen(), Do.UPLOAD),
        # Asked, no answer, and there it is: whatever it is doing.
        ([record(1)], Seen([RUNNING]), adopted(1, "r")),
        ([record(1)], Seen([DONE], 999), adopted(1, "d")),
        # Nobody asked for this one, or it was given up as vanished: it is ours all the same.
        ([record(1, "d")], Seen([RUNNING, DONE]), adopted(2, "r")),
        ([record(1, vanished=True)], Seen([DONE]), adopted(2, "d")),
        # Several at once: the oldest first, and the list begins with the newest.
        ([record(1), record(2)], Seen([RUNNING, FAILED]), adopted(1, "f")),
        # Under way.
        ([record(1, "r")], Seen([RUNNING]), Do.WAIT),
        ([record(1, "r")], Seen([]), Do.WAIT),
        ([record(1, "s")], Seen([STRANGE]), Do.WAIT),
        # A second one that still runs is waited for: a run must not end before it has.
        ([record(1, "d"), record(2, "r")], Seen([RUNNING, DONE]), Do.WAIT),
        # Imported.
        ([record(1, "d")], Seen([DONE]), Landed(DONE, 0)),
        ([record(1, "f"), record(2, "d")], Seen([DONE, FAILED]), Landed(DONE, 0)),
        ([record(1, "c"), record(2, "d")], Seen([DONE, CANCELED]), Landed(DONE, 0)),
        # Failed.
        ([record(1, "f")], Seen([FAILED]), Do.UPLOAD),
        (
            [record(1, "c")],
            Seen([CANCELED]),
            Failed("execution c was canceled on the platform", CANCELED),
        ),
        (
            [record(1, "f"), record(2, "g")],
            Seen([LOST, FAILED]),
            Failed("2 executions ended as LOST: why", LOST),
        ),
        # Listed once, and not any more: waited for, and then it counts as failed.
        ([record(1, "r")], Seen([], missed_s=59), Do.WAIT),
        ([record(1, "r")], Seen([], missed_s=60), record(1, "r", status=NOT_LISTED)),
        ([record(1, "r", status=NOT_LISTED)], Seen([]), Do.UPLOAD),
        (
            [record(1, "r", status=NOT_LISTED), record(2, "q", status=NOT_LISTED)],
            Seen([]),
            Failed("2 executions ended as not listed any more"),
        ),
        # Uploads that do not get through are counted too: no fault of the file.
        (
            [record(1, vanished=True), record(2, vanished=True)],
            Seen(vanished_before=1),
            Do.UPLOAD,
        ),
    ],
)
def test_the_next_step_follows_from_what_is_known(records, seen, step):
    assert next_step(records, seen, POLICY, LINES) == step


@pytest.mark.parametrize(
    ("trouble", "why"), [(None, "no answer"), (ServerFault("500: failed"), "500: failed")]
)
def test_uploads_that_do_not_get_through_are_held_as_no_fault_of_the_file(trouble, why):
    vanished = [record(1, vanished=True), record(2, vanished=True)]
    step = next_step(vanished, Seen(trouble=trouble), POLICY, LINES)
    assert isinstance(step, Held)
    assert str(step.error) == f"2 uploads did not get through: {why}"


def test_where_nothing_may_be_begun_nothing_is():
    none = tuned(UploadPolicy, attempts_max=0)
    assert next_step([], Seen(), none, LINES) == Failed("it was not uploaded")
    assert next_step([record(1, "f")], Seen([FAILED]), none, LINES) == Failed(
        "the execution ended as FAILED: why", FAILED
    )
    assert next_step([record(1, "d")], Seen([DONE]), none, LINES) == Landed(DONE, 0)
