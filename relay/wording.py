"""Numbers in sentences."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 event`, `2 events`, `12,000 events`; `many` where an s behind the word is not enough."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
