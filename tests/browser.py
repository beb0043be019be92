"""Headless Chromium, driven by the DevTools protocol over a pipe: no port, no network, no package."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """One page of a browser without a window; ``with Browser() as page``."""

    def __init__(self):
        self.number, self.asked, self.buffer = 0, [], b""

    def __enter__(self):
        self.profile = tempfile.mkdtemp()
        from_us, self.write = os.pipe()
        self.read, to_us = os.pipe()
        command = [
            *(PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run"),
            *("--disable-extensions", "--hide-scrollbars", "--disable-background-networking"),
            *("--disable-component-update", f"--user-data-dir={self.profile}"),
            "about:blank",
        ]
        quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (from_us, to_us)]

        def give() -> None:  # the browser reads its file 3 and writes its file 4
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self.process = subprocess.Popen(command, preexec_fn=give, close_fds=False, **quiet)
        os.close(ends[0])
        os.close(ends[1])
        os.close(from_us)
        os.close(to_us)
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")
        return self

    def emulate(self, width, height, *, scale=1.0, dark=False, touch=False):
        """Be a screen of this size, with fingers instead of a mouse where ``touch`` says so."""
        metrics = dict(width=width, height=height, deviceScaleFactor=scale, mobile=touch)
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        self.call("Emulation.setTouchEmulationEnabled", enabled=touch)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.asked.clear()

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.read)
        os.close(self.write)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, **parameters):
        """The result of one command; events that come meanwhile are kept in ``asked``."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + 60
        while True:
            while b"\0" not in self.buffer:
                if not select.select([self.read], [], [], max(0, end - time.monotonic()))[0]:
                    raise TimeoutError(method)
                some = os.read(self.read, 2**20)
                if not some:
                    raise RuntimeError("the browser has ended")
                self.buffer += some
            one, _, self.buffer = self.buffer.partition(b"\0")
            answer = json.loads(one)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.asked.append(answer)

    def open(self, path, hash_text=""):
        """Load a file of this machine and wait until its view is drawn."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=path.resolve().as_uri() + hash_text)
        return self.wait("document.documentElement.dataset.view && state().ready")

    def loaded(self, condition, seconds=20):
        """Wait until a page is there and an expression of it holds."""
        end = time.monotonic() + seconds
        while not self.run(f"document.readyState === 'complete' && !!({condition})"):
            if time.monotonic() > end:
                raise AssertionError(f"{condition} never came")
            time.sleep(0.02)

    def state(self):
        """What the page says that it shows."""
        return json.loads(self.run("document.documentElement?.dataset.view || '{}'"))

    def wait(self, condition, seconds=20):
        """Wait until an expression of the page holds; ``state()`` in it is what is shown. Returns :meth:`state`."""
        text = condition.replace("state()", "JSON.parse(document.documentElement.dataset.view)")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.run(f"!!(document.documentElement?.dataset.view && ({text}))"):
                return self.state()
            time.sleep(0.02)
        raise AssertionError(f"{condition} never came: {self.state()}")

    def run(self, expression):
        """The value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    def key(self, name, text="", modifiers=0):
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=name, modifiers=modifiers, **more)

    def wheel(self, x, y, delta, modifiers=0):
        """Turn the wheel by so many pixels."""
        self.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=delta, modifiers=modifiers)

    def drag(self, start, end, *, button="left", steps=8):
        """Drag with a mouse button."""
        buttons = {"left": 1, "right": 2}[button]
        event = dict(button=button, buttons=buttons, clickCount=1)
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=start[0], y=start[1], **event)
        for step in range(1, steps + 1):
            x, y = (a + (b - a) * step / steps for a, b in zip(start, end))
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button=button, buttons=buttons)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=end[0], y=end[1], button=button, clickCount=1)

    def swipe(self, start, end, *, steps=8):
        """Draw a finger across."""
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[dict(x=start[0], y=start[1])])
        for step in range(1, steps + 1):
            x, y = (a + (b - a) * step / steps for a, b in zip(start, end))
            self.call("Input.dispatchTouchEvent", type="touchMove", touchPoints=[dict(x=x, y=y)])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def click(self, selector):
        """Click the middle of what a selector finds."""
        place = "(() => { const e = document.querySelector(%s); e.scrollIntoView({block: 'nearest'}); const r = "
        place += "e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        x, y = self.run(place % json.dumps(selector))
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path, *, whole=False):
        """Write a PNG of the page, the whole of it or what is on the screen."""
        more = {"captureBeyondViewport": True} if whole else {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            more["clip"] = dict(x=0, y=0, width=size["width"], height=size["height"], scale=1)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", **more)["data"]))

    def requests(self):
        """Addresses that the page asked for, but for its own and data in it."""
        asked = [
            one["params"]["request"]["url"] for one in self.asked if one.get("method") == "Network.requestWillBeSent"
        ]
        return [url for url in asked if not url.startswith(("data:", "about:", "file:"))]

    def complaints(self):
        """Errors that the page logged or threw."""
        logged = [one["params"]["entry"]["text"] for one in self.asked if one.get("method") == "Log.entryAdded"]
        return logged + [str(one["params"]) for one in self.asked if one.get("method") == "Runtime.exceptionThrown"]
