"""mq-bridge: a route from Kafka to HTTP, all of it in its Rust core; Python only starts it.

ordered: one batch at a time (`concurrency: 1`) and one request at a time in it
(`batch_concurrency: 1`), which is what its documentation advises for a stream in order.
raw: the same, and the record is posted as it is: the sink finds the event in it as well, and
nothing is parsed, mapped or written.

unordered: four batches at once with 64 requests each.

But for raw the `transform` middleware makes the same activity that every peer posts. `retry`
repeats what was refused, after the pause of the other peers.
"""

import signal
import ssl
import sys
from typing import Any

from mq_bridge import Route

from bench.peers.activity import HEADERS, PATH, PAUSE_S

ACTIVITY = """{
  "$ts": ts,
  "$type": "APP_VISIT",
  "$app_id": app_id,
  "$session_status": session_status,
  "$user_identifiers": map(user.accounts, {
    "$type": "USER_ACCOUNT", "$compartment_id": "1000", "$user_account_id": #.id
  }),
  "$events": [{"$event_name": event, "$properties": properties}]
}"""
MODES = {"ordered": (1, 1, True), "raw": (1, 1, False), "unordered": (4, 64, True)}
"""Batches at once, requests at once in each of them, and whether the event is mapped."""
PAUSE_MS = int(PAUSE_S * 1000)
RETRY = {
    # It counts; without an end, as an event may not be dropped.
    "max_attempts": 1_000_000,
    "initial_interval_ms": PAUSE_MS,
    "max_interval_ms": PAUSE_MS,
    "multiplier": 1.0,
}


def config(bootstrap: str, topic: str, group: str, url: str, mode: str) -> Any:
    """The route, as one would write it in YAML."""
    batches, requests, mapped = MODES[mode]
    secured = {"required": True, "ca_file": ssl.get_default_verify_paths().cafile}
    # The last of the list is the outermost: mapped once, and only the request is repeated.
    maps = [{"transform": {"expression": ACTIVITY}}] if mapped else []
    return {
        "input": {
            "kafka": {
                "url": bootstrap,
                "topic": topic,
                "group_id": group,
                "consumer_options": [["auto.offset.reset", "earliest"]],
            }
        },
        "output": {
            "middlewares": [{"retry": RETRY}, *maps],
            "http": {
                "url": url + PATH,
                "batch_concurrency": requests,
                "custom_headers": HEADERS,
                # The file that SSL_CERT_FILE names, where there is one.
                "tls": secured if url.startswith("https:") else {},
            },
        },
        "concurrency": batches,
        "required_delivery": "at_least_once",
    }


def main() -> None:
    """Until SIGTERM."""
    ending = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    route = Route.from_config(config(*sys.argv[1:6]))
    route.start()
    signal.sigwait(ending)
    route.stop()
    route.join()


if __name__ == "__main__":
    main()
