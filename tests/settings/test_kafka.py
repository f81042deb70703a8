"""The sections about Kafka: what contradicts itself is refused, what is given becomes a policy."""

import pytest
from pydantic import ValidationError

from relay.kafka_client.policy import SecretFile
from relay.road.consuming.policy import MissingTopics, OffsetReset
from relay.settings.kafka import KafkaSettings
from relay.settings.secrets import secret_values

LOGIN = {"protocol": "SASL_SSL", "username": "relay", "password": "p4ss"}
OAUTH = {"token_url": "https://id.example/t", "client_id": "relay", "client_secret": "s3cret"}


def test_the_defaults_read_one_topic_without_security():
    policy = KafkaSettings().consumer("{topic}.dlq")

    assert policy.client.protocol == "PLAINTEXT"
    assert policy.topics == ("app-events",)
    assert policy.auto_offset_reset is OffsetReset.EARLIEST
    assert policy.missing_topics is MissingTopics.FAIL
    assert policy.isolation_level == "read_committed"


@pytest.mark.parametrize("topic", ["a", ".a", "..a", "...", "....", "_", "-", "a.", "a..b"])
def test_a_name_that_kafka_takes_is_taken(topic):
    assert KafkaSettings(topics=[topic]).topics == (topic,)


@pytest.mark.parametrize("topic", ["", ".", "..", "a b", "ä", "a/b", "a" * 250])
def test_a_name_that_kafka_does_not_take_is_refused(topic):
    with pytest.raises(ValidationError):
        KafkaSettings(topics=[topic])


@pytest.mark.parametrize(
    ("security", "problem"),
    [
        ({"protocol": "SSL", "cert_file": "c.pem"}, "cert_file and key_file go together"),
        ({"ca_file": "ca.pem"}, "PLAINTEXT uses no certificates"),
        ({"username": "relay"}, "PLAINTEXT has no login"),
        ({"protocol": "SASL_SSL"}, "SCRAM-SHA-512 needs username and password"),
        ({**LOGIN, "mechanism": "OAUTHBEARER"}, "OAUTHBEARER needs oauth"),
        ({**LOGIN, "oauth": {}}, "one of token_file and token_url"),
        ({**LOGIN, "oauth": {**OAUTH, "token_file": "t"}}, "one of token_file and token_url"),
        ({**LOGIN, "oauth": {"token_url": "https://x"}}, "needs client_id and client_secret"),
        ({"protocol": "SSLPLAIN"}, "Input should be"),
        ({"protocl": "SSL"}, "Extra inputs"),
    ],
)
def test_security_that_contradicts_itself_is_refused(security, problem):
    with pytest.raises(ValidationError, match=problem) as refusal:
        KafkaSettings(security=security)
    assert "p4ss" not in str(refusal.value)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"topics": ["a"], "topic_pattern": "a.*"}, "topics or topic_pattern, not both"),
        ({"topic_pattern": "a("}, "not a regular expression"),
        ({"topics": []}, "topics is empty"),
        ({"topics": ["a b"]}, "should match pattern"),
        ({"rebalance_timeout_s": 60, "poll_interval_max_s": 30}, "must not exceed"),
        ({"isolation_level": "dirty"}, "should match pattern"),
    ],
)
def test_what_cannot_be_read_is_refused(given, problem):
    with pytest.raises(ValidationError, match=problem):
        KafkaSettings(**given)


def test_everything_about_security_reaches_the_policy():
    policy = KafkaSettings(
        security={
            **LOGIN,
            "mechanism": "PLAIN",
            "ca_file": "ca.pem",
            "cert_file": "c.pem",
            "key_file": "k.pem",
            "key_password": "kp",
            "verify_hostname": False,
        }
    ).client()

    assert policy.protocol == "SASL_SSL"
    assert (policy.sasl.mechanism, policy.sasl.username, policy.sasl.password) == (
        "PLAIN",
        "relay",
        "p4ss",
    )
    assert (policy.tls.ca_file.name, policy.tls.cert_file.name, policy.tls.key_file.name) == (
        "ca.pem",
        "c.pem",
        "k.pem",
    )
    assert policy.tls.key_password == "kp"
    assert not policy.tls.verify_hostname
    assert "p4ss" not in repr(policy)


def test_a_token_endpoint_reaches_the_policy():
    given = {"protocol": "SASL_SSL", "mechanism": "OAUTHBEARER", "oauth": {**OAUTH, "scope": "k"}}

    token = KafkaSettings(security=given).client().sasl.token

    assert (token.token_url, token.client_id, token.client_secret, token.scope) == (
        "https://id.example/t",
        "relay",
        "s3cret",
        "k",
    )
    assert "s3cret" not in repr(token)


def test_a_secret_that_stays_in_its_file_is_read_there_and_kept_out_of_text(tmp_path):
    file = tmp_path / "password"
    file.write_text("from-the-file\n")
    security = {
        "protocol": "SASL_SSL",
        "mechanism": "PLAIN",
        "username": "relay",
        "password_file": file,
    }
    settings = KafkaSettings(security=security)

    assert settings.client().sasl.password == SecretFile(file, "kafka.security.password_file")
    assert secret_values(settings) == ["from-the-file"]
    file.unlink()
    assert secret_values(settings) == []
