"""structlog, without rich, which it would import for traces that nobody prints here.

Those are 30 ms of CPU and 3 MB of every start (docs/adr/0012-what-the-libraries-bring.md). Where
rich was imported before, or is later, it is there.
"""

import sys

_RICH = "rich"
_before = sys.modules.get(_RICH)
sys.modules[_RICH] = None  # type: ignore[assignment] # an import of it fails, which it allows for
try:
    import structlog
finally:
    if _before is None:
        del sys.modules[_RICH]
    else:
        sys.modules[_RICH] = _before

__all__ = ["structlog"]
