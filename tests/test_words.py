from relay.errors import ExitStatus, RelayError, SettingsError
from relay.model import Activity, Record


def test_an_activity_body_is_envelope_time_key_and_events():
    activity = Activity(
        envelope=b'{"$type":"TOUCH"}',
        ts_ms=1767225600000,
        unique_key="b3f0a4c0-e6a1-11f0-8c11-0242ac120002",
        events=(b'{"a":1}', b'{"b":2}'),
        user="u",
    )
    assert activity.body() == (
        b'{"$type":"TOUCH","$ts":1767225600000,'
        b'"$unique_key":"b3f0a4c0-e6a1-11f0-8c11-0242ac120002","$events":[{"a":1},{"b":2}]}'
    )


def test_the_repr_of_a_record_shows_its_place_and_nothing_of_its_content():
    record = Record("t", 3, 7, 0, key=b"jane@example.com", value=b"secret", headers=())
    assert "jane" not in repr(record)
    assert "secret" not in repr(record)
    assert str(record.position) == "t-3-7"


def test_each_error_has_an_exit_status_of_its_own():
    def leaves(cls):
        yield cls
        for sub in cls.__subclasses__():
            yield from leaves(sub)

    assert SettingsError("x", hint="y").exit_status is ExitStatus.SETTINGS
    assert str(SettingsError("x", hint="y")) == "x (y)"
    assert all(isinstance(cls.exit_status, ExitStatus) for cls in leaves(RelayError))
