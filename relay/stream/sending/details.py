"""Texts of libraries → the one line that says why there was no answer. Pure."""

DETAIL_CHARS_MAX = 300  # of a line of the log


def detail(*messages: str) -> str:
    """One bounded line out of what a client library says, innermost cause last.

    A message that holds an address is left out: paths can name a user.
    """
    seen: list[str] = []
    for message in messages:
        line = " ".join(message.split())
        if line and "://" not in line and not any(line in earlier for earlier in seen):
            seen.append(line)
    return ": ".join(seen)[:DETAIL_CHARS_MAX]
