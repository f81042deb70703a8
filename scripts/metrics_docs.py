"""Metrics of the stream and counters of the facts → docs/METRICS.md."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from relay.membership.engine import MembershipEngine
from relay.membership.policy import MembershipPolicy
from relay.membership.status import MembershipReporter
from relay.model import Record, Unwanted
from relay.road.status import ReportPolicy
from relay.stream.engine import Engine
from relay.stream.policy import EnginePolicy
from relay.stream.status import Reporter
from relay.telemetry.facts import Fact
from relay.telemetry.health import Roads
from relay.telemetry.log import configure
from relay.telemetry.telemetry import LostLines
from scripts.every_fact import every_fact


@dataclass(frozen=True, slots=True)
class Described:
    """A metric as /metrics shows it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    about: str

    def series(self) -> set[str]:
        """The names that a query may use."""
        if self.kind == "histogram":
            return {f"{self.name}_{end}" for end in ("bucket", "sum", "count")}
        return {self.name}


def described() -> list[Described]:
    """Every metric of ours; what Python's client library adds (`process_…`) is not listed."""
    return [*_of_the_roads(), *_of_the_facts(), *_of_the_log()]


def metrics_page() -> str:
    """docs/METRICS.md."""
    text = [
        "# Metrics",
        "",
        "Made from the code by `make docs`. `GET /metrics` on the admin port answers in",
        "Prometheus' text format, or as OpenMetrics when it is asked for. Beside these, it has",
        "`process_…` and `python_…` of Python's client library.",
        "",
        "At any moment `relay_records_taken_total` = the sum of `relay_records_settled_total`",
        "+ `relay_records_returned_total` + `relay_records_open`; `relay_ledger_balanced` says",
        "whether it holds. `relay_membership_…` are the same for membership events, with",
        "`segments.membership.enabled`; `relay_registry_…` are there with a",
        "`schema_registry`. [deploy/alerts.yaml](../deploy/alerts.yaml) and",
        "[deploy/dashboard.json](../deploy/dashboard.json) use them.",
        "Words: [GLOSSARY.md](GLOSSARY.md).",
        "",
        "| metric | type | labels | meaning |",
        "|---|---|---|---|",
    ]
    for one in described():
        labels = ", ".join(f"`{label}`" for label in one.labels)
        text.append(f"| `{one.name}` | {one.kind} | {labels} | {one.about} |")
    return "\n".join(text) + "\n"


def _of_the_roads() -> Iterator[Described]:
    rng = random.Random(0)  # noqa: S311 - not for secrets
    stream = Reporter(Engine(EnginePolicy(), _unwanted, rng), _nobody_hears, ReportPolicy())
    membership = MembershipReporter(
        MembershipEngine(MembershipPolicy(), _unwanted, rng), _nobody_hears
    )
    for family in Roads(stream, {"segments": membership}).metrics():
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = tuple(getattr(family, "_labelnames", ()))  # empty families have no samples
        yield Described(name, family.type, labels, family.documentation)


def _of_the_facts() -> Iterator[Described]:
    for fact in every_fact():
        if fact.counter:
            yield Described(fact.counter.name, "counter", fact.counter.labels, fact.counter.help)


def _of_the_log() -> Iterator[Described]:
    for family in LostLines(configure(json=True, stream=BytesIO())).collect():
        yield Described(f"{family.name}_total", family.type, (), family.documentation)


def _nobody_hears(_fact: Fact) -> None:
    pass


def _unwanted(_record: Record, _now_ms: int) -> Unwanted:
    return Unwanted("", "")
