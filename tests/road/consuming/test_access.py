"""Access that Kafka takes away is told once, held, and told again when it is back."""

import pytest

from relay.errors import KafkaRefused
from relay.road.consuming.access import CALM_S, AccessWatch
from relay.road.consuming.facts import KafkaAccessRefused, KafkaAccessRestored
from relay.road.consuming.source import SourceTrouble
from relay.road.consuming.troubles import Troubles


def test_refusals_are_one_line_and_one_trouble_until_there_are_none_for_a_while():
    troubles, facts = Troubles(), []
    access = AccessWatch(troubles, facts.append)
    access.calm(100.0)
    for tenth in range(100):
        access.refused(KafkaRefused("no", hint="grant it"), 100.0 + tenth / 10)
        access.calm(100.05 + tenth / 10)  # another topic is read meanwhile

    assert facts == [KafkaAccessRefused(reason="no (grant it)")]
    assert troubles.worst().trouble is SourceTrouble.ACCESS_REFUSED

    access.calm(109.9 + CALM_S)
    assert facts[1:] == [KafkaAccessRestored(after_s=pytest.approx(9.9))]
    assert troubles.worst().trouble is None
    access.calm(200.0)
    assert len(facts) == 2
