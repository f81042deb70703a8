"""Records by Confluent's own serialisers, on a real Kafka, with a real schema registry."""

import asyncio
from decimal import Decimal

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka import Producer

from relay.model import Record, Undecodable
from relay.sources.formats import FormatName
from relay.sources.registry.facts import RegistryAvailable, RegistryUnavailable
from tests.support.kafka_admin import Kafka
from tests.support.schema_registry import SchemaRegistry
from tests.support.schemas import (
    CLICK_FILE,
    ORDER_AVRO,
    Said,
    Serialisers,
    fetching,
    field,
    message_classes,
    proto_file,
    record,
)

pytestmark = [pytest.mark.broker, pytest.mark.slow]
SHOP = message_classes(CLICK_FILE)
MONEY = """{"type": "record", "name": "Money", "namespace": "shop",
 "fields": [{"name": "cents", "type": "long"}]}"""
SALE = """{"type": "record", "name": "Sale", "namespace": "shop",
 "fields": [{"name": "price", "type": "shop.Money"}]}"""


@pytest.fixture
def serialisers(schema_registry, topic):
    with Serialisers(schema_registry.url, topic) as made:
        yield made


def register(registry: SchemaRegistry, subject: str, **schema: object) -> int:
    answer = httpx.post(f"{registry.url}/subjects/{subject}/versions", json=schema)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["id"])


def mixed(serialisers, index):
    """One record of four kinds, and the document that it is."""
    name = f"e-{index}"
    match index % 4:
        case 0:
            placed = 1_769_851_800_000 + index
            order = {"id": name, "placed": placed, "total": Decimal("19.50"), "coupon": None}
            text = f"2026-01-31T09:30:{index // 1000:02}.{index % 1000:03}Z"
            document = order | {"placed": text, "total": "19.50", "_schema": "shop.Order"}
            return serialisers.avro(order), document
        case 1:
            click = SHOP["Click"](id=name, count=2**62 + index)
            return serialisers.protobuf(click), {
                "count": 2**62 + index, "id": name, "_schema": "shop.Click",
            }  # fmt: skip
        case 2:
            scroll = SHOP["Scroll"](id=name, depth=0.1)
            return serialisers.protobuf(scroll), {
                "depth": 0.1, "end": False, "id": name, "_schema": "shop.Scroll",
            }  # fmt: skip
        case _:
            visit = {"id": name, "page": "/"}
            return serialisers.json_schema(visit), visit


def produce(kafka: Kafka, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 5})
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(30) == 0


async def read(kafka: Kafka, topic: str, count: int) -> list[Record]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest"
    )
    consumer.assign([TopicPartition(topic, 0)])
    await consumer.start()
    try:
        got = [await consumer.getone() for _ in range(count)]
    finally:
        await consumer.stop()
    return [
        Record(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers))
        for r in got
    ]


async def test_three_languages_of_schemas_mixed_in_one_topic_are_read_in_order_across_an_outage(
    kafka: Kafka, topic: str, schema_registry: SchemaRegistry, serialisers
):
    written = [mixed(serialisers, index) for index in range(1200)]
    produce(kafka, topic, [value for value, _ in written])
    records = await read(kafka, topic, 1200)
    said = Said()
    async with fetching(
        schema_registry.url, FormatName.SCHEMA_REGISTRY, said=said, schemas_max=2
    ) as decoder:
        documents = [await decoder.decode(each) for each in records[:600]]
        schema_registry.stop()
        # Two schemas fit into the cache: the third is asked for again, and nobody answers.
        async with asyncio.TaskGroup() as group:
            rest = group.create_task(_all(decoder, records[600:]))
            await said.first.wait()
            assert decoder.loader.problem is not None
            await asyncio.to_thread(schema_registry.start)
        documents += rest.result()
    assert documents == [(document,) for _, document in written]
    assert type(said[0]) is RegistryUnavailable
    assert type(said[-1]) is RegistryAvailable
    assert decoder.loader.problem is None


async def _all(decoder, records):
    return [await decoder.decode(each) for each in records]


async def test_each_schema_is_asked_for_once(schema_registry, serialisers):
    values = [mixed(serialisers, index)[0] for index in range(40)]
    async with fetching(schema_registry.url, FormatName.SCHEMA_REGISTRY) as decoder:
        for value in values:
            assert isinstance(await decoder.decode(record(value)), tuple)
    # The two messages of one file share a schema only if they share a subject: here they do.
    assert len(decoder.fetched) == len(set(decoder.fetched)) == 3


