"""The live page in a real browser, on a Relay that really runs, in each of its states."""

import contextlib
import http.server
import re
import shutil
import threading
import urllib.request

import pytest

from scripts.generate import ROOT
from tests.support.page_states import ADMIN_TOKEN, REFUSED_RECORDS, STATES

CHROMIUM = shutil.which("chromium")
AXE = ROOT / ".cache/axe/node_modules/axe-core/axe.min.js"

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
    pytest.mark.xdist_group("browser"),
    pytest.mark.slow,
]

sync_api = pytest.importorskip("playwright.sync_api")

LIVE = "#fresh:text-is('live')"


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser, address, **options):
    """A page that has shown a status once; what goes wrong in it fails the test."""
    page = browser.new_page(**{"viewport": {"width": 1180, "height": 900}, **options})
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
    page.goto(address)
    page.wait_for_selector(LIVE)
    yield page
    page.close()
    assert wrong == []


def serious(page):
    """What axe finds that keeps somebody from using the page."""
    if not AXE.exists():
        pytest.skip("no axe-core: npm install --prefix .cache/axe axe-core@4")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (one["id"], one["impact"], [node["html"][:120] for node in one["nodes"]][:3])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def check(page, admin, badge, wrong=None):
    """What must hold in every state: what is wrong stands first, with a link to what to do."""
    page.wait_for_selector(f"#lifecycle:text-is('{badge}')")
    if wrong is None:
        assert "tracking API" not in page.inner_text("#troubles")
    else:
        page.wait_for_selector(f".trouble.error:has-text('{wrong}')")
        link = page.get_attribute(".trouble a", "href")
        page.goto(f"{admin}/{link}")
        assert page.locator(":target").count() == 1
        assert serious(page) == []
        page.go_back()
        page.wait_for_selector(LIVE)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert serious(page) == []


@pytest.fixture(scope="class")
def whole(request):
    """One relay for the tests of a class, in the state that the class names."""
    with STATES[request.cls.state]() as whole:
        yield whole


class TestAtFullSpeed:
    state = "full-speed"

    def test_nothing_is_wrong_and_the_numbers_move(self, whole, browser):
        with opened(browser, whole.admin) as page:
            check(page, whole.admin, "running, ready")
            page.wait_for_selector("#letters tbody tr:nth-child(3)")
            delivered = "#tiles div:has(dt:text-is('delivered since start')) dd"
            before = page.inner_text(delivered)
            page.wait_for_function(
                "(before) => !document.querySelector('#tiles').innerText.includes(before)",
                arg=before,
            )

    def test_nothing_is_loaded_from_elsewhere_and_a_path_prefix_does_not_matter(
        self, whole, browser
    ):
        with behind_a_prefix(whole.admin) as address:
            asked = []
            page = browser.new_page()
            page.on("request", lambda request: asked.append(request.url))
            page.goto(f"{address}/ops/relay/")
            page.wait_for_selector(LIVE)
            page.click("#settings-box summary")
            page.wait_for_selector("#settings td:has-text('***')")
            page.click("text=Runbook")
            page.wait_for_selector("h1:has-text('Runbook')")
            page.close()
        assert asked
        assert all(url.startswith(f"{address}/ops/relay/") for url in asked)

    def test_a_phone_scrolls_its_tables_and_not_the_page(self, whole, browser):
        phone = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
        with opened(browser, whole.admin, **phone) as page:
            page.wait_for_selector("#letters tbody tr:nth-child(3)")
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
            assert serious(page) == []

    def test_it_can_be_used_by_keyboard_and_read_as_a_tree(self, whole, browser):
        with opened(browser, whole.admin) as page:
            focused = []
            for _ in range(12):
                page.keyboard.press("Tab")
                focused.append(
                    page.evaluate("document.activeElement.id || document.activeElement.tagName")
                )
            assert focused[0] == "A"  # to what is wrong
            assert {"pause", "find", "behind"} <= set(focused)
            page.focus("#pause")
            page.keyboard.press("Enter")
            assert page.get_attribute("#pause", "aria-pressed") == "true"
            tree = page.locator("body").aria_snapshot()
            for part in (
                'heading "Relay" [level=1]',
                'heading "Partitions',
                'columnheader "lag"',
                'rowheader "app-events-0"',
                'searchbox "Find a topic or partition"',
                "status:",
            ):
                assert part in tree, tree
            levels = re.findall(r"heading .*\[level=(\d)\]", tree)
            assert levels[0] == "1"
            assert set(levels[1:]) == {"2"}


class TestHeld:
    state = "held"

    def test_the_reason_stands_first_with_what_to_do(self, whole, browser):
        with opened(browser, whole.admin) as page:
            check(page, whole.admin, "running, not ready", "tracking API is held")
            assert "token not accepted" in page.inner_text(".trouble")

    def test_names_and_reasons_are_text_and_never_markup(self, whole, browser):
        nasty = "<img src=x onerror=alert(1)><b>bold</b>"
        with opened(browser, whole.admin) as page:
            page.click("#pause")
            page.evaluate(
                """(nasty) => {
                    last.partitions = {[nasty]: Object.values(last.partitions)[0]};
                    last.troubles[0].reason = nasty;
                    last.destination.reason = nasty;
                    last.recent.dead_letters = [{at: nasty, position: nasty, class: nasty,
                        code: nasty, attempts: 1, reason: nasty}];
                    last.recent.dead_letter_codes =
                        [{class: nasty, code: nasty, count: 1, last: nasty}];
                    last.recent.events = [{at: nasty, level: nasty, event: nasty, said: nasty}];
                    last.process.topics = [nasty];
                    show(last);
                }""",
                nasty,
            )
            assert page.locator("main img, main b:text-is('bold')").count() == 0
            assert page.inner_text("body").count("onerror=alert(1)") >= 8


