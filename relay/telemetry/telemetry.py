"""Facts in, log lines and counters out: the one place where the two are written together."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client import Counter as PrometheusCounter
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from relay.model import DEFAULT_DESTINATION
from relay.telemetry.facts import Fact, all_facts
from relay.telemetry.log import Log
from relay.telemetry.recent import Recent
from relay.telemetry.repeats import Repeats


class LostLines(Collector):
    """Hands a scrape on to the log."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The lines that were lost so far."""
        yield CounterMetricFamily(
            "relay_log_lines_lost",
            "Lines of the log that nobody read in time, or that could not be written.",
            value=self._log.lost,
        )


class Telemetry:
    """Holds the counters of one process and the log they belong to."""

    def __init__(
        self,
        log: Log,
        registry: CollectorRegistry,
        recent: Recent | None = None,
        destinations: Iterable[str] = (DEFAULT_DESTINATION,),
    ) -> None:
        """`destinations`: the names of all."""
        self._log = log
        self._recent = recent
        self._repeats = Repeats()
        # Made up front, for each destination too: a counter that first appears with its first
        # increment hides that one from `rate()`. So this comes after the import of every road that
        # is on; those that are off have none.
        self._counters: Mapping[type[Fact], PrometheusCounter] = {
            fact: PrometheusCounter(
                fact.counter.name, fact.counter.help, fact.counter.labels, registry=registry
            )
            for fact in all_facts()
            if fact.counter
        }
        self.add(destinations)
        registry.register(LostLines(log))

    def add(self, destinations: Iterable[str], secrets: Collection[str] = ()) -> None:
        """Further destinations, and secrets that may stand in no line."""
        self._log.mask(secrets)
        for fact, counter in self._counters.items():
            if fact.counter and fact.counter.labels == ("destination",):
                for name in destinations:
                    counter.labels(name)

    def emit(self, fact: Fact) -> None:
        """Move the fact's counter and write its line, or count it with those that are alike."""
        declared = fact.counter
        if declared is not None:
            counter = self._counters[type(fact)]
            if declared.labels:
                counter = counter.labels(*(str(getattr(fact, name)) for name in declared.labels))
            counter.inc()
        if self._recent is not None:
            self._recent.take(fact)
        # The counter has moved already: it is exact, also where a line stands for a thousand facts.
        for said in self._repeats.take(fact):
            self._log.write(said)
