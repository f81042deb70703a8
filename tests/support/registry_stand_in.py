"""A schema registry over real HTTP for what the real one of the tests cannot do.

That is: GUIDs, logins, certificates, and answers that are none.
"""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
Respond = Callable[[str, dict[str, str]], Answer]


def schema_answer(**fields: Any) -> Answer:
    """What a registry says of a schema."""
    return 200, {}, json.dumps(fields).encode()


NOT_THERE: Answer = (404, {}, b'{"error_code": 40403, "message": "Schema not found"}')


@contextmanager
def registry_stand_in(respond: Respond, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serves `respond(path, headers)` on loopback; the address of it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more, body = respond(self.path, headers)
            self.send_response(status)
            for name, value in ({"content-length": str(len(body))} | more).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        host = "127.0.0.1" if context is None else "localhost"
        yield f"{'http' if context is None else 'https'}://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
