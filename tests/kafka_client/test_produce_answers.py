"""What brokers answered to a producer last; on a real Kafka in `test_dead_letter_topic.py`."""

from types import SimpleNamespace

from aiokafka import errors as theirs
from aiokafka.protocol.produce import ProduceRequest

from relay.kafka_client.errors import translation
from relay.kafka_client.produce_answers import ProduceAnswers

NONE, NOT_ENOUGH = theirs.NoError.errno, theirs.NotEnoughReplicasError.errno


class Client:
    """Answers each request with what is laid ready: topic → numbers of errors."""

    def __init__(self):
        self.ready = {}

    async def send(self, node_id, request, *, group=0):
        partitions = {
            topic: [(at, number, 0, 0) for at, number in enumerate(numbers)]
            for topic, numbers in self.ready.items()
        }
        return SimpleNamespace(topics=list(partitions.items()))


async def test_the_last_refusal_of_a_topic_is_known_until_its_records_are_taken():
    client = Client()
    answers = ProduceAnswers(SimpleNamespace(client=client))
    request = ProduceRequest(transactional_id=None, required_acks=-1, timeout=1, topics=[])
    client.ready = {"a.dlq": [NOT_ENOUGH], "b.dlq": [NONE]}
    assert (await client.send(1, request, group=0)).topics[0][0] == "a.dlq"
    assert answers.refusal(["b.dlq"]) is None
    refusal = answers.refusal(["b.dlq", "a.dlq"])
    assert isinstance(refusal, theirs.NotEnoughReplicasError)
    error = translation(refusal, "dead letters")
    assert "not enough replicas" in error.problem
    assert "min.insync.replicas" in error.hint

    client.ready = {"a.dlq": [NONE]}
    await client.send(1, SimpleNamespace())
    assert answers.refusal(["a.dlq"]), "another kind of request says nothing"
    await client.send(1, request)
    assert answers.refusal(["a.dlq"]) is None
