"""Certificate files → what a TLS client needs, as they are now: they may be renewed while it runs.

A file that cannot be used is a clear error at the start. Later, the last good ones stay in use.
"""

import ssl
from pathlib import Path

from relay.errors import SettingsError

CHECK_EVERY_S = 1.0  # a look is a system call for each file, and a renewal has days


class TlsFiles:
    """The context for new connections, read again when the content of a file changes.

    Whether one changed is asked at most once a second, when a connection is to be opened.
    Connections that are open keep what they were opened with, until they are too old.
    """

    def __init__(
        self,
        ca_file: Path | None,
        cert_file: Path | None,
        key_file: Path | None,
        protocols: tuple[str, ...] = ("http/1.1",),
    ) -> None:
        """`protocols` are offered in the handshake. Raises `SettingsError`."""
        self._files = ca_file, cert_file, key_file
        self._protocols = protocols
        # Before they are used: a change in between is seen at the next look.
        self._content = self._read()
        self._context = self._made()
        self._check_at: float | None = None
        self._problem = ""

    @property
    def problem(self) -> str:
        """Why the last look failed, or nothing."""
        return self._problem

    def context(self, now: float) -> ssl.SSLContext:
        """The context for a connection that is opened at `now`, the event loop's time."""
        if self._check_at is None:
            self._check_at = now + CHECK_EVERY_S
        elif now >= self._check_at:
            self._check_at = now + CHECK_EVERY_S
            try:
                content = self._read()
                if content != self._content:
                    self._context = self._made()
                    self._content = content
                self._problem = ""
            except SettingsError as error:  # half of them may be written: look again in a second
                self._problem = f"{error}; the files as they were before are in use"
        return self._context

    def _read(self) -> tuple[bytes | None, ...]:
        names = ("ca_file", "client_cert_file", "client_key_file")
        return tuple(
            None if path is None else _content(path, f"tracking.{name}")
            for path, name in zip(self._files, names, strict=True)
        )

    def _made(self) -> ssl.SSLContext:
        context = client_context(*self._files)
        if self._protocols:
            context.set_alpn_protocols(list(self._protocols))
        return context


def client_context(
    ca_file: Path | None,
    cert_file: Path | None,
    key_file: Path | None,
    section: str = "tracking",
) -> ssl.SSLContext:
    """A context that trusts the system's authorities and `ca_file`, and can show a certificate.

    `section` is that of the settings, for errors.

    Raises:
        SettingsError: A file cannot be read, holds no certificate, or the two do not fit.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        _content(ca_file, f"{section}.ca_file")
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ValueError):
            raise SettingsError(
                f"{section}.ca_file {ca_file} holds no usable certificate",
                hint="it must be PEM: -----BEGIN CERTIFICATE-----",
            ) from None
    if cert_file is not None:
        _content(cert_file, f"{section}.client_cert_file")
        if key_file is not None:
            _content(key_file, f"{section}.client_key_file")
        try:
            # The empty password keeps an encrypted key from asking at a terminal.
            context.load_cert_chain(cert_file, key_file, password="")
        except (OSError, ValueError):
            raise SettingsError(
                f"{section}.client_cert_file {cert_file} and its key do not fit together",
                hint="both must be PEM, belong to each other, and the key must not be encrypted",
            ) from None
    return context


def _content(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{setting}: cannot read {path}: {error.strerror or type(error).__name__}"
        ) from None
