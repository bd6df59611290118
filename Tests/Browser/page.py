"""The page in headless Chromium, as a person meets it: python3 page.py URL [SCREENSHOTS].

Speaks WebDriver to Debian's chromedriver. Looks at 390 and 1440 pixels: nothing runs out of the page sideways, alerts and
charts come live, a borrower is found and shown, a preview answers, and the console stays empty. Exits 1 with what failed.
"""

import base64
import json
import os
import re
import subprocess
import sys
import time
import urllib.request


class Browser:
    def __init__(self, width, height):
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        port = None
        for line in self.driver.stdout:
            found = re.search(r"successfully on port (\d+)", line)
            if found:
                port = found.group(1)
                break
        self.base = f"http://127.0.0.1:{port}"
        options = {
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     f"--window-size={width},{height}", "--force-device-scale-factor=1"],
        }
        session = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.base += "/session/" + session["sessionId"]
        self.size = (width, height)
        self.resize(height)

    def ask(self, method, path, body=None):
        request = urllib.request.Request(
            self.base + path, method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()[:2000]) from None

    def go(self, url):
        self.ask("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def until(self, script, what, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = self.run(script)
            if value:
                return value
            time.sleep(0.1)
        raise AssertionError(f"{what} did not come: " + str(self.run("return document.body.innerText"))[:1500])

    def resize(self, height):
        """A window cannot be as narrow as a phone: the page is told that it is."""
        self.ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": {
            "width": self.size[0], "height": height, "deviceScaleFactor": 1, "mobile": self.size[0] < 500}})

    def screenshot(self, path):
        self.resize(min(self.run("return document.documentElement.scrollHeight"), 6000))
        picture = self.ask("GET", "/screenshot")
        self.resize(self.size[1])
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture))

    def dark(self):
        self.ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {
            "features": [{"name": "prefers-color-scheme", "value": "dark"}]}})

    def console(self):
        return [one["message"] for one in self.ask("POST", "/se/log", {"type": "browser"})
                if one["level"] in ("SEVERE", "WARNING")]

    def close(self):
        try:
            self.ask("DELETE", "")
        finally:
            # It does not always heed a gentler signal once its browser is gone.
            self.driver.kill()
            self.driver.wait()


def fits(browser, width):
    """Nothing runs out sideways."""
    wide = browser.run("return document.documentElement.scrollWidth")
    assert wide <= width, f"at {width} pixels the page is {wide} wide"


def walk(browser, url, width, pictures):
    browser.go(url)
    browser.until("return document.getElementById('state').textContent === 'ready'", "the ready state")
    browser.until("return document.getElementById('rate').textContent !== '–'", "events a second")
    browser.until("return document.querySelectorAll('#rate-chart polyline').length === 1", "the chart")
    browser.until("return document.querySelectorAll('#alerts li .badge').length > 0", "an alert", 120)
    browser.until("return document.querySelectorAll('#partitions tbody tr').length > 0", "the partitions")
    fits(browser, width)
    if pictures:
        browser.screenshot(os.path.join(pictures, f"page-{width}.png"))

    # What a risk officer does: an alert's borrower.
    browser.run("document.querySelector('#alerts button.link').click()")
    browser.until("return document.querySelector('#borrower-body svg.heat rect') !== null", "the borrower's picture")
    text = browser.run("return document.getElementById('borrower').innerText")
    for wanted in ("Scores", "Alert", "Lead", "Owes", "What raises the risk"):
        assert wanted in text, f"{wanted} is missing: {text[:800]}"
    focused = browser.run("return document.activeElement.id")
    assert focused == "borrower-title", f"the focus is on {focused}"
    fits(browser, width)
    if pictures:
        browser.screenshot(os.path.join(pictures, f"borrower-{width}.png"))

    # What a marketer does: another threshold, looked at and not applied.
    browser.run("""const slider = document.getElementById('utilization'); slider.value = 0.3;
                   slider.dispatchEvent(new Event('input', {bubbles: true}))""")
    browser.until("return /borrowers in/.test(document.getElementById('what-answer').innerText)", "the preview")
    browser.run("document.getElementById('borrower-close').click()")

    # A borrower that nobody knows, by the keyboard alone.
    browser.run("document.getElementById('search-id').focus()")
    browser.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": [
        {"type": kind, "value": key} for key in "nobody-1\ue007" for kind in ("keyDown", "keyUp")]}]})
    browser.until("return document.querySelector('#borrower-body .bad') !== null", "that the borrower is not known")
    # The refusal of a borrower is in the console as a failed request, and nothing else is.
    rest = [one for one in browser.console() if "/v1/borrowers/nobody-1" not in one]
    assert not rest, f"the console says: {rest}"


def main():
    url = sys.argv[1]
    pictures = sys.argv[2] if len(sys.argv) > 2 else None
    for width, height in ((1440, 900), (390, 844)):
        browser = Browser(width, height)
        try:
            walk(browser, url, width, pictures)
            if pictures and width == 1440:
                browser.dark()
                browser.go(url)
                browser.until("return document.querySelectorAll('#alerts li .badge').length > 0", "an alert")
                browser.until("return document.querySelectorAll('#rate-chart polyline').length === 1", "the chart")
                browser.screenshot(os.path.join(pictures, "page-dark.png"))
        except AssertionError as failure:
            sys.exit(f"at {width} pixels: {failure}")
        finally:
            browser.close()
    print("the page is well")


if __name__ == "__main__":
    main()
