"""The live page in its states, seen by a browser → docs/images/*.png.

`python -m scripts.page_pictures [DIRECTORY] [STATE…]`. Not part of `make docs`: it needs Debian's
`chromium` and `pngquant`, and no two runs give the same picture.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from scripts.generate import ROOT
from tests.support.page_states import ADMIN_TOKEN, STATES

_LOOKS = {
    "": {"viewport": {"width": 1180, "height": 900}, "color_scheme": "light"},
    "-dark": {"viewport": {"width": 1180, "height": 900}, "color_scheme": "dark"},
    "-phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}


def main(directory: Path, names: list[str]) -> None:
    """Take every picture."""
    directory.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name in names or STATES:
            with STATES[name]() as whole:
                for look, options in _LOOKS.items():
                    page = browser.new_page(**options)
                    page.goto(whole.admin)
                    page.wait_for_timeout(6000)
                    picture = directory / f"page-{name}{look}.png"
                    page.screenshot(path=picture)
                    page.close()
                    _make_smaller(picture)
                if name == "refused":
                    _sending_again(browser, whole.admin, directory / "page-sending-again.png")
        browser.close()


def _sending_again(browser: Browser, admin: str, picture: Path) -> None:
    """The part of the page that sends dead letters again, with a selection that was counted."""
    page = browser.new_page(viewport={"width": 1180, "height": 900}, color_scheme="light")
    page.goto(admin)
    page.click("#again-not a")
    page.fill("#token", ADMIN_TOKEN)
    page.click("button[type=submit]")
    page.wait_for_selector("#again:visible")
    page.select_option("#again-which", "http_422")
    page.select_option("#again-since", "")  # the embedded broker does not search by time
    page.click("#again-count")
    page.wait_for_selector("#again-send:visible")
    page.locator("section:has(#letters)").screenshot(path=picture)
    page.close()
    _make_smaller(picture)


def _make_smaller(picture: Path) -> None:
    smaller = ["pngquant", "--force", "--ext", ".png", "64", str(picture)]
    subprocess.run(smaller, check=True)  # noqa: S603 - our own arguments


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    main(where, sys.argv[2:])
