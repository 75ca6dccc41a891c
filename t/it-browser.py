#!/usr/bin/env python3
"""A real browser opens a rewritten message: its pixels are fetched, its click arrives at the
target, and the tracker has the events. TAP.

Needs chromium and chromedriver (apt-get install chromium chromium-driver); skips without
them. The page, the target and the tracker are on loopback; the browser is told to talk to
nothing else.
"""
import glob
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from tap import free_port, ok, plan  # noqa: E402

BUILD = os.environ.get("builddir", ".")
PAGE = """<html><head><title>mail</title></head><body class="x">
<p>gr&uuml;&szlig;e <a id="go" href="%s?a=1&amp;b=%%C3%%BC#there" data-msys-linkname="go">go</a>
<a id="out" href="%s?out" data-msys-clicktrack="0">out</a></p></body></html>
"""


def wait(what, seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = what()
        if got:
            return got
        time.sleep(0.05)
    return what()


class Site(http.server.BaseHTTPRequestHandler):
    """The message as a web mail shows it, and the place that the link leads to."""
    page = b""
    seen = []

    def do_GET(self):
        Site.seen.append(self.path)
        body = Site.page if self.path == "/mail" else b"<title>target</title>here"
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Browser:
    """Chromium by WebDriver, which is JSON over HTTP."""

    def __init__(self, folder):
        self.base = "http://127.0.0.1:%d" % free_port()
        self.log = open(folder + "/chromedriver.log", "wb")
        self.process = subprocess.Popen(
            [shutil.which("chromedriver"), "--port=" + self.base.rsplit(":", 1)[1]],
            stdout=self.log, stderr=self.log, start_new_session=True)
        wait(self.answers)
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                   "--disable-background-networking", "--disable-component-update", "--disable-sync",
                   "--disable-dev-shm-usage", "--user-data-dir=" + folder + "/profile",
                   "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": {"args": options,
                                                            "binary": shutil.which("chromium")}}}})
        self.session = "/session/" + answer["sessionId"]

    def answers(self):
        try:
            return self.call("GET", "/status")["ready"]
        except OSError:
            return False

    def call(self, method, path, data=None):
        request = urllib.request.Request(
            self.base + path, method=method, data=None if data is None else json.dumps(data).encode(),
            headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as f:
            return json.load(f)["value"]

    def go(self, url):
        self.call("POST", self.session + "/url", {"url": url})

    def click(self, css):
        element = self.call("POST", self.session + "/element", {"using": "css selector", "value": css})
        self.call("POST", self.session + "/element/%s/click" % next(iter(element.values())), {})

    def get(self, what):
        return self.call("GET", self.session + "/" + what)

    def stop(self):
        try:
            self.call("DELETE", self.session)
        except (OSError, AttributeError):
            pass
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(90)
        self.log.close()


def events(spool):
    found = []
    for name in glob.glob(spool + "/events/*.json") + glob.glob(spool + "/events/open/*.json"):
        with open(name, encoding="utf-8") as f:
            found += [next(iter(json.loads(x)["msys"].values())) for x in f if x.endswith("\n")]
    return found


def run(folder):
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    home = "http://127.0.0.1:%d" % site.server_port
    conf, tracker_port = folder + "/signalpost.conf", free_port()
    os.mkdir(folder + "/keys", 0o750)
    os.mkdir(folder + "/spool")
    with open(conf, "w", encoding="utf-8") as f:
        f.write("""host-name mail.example.com
<signals>
    api-key 0123456789abcdef0123456789abcdef01234567
    engagement-tracking sparkpost
    tracking-domain http://127.0.0.1:%d
</signals>
<token-keys>
    directory %s/keys
</token-keys>
<spool>
    directory %s/spool
</spool>
<tracker>
    listen 127.0.0.1:%d
    user ""
</tracker>
""" % (tracker_port, folder, folder, tracker_port))
    subprocess.run([BUILD + "/signalpost", "genkey", "token", folder + "/keys"], check=True,
                   stdout=subprocess.DEVNULL)
    with open(folder + "/mail.html", "w", encoding="utf-8") as f:
        f.write(PAGE % (home + "/target", home + "/target"))
    rewritten = subprocess.run([BUILD + "/signalpost", "rewrite", "--html", "-c", conf, "-t",
                                "anna@example.net", folder + "/mail.html"],
                               check=True, capture_output=True).stdout
    ok(rewritten.count(b"http://127.0.0.1:%d/" % tracker_port) == 3, "a link and two pixels are tracked",
       rewritten)
    Site.page = rewritten
    with open(folder + "/tracker.log", "wb") as log:
        tracker = subprocess.Popen([BUILD + "/signalpost-tracker", "-f", "-c", conf], stdout=log, stderr=log)
    browser = None
    try:
        wait(lambda: socket.socket().connect_ex(("127.0.0.1", tracker_port)) == 0)
        browser = Browser(folder)
        browser.go(home + "/mail")
        ok(browser.get("title") == "mail", "the browser shows the message")
        kinds = wait(lambda: (lambda k: k if k >= {"open", "initial_open"} else None)
                     ({e["type"] for e in events(folder + "/spool")}))
        ok(kinds == {"open", "initial_open"}, "both pixels were fetched", events(folder + "/spool"))
        browser.click("#go")
        wait(lambda: browser.get("title") == "target")
        ok(browser.get("url") == home + "/target?a=1&b=%C3%BC#there", "the click lands where the sender meant",
           browser.get("url"))
        ok("/target?a=1&b=%C3%BC" in Site.seen, "and the target was asked for", Site.seen)
        click = wait(lambda: [e for e in events(folder + "/spool") if e["type"] == "click"])
        ok(len(click) == 1 and click[0]["rcpt_to"] == "anna@example.net" and
           click[0]["target_link_name"] == "go" and "Chrome" in click[0]["user_agent"] and
           click[0]["target_link_url"] == home + "/target?a=1&b=%C3%BC#there", "the event says so", click)
        browser.go(home + "/mail")
        browser.click("#out")
        wait(lambda: browser.get("title") == "target")
        ok(browser.get("url") == home + "/target?out" and
           sum(e["type"] == "click" for e in events(folder + "/spool")) == 1,
           "the link that opted out is not tracked")
    finally:
        if browser is not None:
            browser.stop()
        tracker.terminate()
        tracker.wait(90)
        site.shutdown()


def main():
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        print("1..0 # SKIP no chromium and chromedriver")
        return 0
    with tempfile.TemporaryDirectory(prefix="sp-browser.") as folder:
        run(folder)
    return plan()


sys.exit(main())
