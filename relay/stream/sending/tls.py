"""Certificate files to what a TLS client needs; a file that cannot be used is a clear error."""

import ssl
from pathlib import Path

from relay.errors import SettingsError


def client_context(
    ca_file: Path | None,
    cert_file: Path | None,
    key_file: Path | None,
    section: str = "tracking",
) -> ssl.SSLContext:
    """A context that trusts the system's authorities and `ca_file`, and can show a certificate.

    `section` is that of the settings, for errors.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        _readable(ca_file, f"{section}.ca_file")
        try:
            context.load_verify_locations(ca_file)
        except ssl.SSLError:
            raise SettingsError(
                f"{section}.ca_file {ca_file} holds no usable certificate",
                hint="it must be PEM: -----BEGIN CERTIFICATE-----",
            ) from None
    if cert_file is not None:
        _readable(cert_file, f"{section}.client_cert_file")
        if key_file is not None:
            _readable(key_file, f"{section}.client_key_file")
        try:
            # The empty password keeps an encrypted key from asking at a terminal.
            context.load_cert_chain(cert_file, key_file, password="")
        except (ssl.SSLError, ValueError):
            raise SettingsError(
                f"{section}.client_cert_file {cert_file} and its key do not fit together",
                hint="both must be PEM, belong to each other, and the key must not be encrypted",
            ) from None
    return context


def _readable(path: Path, setting: str) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{setting}: cannot read {path}: {error.strerror or type(error).__name__}"
        ) from None
