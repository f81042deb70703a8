"""One call to a user point, taken apart: who is meant, what is asked, and the answers in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import Scope

from relay.sandbox import envelopes
from relay.sandbox.datamart import Datamart
from relay.sandbox.documents import MAX_RESULTS, PAGE_MAX
from relay.sandbox.fault_middleware import ENTRY
from relay.sandbox.journal import Entry, EventSeen, Stored
from relay.sandbox.refusals import invalid, not_found, parsed_body
from relay.sandbox.selectors import Selector, UserPointId
from relay.sandbox.state import State
from relay.sandbox.user_points import Identifier, UserPoint

PAGE_DIGITS_MAX = len(str(PAGE_MAX))


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    state: State
    datamart: Datamart
    selector: Selector
    values: Mapping[str, str]
    query: Mapping[str, list[str]]
    scope: Scope

    @property
    def now_ms(self) -> int:
        """The platform's time."""
        return self.state.now_ms()

    def found(self) -> UserPoint | None:
        """The user point, if there is one."""
        if isinstance(self.selector, UserPointId):
            return self.datamart.users.by_id(self.selector.id)
        return self.datamart.users.find(self.selector)

    def found_or_made(self) -> UserPoint | None:
        """The user point; an unknown identifier creates one (documented), an unknown id cannot."""
        if isinstance(self.selector, UserPointId):
            return self.found()
        return self.datamart.users.meet([self.selector], self.now_ms)

    def document(self, what: str) -> Any:
        """The body, parsed, or a response that refuses it."""
        return parsed_body(self.state, self.scope, what)

    def record(self, user: UserPoint, events: tuple[EventSeen, ...]) -> None:
        """Tell the log that the call changed something."""
        entry: Entry = self.scope[ENTRY]
        entry.user = user.id
        if isinstance(self.selector, Identifier):
            entry.identifiers = (str(self.selector),)
        entry.events = events
        self.state.journal.store(entry, Stored.NEW)

    def listing(self, data: Sequence[Any]) -> Response:
        """The page of `data` that the query asks for. Documented: nothing to list is a 404."""
        page = {"first_result": 0, "max_results": MAX_RESULTS}
        for name in page:
            if name not in self.query:
                continue
            text = self.query[name][0]
            if not (text.isascii() and text.isdigit() and len(text) <= PAGE_DIGITS_MAX):
                return invalid(self.state, "query", [(name, "must be a whole number")])
            page[name] = int(text)
        if not data:
            return not_found(self.state)
        return envelopes.listing(data, page["first_result"], page["max_results"])
