"""The live page over HTTP: who may see it, and what its answers forbid a browser."""

import contextlib

import httpx
from prometheus_client import CollectorRegistry

from relay.settings.shown import shown
from relay.settings.tracking import TrackingSettings
from relay.telemetry.access import COOKIE, Access
from relay.telemetry.admin import View, admin_app, serve_admin
from relay.telemetry.health import Health
from relay.telemetry.recent import Recent

TOKEN = "a token of the admin page"
NEEDS = ("/", "/settings", "/page.js", "/runbook")


class Road:
    """A status source with nothing in it."""

    def readiness(self):
        return Health(ok=True, reason="running")

    def liveness(self):
        return Health(ok=True, reason="progress")

    def status(self):
        return {
            "lifecycle": "running",
            "ledger": {"balanced": True},
            "kafka": {"trouble": None, "held_back": {}},
            "schema_registry": {"problem": None, "waiting": {}},
            "dead_letter_topic": {"blocked": None, "for_s": None},
            "commits": {"blocked": None, "for_s": None},
            "partitions": {},
        }

    def metrics(self):
        return ()


@contextlib.asynccontextmanager
async def client(host="127.0.0.1", token=None, **options):
    view = View(
        Access(host, token),
        Recent(lambda: 0),
        {"version": "1", "topics": ["a"]},
        {"kafka": {"a": 1}},
    )
    app = admin_app(Road(), CollectorRegistry(), view)
    async with (
        serve_admin(app, "127.0.0.1", 0) as url,
        httpx.AsyncClient(base_url=url, timeout=30, **options) as http,
    ):
        yield http


async def test_on_loopback_the_page_needs_no_token():
    async with client() as http:
        for path in NEEDS:
            assert (await http.get(path)).status_code == 200


async def test_every_answer_of_the_page_lets_nothing_run_but_its_own_files():
    async with client() as http:
        for path in (*NEEDS, "/page.css", "/login.html"):
            headers = (await http.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"


async def test_a_foreign_name_that_leads_to_loopback_is_not_served():
    """DNS rebinding: a page elsewhere may let its own name point here."""
    async with client() as http:
        for host in ("evil.example", "evil.example:9464", "127.0.0.1.evil.example"):
            assert (await http.get("/", headers={"host": host})).status_code == 401
            assert (await http.get("/settings", headers={"host": host})).status_code == 401
        assert (await http.get("/", headers={"host": "localhost:9464"})).status_code == 200


async def test_beyond_loopback_there_is_no_page_without_a_token_and_health_answers():
    async with client(host="0.0.0.0") as http:
        for path in NEEDS:
            answer = await http.get(path)
            assert answer.status_code == 403
            assert "admin.token" in answer.text
        assert (await http.post("/login", data={"token": ""})).status_code == 403
        for path in ("/livez", "/readyz", "/metrics", "/status"):
            assert (await http.get(path)).status_code == 200


async def test_beyond_loopback_the_page_asks_for_the_token_once():
    async with client(host="0.0.0.0", token=TOKEN, follow_redirects=True) as http:
        asked = await http.get("/")
        assert asked.status_code == 401
        assert 'action="login"' in asked.text
        for path in NEEDS[1:]:
            assert (await http.get(path)).status_code == 401
        assert (await http.get("/page.css")).status_code == 200

        wrong = await http.post("/login", data={"token": "another"})
        assert wrong.status_code == 401
        assert COOKIE not in http.cookies

        right = await http.post("/login", data={"token": TOKEN})
        assert right.status_code == 200
        assert "<title>Relay</title>" in right.text
        for path in NEEDS:
            assert (await http.get(path)).status_code == 200


async def test_the_cookie_is_no_token_and_only_for_this_address():
    async with client(host="0.0.0.0", token=TOKEN) as http:
        answer = await http.post("/login", data={"token": TOKEN})
        cookie = answer.headers["set-cookie"]
        assert answer.headers["location"] == "./"
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path" not in cookie
        assert TOKEN not in cookie


async def test_a_program_may_send_the_token_as_a_bearer():
    async with client(host="0.0.0.0", token=TOKEN) as http:
        given = {"authorization": f"Bearer {TOKEN}"}
        assert (await http.get("/settings", headers=given)).json() == {"kafka": {"a": 1}}
        given = {"authorization": "Bearer nonsense"}
        assert (await http.get("/settings", headers=given)).status_code == 401


async def test_a_form_without_an_end_is_not_read():
    async with client(host="0.0.0.0", token=TOKEN) as http:
        answer = await http.post("/login", content=b"token=" + b"x" * 100_000)
        assert answer.status_code == 413


def test_settings_are_shown_without_secrets_wherever_they_stand():
    secret = "correct horse battery"
    given = TrackingSettings(
        base_url="https://api.example.com", datamart_id="1234", api_token=secret
    )
    said = shown(given.model_copy(update={"base_url": "https://me:other@api.example.com"}))
    assert said["base_url"] == "https://***@api.example.com"
    said = shown(given.model_copy(update={"datamart_id": f"1234 {secret}"}))
    assert said["api_token"] == "***"
    assert secret not in str(said)
    assert said["datamart_id"] == "1234 ***"
