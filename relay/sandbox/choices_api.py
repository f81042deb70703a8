"""`…/user_choices`: a call in, a choice stored or choices read, an envelope out."""

from starlette.responses import Response

from relay.sandbox import envelopes
from relay.sandbox.documents import UserChoiceUpdate
from relay.sandbox.refusals import invalid, not_found
from relay.sandbox.user_point_call import Call
from relay.sandbox.validation import problems, whole


def put_choice(call: Call) -> Response:
    """Store what the user chose."""
    document = call.document("user choice")
    if isinstance(document, Response):
        return document
    processing_id = call.values["processing_id"]
    found = problems(UserChoiceUpdate, document, processing_id=processing_id)
    if found:
        return invalid(call.state, "user choice", found)
    user = call.found_or_made()
    if user is None:
        return not_found(call.state)
    ts = whole(document["$choice_ts"]) or 0
    call.record(user, call.datamart.judge_document(user, "user_choices", document, ts))
    choice = call.datamart.put_choice(user, processing_id, document, ts, call.now_ms)
    # Inferred: the vendor shows no answer to this call.
    return envelopes.ok(choice.document(user.id))


def get_choices(call: Call) -> Response:
    """The current choices, all or for one processing."""
    user = call.found()
    if user is None:
        return call.listing([])
    wanted = call.values.get("processing_id")
    return call.listing(
        [
            choice.document(user.id)
            for choice in user.choices.current()
            if wanted is None or choice.processing_id == wanted
        ]
    )


def get_choice_history(call: Call) -> Response:
    """Every choice for one processing, oldest first. Inferred: the items are choices."""
    user = call.found()
    if user is None:
        return call.listing([])
    log = user.choices.history(call.values["processing_id"])
    return call.listing([choice.document(user.id) for choice in log])