async def test_a_schema_that_evolved_is_read_beside_the_one_before(schema_registry, serialisers):
    placed = {"id": "1", "placed": 1_769_851_800_000, "total": Decimal("-1.05"), "coupon": "x"}
    newer = ORDER_AVRO | {
        "fields": [
            *ORDER_AVRO["fields"],
            {"name": "channel", "type": "string", "default": "app"},
        ]
    }
    before = serialisers.avro(placed)
    after = serialisers.avro(placed | {"channel": "web"}, newer)
    assert before[:5] != after[:5]
    async with fetching(schema_registry.url, FormatName.AVRO) as decoder:
        (old,) = await decoder.decode(record(before))
        (new,) = await decoder.decode(record(after))
    assert old["total"] == new["total"] == "-1.05"
    assert "channel" not in old
    assert new["channel"] == "web"


async def test_the_references_of_avro_and_protobuf_are_resolved(
    schema_registry, serialisers, topic
):
    def refers(name: str, subject: str) -> dict[str, object]:
        return {"name": name, "subject": f"{topic}-{subject}", "version": 1}

    register(schema_registry, f"{topic}-money", schema=MONEY)
    avro = register(
        schema_registry, f"{topic}-sale", schema=SALE, references=[refers("shop.Money", "money")]
    )
    proto3 = 'syntax = "proto3"; package shop; '
    register(
        schema_registry,
        f"{topic}-price",
        schema=proto3 + "message Price { sint64 cents = 1; }",
        schemaType="PROTOBUF",
    )
    proto = register(
        schema_registry,
        f"{topic}-offer",
        schema=proto3 + 'import "price.proto"; message Empty {} '
        "message Offer { Price price = 1; optional string code = 2; }",
        schemaType="PROTOBUF",
        references=[refers("price.proto", "price")],
    )
    async with fetching(schema_registry.url, FormatName.SCHEMA_REGISTRY) as decoder:
        (found,) = await decoder.decode(record(b"\0" + avro.to_bytes(4, "big") + b"\x0e"))
        assert found == {"price": {"cents": 7}, "_schema": "shop.Sale"}
        body = b"\x02\x02" + b"\x0a\x02\x08\x0d"  # the second message; price {cents: -7}
        (found,) = await decoder.decode(record(b"\0" + proto.to_bytes(4, "big") + body))
        assert found == {"price": {"cents": -7}, "_schema": "shop.Offer"}


async def test_the_descriptors_that_confluents_serialiser_registers_refer_to_one_another(
    schema_registry, serialisers
):
    inner = proto_file("shop/inner.proto", "shop", [("Inner", [field("n", 1, "int32")])])
    outer = proto_file(
        "shop/outer.proto",
        "shop",
        [("Outer", [field("inner", 1, "message", type_name=".shop.Inner")])],
        ["shop/inner.proto"],
    )
    made = message_classes(inner, outer)["Outer"]()
    made.inner.n = 3
    value = serialisers.protobuf(made)
    async with fetching(schema_registry.url, FormatName.PROTOBUF) as decoder:
        (found,) = await decoder.decode(record(value))
    assert found == {"inner": {"n": 3}, "_schema": "shop.Outer"}


async def test_an_id_that_the_registry_does_not_have_is_waited_for_then_unknown(schema_registry):
    async with fetching(schema_registry.url, FormatName.AVRO, unknown_wait_s=0.2) as decoder:
        unknown = await decoder.decode(record(b"\0\x00\x0f\x00\x00x"))
    assert unknown == Undecodable(
        "schema_unknown", "the registry has no schema 983040 (schema_registry)"
    )


async def test_an_id_that_comes_while_it_is_waited_for_is_used(schema_registry, serialisers):
    order = {"id": "1", "placed": 1_769_851_800_000, "total": Decimal(1), "coupon": None}
    key = int.from_bytes(serialisers.avro(order)[1:5], "big") + 1  # the next that is given away
    async with fetching(schema_registry.url, FormatName.AVRO, unknown_wait_s=60) as decoder:
        value = b"\0" + key.to_bytes(4, "big") + b"\x06abc"
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(decoder.decode(record(value)))
            await decoder.asked.wait()
            made = register(schema_registry, "late", schema='{"type":"string"}')
        assert made == key
        assert waiting.result() == Undecodable("not_an_object", "the value must be an object")


async def test_a_wrong_address_holds_and_says_so(schema_registry):
    said = Said()
    url = schema_registry.url.replace("/apis/", "/api/")
    async with fetching(url, FormatName.AVRO, said=said) as decoder, asyncio.TaskGroup() as group:
        asking = group.create_task(decoder.decode(record(b"\0\0\0\0\1x")))
        await said.first.wait()
        asking.cancel()
    assert said[0].refused
    assert "check its address" in said[0].reason
