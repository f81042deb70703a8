"""What is needed to read the file that an export names."""

from dataclasses import dataclass, field

from relay.apis.errors import AnswerUnusable

KEPT = "files are kept for 48 hours at most; ask for a new export"


@dataclass(frozen=True, slots=True)
class S3Access:
    """How to reach S3. Without keys, what the surroundings offer is used: a role, a profile."""

    region: str = "us-east-1"
    endpoint: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FileAccess:
    """How to reach a file, wherever it lies."""

    s3: S3Access = field(default_factory=S3Access)
    proxy: str | None = field(default=None, repr=False)
    bytes_max: int = 20_000_000_000
    """Largest file that is downloaded."""
    allow_private: bool = False
    """Whether an address may lead into a private network, or to this machine."""


def check_size(what: str, size: int, bytes_max: int) -> None:
    """Refuse a file that is larger than allowed, as soon as that is known."""
    if size > bytes_max:
        raise AnswerUnusable(
            f"{what}: the file is larger than {bytes_max} bytes",
            hint="if that is meant, raise segments.exports.file_bytes_max",
        )
