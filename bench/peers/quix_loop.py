"""Quix Streams with a `BatchingSink` of one's own, as its documentation advises for other systems.

ordered: the batch of a partition is posted one event after another. unordered: by 32 threads.
Either way the sink is flushed before the checkpoint is committed: at least once.
"""

import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch
from requests.adapters import HTTPAdapter

from bench.peers.activity import HEADERS, PATH, PAUSE_S, body_of

THREADS = 32


class Posting(BatchingSink):
    """Posts what a checkpoint has gathered."""

    def __init__(self, url: str, *, ordered: bool) -> None:
        super().__init__()
        self._url = url + PATH
        self._session = requests.Session()
        self._session.headers.update(HEADERS)
        self._session.trust_env = False  # else it looks for proxies at every request
        # What SSL_CERT_FILE names, as with the other peers; requests has authorities of its own.
        self._session.verify = ssl.get_default_verify_paths().cafile or True
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=THREADS))
        self._pool = None if ordered else ThreadPoolExecutor(THREADS)

    def write(self, batch: SinkBatch) -> None:
        """Returns when every event is accepted."""
        values = (item.value for item in batch)
        if self._pool is None:
            for value in values:
                self._post(value)
        else:
            list(self._pool.map(self._post, values))

    def _post(self, value: bytes) -> None:
        body = body_of(value)
        while True:
            try:
                if self._session.post(self._url, data=body, timeout=30).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(PAUSE_S)  # noqa: TID251 - a thread of a program that is not relay's


def main(bootstrap: str, topic: str, group: str, url: str, order: str) -> None:
    """Until SIGTERM."""
    app = Application(
        broker_address=bootstrap,
        consumer_group=group,
        auto_offset_reset="earliest",
        commit_every=1_000,  # a checkpoint, and with it a flush, for so many messages
        commit_interval=1.0,
        auto_create_topics=False,
        loglevel="WARNING",
    )
    source = app.topic(topic, key_deserializer="bytes", value_deserializer="bytes")
    app.dataframe(source).sink(Posting(url, ordered=order == "ordered"))
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:6])
