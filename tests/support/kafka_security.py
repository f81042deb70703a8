"""The secured listeners of a test broker: what the broker is told, what clients must show.

| listener | protocol | who gets in |
|---|---|---|
| TLS | SSL | everybody who trusts the authority |
| MTLS | SSL | whoever shows a certificate of the authority |
| SASL_TLS | SASL_SSL | `USERS`, by PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or an unsigned token |
| SASL_PLAIN | SASL_PLAINTEXT | the same, without encryption |
"""

import base64
import json
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from tests.support.certificates import CertificateAuthority

USERS = {"relay": "relay-secret", "guest": "guest-secret"}

_MODULES = "org.apache.kafka.common.security"


class SecuredListeners:
    """Certificates, users and broker configuration for the listeners in this module's table."""

    protocols = {  # noqa: RUF012 - a constant table
        "TLS": "SSL",
        "MTLS": "SSL",
        "SASL_TLS": "SASL_SSL",
        "SASL_PLAIN": "SASL_PLAINTEXT",
    }

    def __init__(self, home: Path) -> None:
        self.authority = CertificateAuthority(home)
        self.client = self.authority.issue("client")
        self._broker = self.authority.issue("broker")

    def broker_properties(self) -> dict[str, str]:
        """What makes a broker offer these listeners."""
        properties = {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._broker.both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.cert),
            "listener.name.mtls.ssl.client.auth": "required",
            # Whoever comes in by the plain listener is the test itself and may do everything.
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "true",
        }
        plain_users = " ".join(f'user_{name}="{secret}"' for name, secret in USERS.items())
        mechanisms = {
            "plain": f"{_MODULES}.plain.PlainLoginModule required {plain_users};",
            "scram-sha-256": f"{_MODULES}.scram.ScramLoginModule required;",
            "scram-sha-512": f"{_MODULES}.scram.ScramLoginModule required;",
            "oauthbearer": f"{_MODULES}.oauthbearer.OAuthBearerLoginModule required "
            'unsecuredLoginStringClaim_sub="broker";',
        }
        for listener in ("sasl_tls", "sasl_plain"):
            prefix = f"listener.name.{listener}"
            properties[f"{prefix}.sasl.enabled.mechanisms"] = ",".join(mechanisms).upper()
            for mechanism, jaas in mechanisms.items():
                properties[f"{prefix}.{mechanism}.sasl.jaas.config"] = jaas
        return properties

    def create_users(self, admin: AdminClient) -> None:
        """Give every user its SCRAM credentials; PLAIN's are in the broker's configuration."""
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            upsertions: list[UserScramCredentialAlteration] = [
                UserScramCredentialUpsertion(
                    name, ScramCredentialInfo(mechanism, 4096), secret.encode()
                )
                for name, secret in USERS.items()
            ]
            for result in admin.alter_user_scram_credentials(upsertions).values():
                result.result(timeout=30)

    def set_password(self, admin: AdminClient, user: str, password: str) -> None:
        """Make or change a user's SCRAM-SHA-512 password. Open connections stay logged in."""
        upsertion = UserScramCredentialUpsertion(
            user, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), password.encode()
        )
        for result in admin.alter_user_scram_credentials([upsertion]).values():
            result.result(timeout=30)

    def deny(self, admin: AdminClient, user: str, topic: str, operation: AclOperation) -> None:
        """Forbid one user one operation on one topic; everybody else keeps it."""
        _forbid(admin, ResourceType.TOPIC, topic, user, operation)

    def forgive(self, admin: AdminClient, topic: str) -> None:
        """Take back what `deny` and `deny_group` did to this name."""
        everything = AclBindingFilter(
            ResourceType.ANY,
            topic,
            ResourcePatternType.LITERAL,
            None,
            None,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        for result in admin.delete_acls([everything]).values():
            result.result(timeout=30)

    def deny_group(self, admin: AdminClient, user: str, group: str) -> None:
        """Forbid one user a consumer group."""
        _forbid(admin, ResourceType.GROUP, group, user, AclOperation.READ)


def _forbid(
    admin: AdminClient, kind: ResourceType, name: str, user: str, operation: AclOperation
) -> None:
    literal = ResourcePatternType.LITERAL
    deny, allow = AclPermissionType.DENY, AclPermissionType.ALLOW
    acls = [
        AclBinding(kind, name, literal, f"User:{user}", "*", operation, deny),
        # With any rule for a thing, what is not allowed is forbidden to all.
        AclBinding(kind, name, literal, "User:*", "*", AclOperation.ALL, allow),
    ]
    for result in admin.create_acls(acls).values():
        result.result(timeout=30)


def unsigned_token(subject: str, issued_s: int, life_s: int = 3600) -> str:
    """An OAuth bearer token that a broker with Kafka's own unsecured validator accepts."""

    def part(content: object) -> str:
        encoded = base64.urlsafe_b64encode(json.dumps(content).encode())
        return encoded.rstrip(b"=").decode()

    claims = {"sub": subject, "iat": issued_s, "exp": issued_s + life_s}
    return f"{part({'alg': 'none'})}.{part(claims)}."
