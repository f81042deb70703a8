"""Error files: every form that is understood, and that nothing is made up from the others."""

import gzip
import json

import pytest

from relay.segments.rejections import Rejection, read_rejections

COMMAND = {"operation": "UPDATE", "user_account_id": "crm-881", "segment_id": "7"}


def read(tmp_path, content):
    path = tmp_path / "errors-0001"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_rejections(path))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (json.dumps(COMMAND), Rejection("crm-881", "", "7")),
        (
            json.dumps({"line_number": 3, "error": "unknown", "document": COMMAND}),
            Rejection("crm-881", "unknown", "7"),
        ),
        (
            json.dumps({"input": json.dumps(COMMAND), "message": "unknown"}),
            Rejection("crm-881", "unknown", "7"),
        ),
        (json.dumps({"line": "12", "reason": "unknown"}), Rejection(None, "unknown")),
        (json.dumps({"EMAIL_HASH": "ab", "cause": "x"}), Rejection("ab", "x")),
        ("USER_AGENT_ID,ERROR\nvec:12,unknown\n", Rejection("vec:12", "unknown")),
        ('userAccountId,error\n"a, b",unknown\n', Rejection("a, b", "unknown")),
    ],
)
def test_a_rejected_line_is_recognised(tmp_path, content, expected):
    assert read(tmp_path, content) == [expected]


@pytest.mark.parametrize(
    "content",
    [
        "3 lines failed\n",
        "",
        '[]\n7\n"x"\n',
        json.dumps({"status": "ok"}),
        b"\xff\xfe\x00",
        gzip.compress(b"x" * 1000, mtime=0)[:20],
        b"\x00" * (2 << 20),
        'a,b\n"unclosed\n',
    ],
)
def test_what_is_not_understood_says_nothing(tmp_path, content):
    assert read(tmp_path, content) == []


def test_a_reason_loses_what_may_identify_somebody(tmp_path):
    [found] = read(tmp_path, json.dumps(COMMAND | {"error": 'user "crm-881" (a@b.de) unknown'}))
    assert found.reason == "user *** (***) unknown"
    assert "crm-881" not in repr(found)
