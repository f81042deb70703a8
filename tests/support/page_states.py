"""The states in which the live page is looked at, each of a Relay that really runs."""

import contextlib
import itertools
import json
import signal
import uuid
from collections.abc import Callable, Iterator, Sequence

from relay.sandbox.embedded_broker import embedded_broker
from tests.support.embedded import Whole, whole_relay
from tests.support.kafka_admin import Kafka, wait_for
from tests.support.road import TOKEN, Feeder, Sandbox, relay_environ, relay_run

ADMIN_TOKEN = "a token of the admin page"
REFUSED_RECORDS = 12
_SLOW = {"latency_ms": 40, "rules": []}
_FAILS = {"rules": [{"kind": "status", "status": 503, "rate": 1.0}]}
_REFUSES = {"rules": [{"kind": "status", "status": 401, "rate": 1.0}]}
_SOME_REFUSED = {"kind": "status", "status": 422, "rate": 0.03}

_QUICK = {"DELIVERY__PROGRESS_EVERY_S": "1"}


@contextlib.contextmanager
def full_speed() -> Iterator[Whole]:
    """Everything flows, and a few records are refused."""
    with whole_relay(users=200, **_QUICK) as whole:
        whole.sandbox.faults({**_SLOW, "rules": [_SOME_REFUSED]})
        with whole.feeder.going_on(40, bad=0.01):
            whole.until_settled(500)
            yield whole


@contextlib.contextmanager
def outage() -> Iterator[Whole]:
    """The API answers 503 to everything."""
    with whole_relay(users=200, **_QUICK) as whole:
        whole.feeder.send(300, bad=0.02)
        whole.until_settled(300)
        whole.sandbox.faults(_FAILS)
        whole.feeder.send(400)
        whole.relay.until("destination_down")
        yield whole


@contextlib.contextmanager
def held() -> Iterator[Whole]:
    """The API refuses the token."""
    with whole_relay(users=200, **_QUICK) as whole:
        whole.sandbox.faults(_REFUSES)
        whole.feeder.send(400)
        whole.relay.until("destination_held")
        yield whole


@contextlib.contextmanager
def draining() -> Iterator[Whole]:
    """It was told to stop, and one request is not answered for long."""
    patient = {f"TRACKING__{name}_TIMEOUT_S": "60" for name in ("READ", "TOTAL")}
    with whole_relay(**_QUICK, **patient, DELIVERY__STOP_DEADLINE_S="40") as whole:
        whole.sandbox.faults({"latency_ms": 30_000, "rules": []})
        whole.feeder.send(20)
        wait_for(lambda: whole.status()["destination"]["in_flight"] > 0, 20, "nothing flies")
        whole.relay.signal(signal.SIGTERM)
        whole.relay.until("drain_started")
        yield whole


@contextlib.contextmanager
def empty() -> Iterator[Whole]:
    """Nothing has come yet."""
    with whole_relay(**_QUICK) as whole:
        whole.relay.until("partitions_assigned")
        yield whole


@contextlib.contextmanager
def refused() -> Iterator[Whole]:
    """Some records were refused; whatever was wrong with them is right by now."""
    with whole_relay(users=200, **_QUICK, ADMIN__TOKEN=ADMIN_TOKEN) as whole:
        whole.sandbox.faults({"rules": [{"kind": "status", "status": 422, "rate": 1.0}]})
        whole.feeder.send(REFUSED_RECORDS)
        whole.until_settled(REFUSED_RECORDS)
        whole.sandbox.faults({"rules": []})
        yield whole


@contextlib.contextmanager
def three_hundred_partitions() -> Iterator[Whole]:
    """Of 75 topics."""
    topics = [f"shop.eu-{number:02}.orders" for number in range(75)]
    with embedded_broker(*topics, "shop.dlq") as bootstrap_servers, Sandbox() as sandbox:
        kafka = Kafka(bootstrap_servers)
        group = f"page-{uuid.uuid4().hex[:8]}"
        environ = relay_environ(kafka, topics[0], sandbox.url, group, **_QUICK)
        environ["RELAY_KAFKA__TOPICS"] = ",".join(topics)
        environ["RELAY_DEAD_LETTER__TOPIC"] = "shop.dlq"
        with relay_run(environ) as relay:
            admin = str(relay.until("relay_started")["admin"])
            relay.until("partitions_assigned")
            sandbox.faults({"latency_ms": 20, "rules": []})
            for topic in topics[:60:7]:
                Feeder(kafka, topic, 1, 50).send(60)
            yield Whole(kafka, sandbox, relay, Feeder(kafka, topics[0], 2, 50), admin)


@contextlib.contextmanager
def several() -> Iterator[Whole]:
    """Four destinations, one down and one held, and segment events that are refused."""
    topic, names = "app-events", ("france", "germany", "italy")
    with embedded_broker(topic, f"{topic}.dlq") as bootstrap_servers, Sandbox() as sandbox:
        kafka = Kafka(bootstrap_servers)
        destinations = [
            {"name": name, "base_url": sandbox.url, "datamart_id": f"{number}", "api_token": TOKEN}
            for number, name in enumerate(names, 1)
        ]
        environ = relay_environ(
            kafka,
            topic,
            sandbox.url,
            f"page-{uuid.uuid4().hex[:8]}",
            **_QUICK,
            DESTINATIONS=json.dumps(destinations),
            ROUTING__FIELD="site_id",
            SEGMENTS__MEMBERSHIP__ENABLED="true",
            SEGMENTS__MEMBERSHIP__DELAY_GOAL_S="0.6",
        )
        with relay_run(environ) as relay:
            whole = Whole(
                kafka,
                sandbox,
                relay,
                _Sites(kafka, topic, names),
                str(relay.until("relay_started")["admin"]),
            )
            whole.feeder.send(60)
            whole.until_settled(60)
            down = {"kind": "status", "status": 503, "path": "*datamarts/2/*"}
            held = {"kind": "status", "status": 401, "path": "*datamarts/3/*"}
            refused = {"kind": "status", "status": 403, "path": "*imports*"}
            sandbox.faults({"latency_ms": 20, "rules": [down, held, refused]})
            whole.feeder.segment_event()
            with whole.feeder.going_on(4):
                for told in ("destination_down", "destination_held", "membership_held"):
                    relay.until(told)
                yield whole


class _Sites(Feeder):
    """Each event is of a site, whose name is that of a destination."""

    def __init__(self, kafka: Kafka, topic: str, names: Sequence[str]) -> None:
        super().__init__(kafka, topic, 1, 50)
        self._names = itertools.cycle(names)

    def event(self, user: str, seq: int) -> bytes:
        document = json.loads(super().event(user, seq))
        return json.dumps(document | {"site_id": next(self._names)}).encode()

    def segment_event(self) -> None:
        """One user enters one segment."""
        document = {
            "type": "segment",
            "id": "s1",
            "ts": 1_767_225_600_000,
            "user": {"accounts": [{"id": "user-1"}]},
            "action": "add",
            "segment_ids": ["88"],
        }
        self._produce("user-1", json.dumps(document).encode())


STATES: dict[str, Callable[[], contextlib.AbstractContextManager[Whole]]] = {
    "full-speed": full_speed,
    "outage": outage,
    "held": held,
    "draining": draining,
    "empty": empty,
    "refused": refused,
    "several": several,
    "300-partitions": three_hundred_partitions,
}
