"""A file of which some lines were rejected → the pieces to send, until the bad ones are known.

The lines that were taken are sent again on the way, which changes nothing on the platform. A piece
of which all lines are rejected, or none, is known; any other is taken apart further. With one bad
line that is halving: at most 2 · log2(lines) executions. With more, a file is first cut into as
many pieces as it has bad lines, which saves the sizes at which nearly every piece has one.
Pure; both `relay segments` and membership events use it.
"""

from collections.abc import Collection, Sequence


def apart(lines: int, rejected: int, named: Collection[int] = ()) -> list[Sequence[int]]:
    """The places of the lines of each piece: two pieces or more, none of them empty.

    `named` are places that an error file seems to name (`hints`): they are the first piece, and
    all others the second. Otherwise the pieces follow one another.
    """
    chosen = sorted({place for place in named if 0 <= place < lines})
    if 0 < len(chosen) < lines and len(chosen) <= max(rejected, 1):
        return [chosen, sorted(set(range(lines)) - set(chosen))]
    pieces = min(lines, max(2, rejected))
    return [
        range(lines * piece // pieces, lines * (piece + 1) // pieces) for piece in range(pieces)
    ]
