"""Answer → Verdict, by an ordered table of rules. The first rule that matches decides.

Called by the engine for every attempt. The default table is the contract of docs/FAILURE.md; rules
from the settings stand before it, so that a deployment can say what its proxy or gateway means.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import jiter
import orjson

from relay.model import Answer, NoAnswer, Request, RequestKind, Verdict, VerdictKind
from relay.stream.sending.complaint import complaint, masked
from relay.stream.sending.pacing import asked_pause_s

EXCERPT_CHARS_MAX = 200  # the beginning of a body says what it is


@dataclass(frozen=True, slots=True)
class Rule:
    """When an answer has one of these statuses (0: no answer) and all that is given, it means this.

    `header` is a lower-case name that must be present. `body` is searched in the (cut) body.
    `says` is the `status` at the top of a JSON body, in lower case: the API's own word, not one of
    something that it quotes.
    `about` limits the rule to answers to such requests; `cut` to bodies longer than is read.
    """

    kind: VerdictKind
    statuses: frozenset[int]
    why: str
    header: str | None = None
    body: re.Pattern[bytes] | None = None
    says: str | None = None
    about: RequestKind | None = None
    cut: bool = False

    def matches(self, answer: Answer, about: RequestKind = RequestKind.ACTIVITY) -> bool:
        """Whether this rule is about such an answer."""
        return (
            answer.status in self.statuses
            and self.about in (None, about)
            and (answer.cut or not self.cut)
            and (self.header is None or self.header in answer.headers)
            and (self.body is None or self.body.search(answer.body) is not None)
            and (self.says is None or self.says == status_word(answer.body, cut=answer.cut))
        )


def statuses(text: str) -> frozenset[int]:
    """`"429"`, `"5xx"`, `"200-299"`, `"none"`, and lists of these with commas → a set.

    Raises:
        ValueError: The text is none of these; the message names the part.
    """
    found: set[int] = set()
    for part in (part.strip() for part in text.split(",")):
        if part == "none":
            found.add(0)
        elif match := re.fullmatch(r"([1-5])xx", part):
            found.update(range(int(match[1]) * 100, int(match[1]) * 100 + 100))
        elif (match := re.fullmatch(r"([1-5]\d\d)(?:-([1-5]\d\d))?", part)) and (
            span := range(int(match[1]), int(match[2] or match[1]) + 1)
        ):
            found.update(span)
        else:
            raise ValueError(f"{part!r} is not a status: write 429, 5xx, 500-504 or none")
    return frozenset(found)


def status_word(body: bytes, *, cut: bool = False) -> str | None:
    """The `status` at the top of a JSON body in lower case, None when there is none.

    `cut`: the body goes on; what stands before the cut counts. A byte order mark and bytes that
    are not UTF-8 (in a text that is quoted, say) are no reason not to see it.
    """
    # How a body is read, from cheap to tolerant:
    #
    #     the status is its first key     by a regular expression; what follows is not looked at
    #     it is JSON                      parsed
    #     it is not UTF-8, or is cut      parsed as far as it goes, with the bad bytes replaced
    #     anything else                   no status: the API has not spoken
    if begins := _BEGINS.match(body):
        return begins[1].decode("ascii").lower()
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = _tolerated(body, cut=cut)
    word = document.get("status") if isinstance(document, dict) else None
    return word.lower() if isinstance(word, str) else None


def _tolerated(body: bytes, *, cut: bool) -> object:
    text = body.decode("utf-8-sig", "replace").encode()
    try:
        return jiter.from_json(text, partial_mode="on" if cut else "off")
    except ValueError:
        return None


# A page may cut a tag at its end, and styles and scripts are no text.
_TAGS = re.compile(r"<(?:style|script)\b.*?</(?:style|script)>|<[^>]*>?")
_PAGE_BYTES_MAX = 2_000  # of a proxy's page: its title and first words stand there
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}")

# Behind a byte order mark or nothing: white space, and the status as the first thing in an object.
_BEGINS = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"status"\s*:\s*"([A-Za-z]+)"\s*[,}]')
_BEGINS_OK = re.compile(_BEGINS.pattern.replace(b"([A-Za-z]+)", b"(?i:ok)"))

DEFAULT_RULES: tuple[Rule, ...] = (
    Rule(VerdictKind.DELIVERED, statuses("2xx"), "accepted", says="ok"),
    Rule(VerdictKind.REFUSED, statuses("2xx"), "answered 2xx with an error", says="error"),
    # Most likely stored, and nobody can tell: sending on would store each record again and again.
    Rule(
        VerdictKind.MISCONFIGURED,
        statuses("2xx"),
        "answered 2xx with a body that is cut before its status: raise tracking.response_bytes_max",
        cut=True,
    ),
    # A login page or an empty answer of something in between: the API has not spoken.
    Rule(VerdictKind.UNAVAILABLE, statuses("2xx"), "answered 2xx without status ok"),
    Rule(VerdictKind.THROTTLED, statuses("429"), "too many requests"),
    Rule(VerdictKind.THROTTLED, statuses("503"), "asked to wait", header="retry-after"),
    Rule(VerdictKind.UNAVAILABLE, statuses("408, 425, 5xx, none"), "unavailable"),
    # The address, the token or the proxy is wrong: true of every record, so no record is to blame.
    Rule(VerdictKind.MISCONFIGURED, statuses("401"), "token not accepted"),
    Rule(VerdictKind.MISCONFIGURED, statuses("403"), "token lacks the right"),
    # The API itself does not know this user. It says nothing about any other.
    Rule(
        VerdictKind.REFUSED,
        statuses("404, 410"),
        "user point unknown",
        says="error",
        about=RequestKind.USER_POINT,
    ),
    Rule(VerdictKind.MISCONFIGURED, statuses("404, 410"), "endpoint or datamart unknown"),
    Rule(VerdictKind.MISCONFIGURED, statuses("3xx"), "redirected: base_url is not the API's"),
    Rule(VerdictKind.MISCONFIGURED, statuses("402, 405, 407, 415, 421, 426"), "not the API"),
    Rule(VerdictKind.REFUSED, statuses("4xx"), "refused"),
    Rule(VerdictKind.UNAVAILABLE, statuses("1xx"), "not a final answer"),
)


def judge(
    answer: Answer,
    rules: Sequence[Rule],
    now_ms: int,
    about: RequestKind = RequestKind.ACTIVITY,
) -> Verdict:
    """Say what an answer means. `now_ms` is the wall clock, for a `Retry-After` that is a date."""
    rule = next((rule for rule in rules if rule.matches(answer, about)), _UNKNOWN)
    status = answer.status
    if status:
        code = f"http_{status}"
        reason = f"{status} {rule.why}"
    else:
        code = str(answer.no_answer or NoAnswer.BROKEN)
        reason = f"no answer: {answer.detail or code}"
    return Verdict(rule.kind, code, reason, status, asked_pause_s(answer, now_ms))


def is_plain_success(answer: Answer) -> bool:
    """The answer that nearly every attempt gets: judged without the table."""
    return answer.status == 200 and _BEGINS_OK.match(answer.body) is not None  # noqa: PLR2004


def explained(
    verdict: Verdict, answer: Answer, sent: Request, redact: Callable[[str], str]
) -> Verdict:
    """The verdict, its reason with what answered and what it said, masked.

    An answer that is not the API's own JSON came from something in between (a firewall, a proxy),
    and the reason says that.
    """
    if verdict.kind is VerdictKind.DELIVERED or not answer.status:
        return verdict
    reason = verdict.reason
    # Whose words these are:
    #
    #     JSON with a status   the API's: its complaint, without the values that were sent
    #     anything else        a proxy's or a firewall's: its media type, and the text of its page
    if status_word(answer.body, cut=answer.cut) is not None:
        words = complaint(answer, sent, redact)
    else:
        media_type = answer.headers.get("content-type", "").partition(";")[0].strip()
        what = media_type if _MEDIA_TYPE.fullmatch(media_type) else "no content type"
        reason += f"; answered by something that is not the API ({what})"
        page = answer.body[:_PAGE_BYTES_MAX].decode("utf-8", "replace")
        words = masked(_TAGS.sub(" ", page), sent, redact)
    return replace(verdict, reason=f"{reason}: {words}" if words else reason)


def excerpt(answer: Answer, redact: Callable[[str], str]) -> str:
    """The beginning of the body for a dead letter: one line, printable, redacted."""
    text = answer.body[: 4 * EXCERPT_CHARS_MAX].decode("utf-8", "replace")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return redact(line)[:EXCERPT_CHARS_MAX]


_UNKNOWN = Rule(VerdictKind.UNAVAILABLE, frozenset(), "not an HTTP status")
