"""What the installed Kafka client can do, asked before the first record and not at it."""

from aiokafka import codec
from aiokafka.record import default_records

from relay.errors import SettingsError

_CODECS = {
    "gzip": codec.has_gzip,
    "snappy": codec.has_snappy,
    "lz4": codec.has_lz4,
    "zstd": codec.has_zstd,
}


def missing_codecs() -> list[str]:
    """Compression codecs that producers may use and that this installation cannot read."""
    return [name for name, present in _CODECS.items() if not present()]


def require_codecs() -> None:
    """Every producer chooses its own codec, so all of them must be readable.

    Raises:
        SettingsError: One is missing.
    """
    missing = missing_codecs()
    if missing:
        raise SettingsError(
            f"this installation cannot read Kafka's {', '.join(missing)} compression",
            hint="pip install 'aiokafka[lz4,snappy,zstd]'",
        )


def has_compiled_parser() -> bool:
    """Whether aiokafka's C extension is loaded; without it reading is 40 to 90 times slower."""
    return "_crecords" in default_records.DefaultRecordBatch.__module__
