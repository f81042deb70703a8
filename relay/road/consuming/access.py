"""Access that Kafka takes away while we read: held and tried again, as the API's 401 is. Pure."""

from relay.errors import KafkaError
from relay.road.consuming.facts import KafkaAccessRefused, KafkaAccessRestored
from relay.road.consuming.source import SourceTrouble
from relay.road.consuming.troubles import Troubles
from relay.telemetry.facts import Emit

CALM_S = 5.0
"""Without a refusal for so long, access is there again: refusals come several times a second."""


class AccessWatch:
    """Told of every refusal and of every poll without one. Times are steady seconds."""

    def __init__(self, troubles: Troubles, emit: Emit) -> None:
        self._troubles = troubles
        self._emit = emit
        self._since = self._last = 0.0

    def refused(self, problem: KafkaError, now: float) -> None:
        """Kafka said no. Told as an error, once for each reason."""
        if not self._troubles.present(SourceTrouble.ACCESS_REFUSED):
            self._since = now
        self._last = now
        if self._troubles.raised(SourceTrouble.ACCESS_REFUSED, str(problem), now):
            self._emit(KafkaAccessRefused(reason=str(problem)))

    def calm(self, now: float) -> None:
        """A poll went well."""
        # One poll that goes well is no sign: the others of the same second may be refused.
        if now - self._last >= CALM_S and self._troubles.cleared(SourceTrouble.ACCESS_REFUSED):
            self._emit(KafkaAccessRestored(after_s=self._last - self._since))
