"""Of several troubles the worst is shown, and each is news once."""

from relay.road.consuming.source import SourceState, SourceTrouble
from relay.road.consuming.troubles import Troubles


def test_without_trouble_the_state_is_empty():
    assert Troubles().worst() == SourceState()


def test_the_worst_is_shown_and_when_it_is_over_the_next():
    troubles = Troubles()
    troubles.raised(SourceTrouble.SILENT, "no answer", 1.0)
    troubles.raised(SourceTrouble.TOPIC_MISSING, "a", 2.0)
    troubles.raised(SourceTrouble.UNREACHABLE, "down", 3.0)

    assert troubles.worst() == SourceState(SourceTrouble.UNREACHABLE, "down", 3.0)
    assert troubles.cleared(SourceTrouble.UNREACHABLE)
    assert troubles.worst().trouble is SourceTrouble.TOPIC_MISSING
    assert troubles.cleared(SourceTrouble.TOPIC_MISSING)
    assert troubles.worst() == SourceState(SourceTrouble.SILENT, "no answer", 1.0)


def test_a_trouble_is_news_once_and_again_when_its_reason_changes():
    troubles = Troubles()

    assert troubles.raised(SourceTrouble.TOPIC_MISSING, "a", 1.0)
    assert not troubles.raised(SourceTrouble.TOPIC_MISSING, "a", 2.0)
    assert troubles.raised(SourceTrouble.TOPIC_MISSING, "a, b", 3.0)
    assert troubles.worst() == SourceState(SourceTrouble.TOPIC_MISSING, "a, b", 1.0)
    assert troubles.present(SourceTrouble.TOPIC_MISSING)


def test_what_was_not_there_cannot_end():
    troubles = Troubles()

    assert not troubles.cleared(SourceTrouble.SILENT)
    assert not troubles.present(SourceTrouble.SILENT)