class TestInAnOutage:
    state = "outage"

    def test_the_reason_stands_first_and_a_page_without_answers_says_so(self, whole, browser):
        with opened(browser, whole.admin) as page:
            check(page, whole.admin, "running, not ready", "tracking API is down")
        page = browser.new_page()
        page.goto(whole.admin)
        page.wait_for_selector(LIVE)
        whole.relay.kill()
        page.wait_for_selector("#fresh:has-text('no answer for')", timeout=20_000)
        page.close()


class TestDraining:
    state = "draining"

    def test_it_says_that_it_ends(self, whole, browser):
        with opened(browser, whole.admin) as page:
            check(page, whole.admin, "draining, not ready")
            assert page.inner_text("#troubles") == "Relay is draining"


class TestEmpty:
    state = "empty"

    def test_empty_tables_say_that_they_are(self, whole, browser):
        with opened(browser, whole.admin) as page:
            check(page, whole.admin, "running, ready")
            assert page.inner_text("#letters tbody") == "none"


class TestSeveralDestinations:
    """Two are in trouble and two are not, and segment events are refused as well."""

    state = "several"

    def test_each_trouble_is_named_and_what_flows_goes_on(self, whole, browser):
        with opened(browser, whole.admin) as page:
            check(page, whole.admin, "running, not ready", "germany is down")
            for wrong in ("italy is held", "Segment events are held"):
                page.wait_for_selector(f".trouble.error:has-text('{wrong}')")
            states = "#destinations tbody tr"
            said = {row.split("\t")[0]: row for row in page.locator(states).all_inner_texts()}
            assert {name: row.split()[1] for name, row in said.items()} == {
                "default": "flowing",
                "france": "flowing",
                "germany": "down",
                "italy": "held",
            }
            assert page.inner_text("#segments").count("records read") == 1


class TestRefused:
    """With the token, the page sends what was refused again once the reason is gone."""

    state = "refused"

    def test_a_selection_is_counted_and_sent_with_the_token_only(self, whole, browser):
        with opened(browser, whole.admin) as page:
            page.wait_for_selector("#again-not:has-text('give the token')")
            assert page.locator("#again").is_hidden()
            page.click("#again-not a")
            page.fill("#token", ADMIN_TOKEN)
            page.click("button[type=submit]")
            page.wait_for_selector(LIVE)
            page.wait_for_selector("#again:visible")
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                assert serious(page) == []

            page.click("#again-count")
            page.wait_for_selector("#again-said:has-text('Tick a record')")
            page.check("#letters tbody tr:nth-child(2) input")
            page.focus("#again-count")
            page.keyboard.press("Enter")
            page.wait_for_selector("#again-said:has-text('There are 1 to app-events')")
            assert whole.status()["ledger"]["delivered"] == 0
            page.click("#again-send:text-is('Send 1 again')")
            page.wait_for_selector("#again-said:has-text('Sent 1 to app-events')")
            whole.until_settled(REFUSED_RECORDS + 1)

            page.select_option("#again-which", "http_422")
            page.select_option("#again-since", "")
            page.click("#again-count")
            page.wait_for_selector(f"#again-said:has-text('{REFUSED_RECORDS} to app-events')")
            page.select_option("#again-which", "chosen")
            assert page.locator("#again-send").is_hidden()
            page.select_option("#again-which", "http_422")
            page.click("#again-count")
            page.click("#again-send")
            page.wait_for_selector(f"#again-said:has-text('Sent {REFUSED_RECORDS}')")
            whole.until_settled(2 * REFUSED_RECORDS + 1)
        assert whole.status()["ledger"]["delivered"] == REFUSED_RECORDS + 1


class TestThreeHundredPartitions:
    state = "300-partitions"

    def test_they_are_found_by_name_and_all_shown_when_asked(self, whole, browser):
        with opened(browser, whole.admin) as page:
            check(page, whole.admin, "running, ready")
            page.wait_for_selector("#partitions-count:has-text('300 assigned')")
            rows = page.locator("#partitions tbody tr")
            assert rows.count() == 25
            page.click("#all")
            assert rows.count() == 300
            page.fill("#find", "eu-07.orders-2")
            assert rows.count() == 1
            page.fill("#find", "no such topic")
            assert rows.inner_text() == "none fits"


@contextlib.contextmanager
def behind_a_prefix(address):
    """A proxy that serves all of it below /ops/relay/, and nothing elsewhere."""

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if not self.path.startswith("/ops/relay/"):
                self.send_error(404)
                return
            with urllib.request.urlopen(address + self.path.removeprefix("/ops/relay")) as answer:
                content = answer.read()
                self.send_response(answer.status)
                for name in ("content-type", "content-security-policy"):
                    if answer.headers[name]:
                        self.send_header(name, answer.headers[name])
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
