"""`…/user_profiles`: a call in, a profile changed or read, an envelope out."""

from starlette.responses import Response

from relay.sandbox import envelopes
from relay.sandbox.documents import UserProfileUpdate
from relay.sandbox.profiles import ProfileKey, Strategy
from relay.sandbox.refusals import invalid, not_found
from relay.sandbox.user_point_call import Call
from relay.sandbox.validation import Problem, problems

STRATEGIES = (Strategy.PARTIAL_UPDATE, Strategy.PARTIAL_DELETE, Strategy.FORCE_REPLACE)


def put_profile(call: Call) -> Response:
    """Create or change one profile."""
    strategy = _strategy(call)
    if isinstance(strategy, Response):
        return strategy
    document = call.document("user profile")
    if isinstance(document, Response):
        return document
    key = ProfileKey(call.values["compartment_id"], call.values.get("user_account_id"))
    found = problems(
        UserProfileUpdate, document, compartment_id=key.compartment, user_account_id=key.account
    )
    if found:
        return invalid(call.state, "user profile", found)
    user = call.found_or_made()
    if user is None:
        return not_found(call.state)
    call.record(user, call.datamart.judge_document(user, "user_profiles", document, None))
    profile = call.datamart.put_profile(user, key, document, strategy, call.now_ms)
    # Inferred: the vendor shows no answer to this call.
    return envelopes.ok(profile.document())


def get_profiles(call: Call) -> Response:
    """All profiles of the user, or those in a compartment."""
    user = call.found()
    profiles = [] if user is None else list(user.profiles.values())
    wanted = call.values.get("compartment_id")
    return call.listing(
        [p.document() for p in profiles if wanted is None or p.key.compartment == wanted]
    )


def get_profile(call: Call) -> Response:
    """One profile."""
    user = call.found()
    key = ProfileKey(call.values["compartment_id"], call.values["user_account_id"])
    profile = None if user is None else user.profiles.get(key)
    return not_found(call.state) if profile is None else envelopes.ok(profile.document())


def _strategy(call: Call) -> Strategy | Response:
    """The strategy that the query asks for. Inferred: `update_strategy` wins over the legacy."""
    found: list[Problem] = []
    flags: dict[str, bool] = {}
    for name in ("force_replace", "merge_objects"):
        text = call.query.get(name, ["false"])[0]
        if text not in {"true", "false"}:
            found.append((name, "must be true or false"))
        flags[name] = text == "true"
    named = call.query.get("update_strategy", [None])[0]
    if named is not None and named not in STRATEGIES:
        found.append(("update_strategy", f"must be one of {', '.join(STRATEGIES)}"))
    if found:
        return invalid(call.state, "query", found)
    if named is not None:
        return Strategy(named)
    if flags["force_replace"]:
        return Strategy.FORCE_REPLACE
    if flags["merge_objects"]:
        return Strategy.DEEP
    given = "force_replace" in call.query
    return Strategy.SHALLOW if given else call.state.options.profile_strategy
