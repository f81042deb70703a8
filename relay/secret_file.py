"""A file that holds one secret → the secret.

Container platforms hand secrets over as files and replace the file when the secret changes.
"""

import errno
from pathlib import Path

_BYTES_MAX = 64 * 1024


class SecretUnreadable(Exception):
    """Why the file gave no secret, without its content."""


def read_secret(path: Path) -> str:
    """The content of the file without the line end that editors leave at the end of it.

    Raises:
        SecretUnreadable: It cannot be read, or is nothing like a secret.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_BYTES_MAX + 1)
    except ValueError:  # of a NUL character
        raise SecretUnreadable("is no path of a file") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # most likely the secret itself
            raise SecretUnreadable("is no path of a file: it is too long") from None
        why = f"{error.strerror} (name a file that relay can read)"
        raise SecretUnreadable(f"{path}: {why}") from None
    if len(raw) > _BYTES_MAX:
        raise SecretUnreadable(f"{path}: holds more than {_BYTES_MAX} bytes, which is no secret")
    try:
        text = raw.decode("utf-8").strip("\r\n")
    except UnicodeDecodeError:
        raise SecretUnreadable(f"{path}: is not UTF-8 text") from None
    if not text:
        raise SecretUnreadable(f"{path}: is empty (write the secret into it)")
    return text
