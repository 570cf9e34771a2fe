"""A real Chromium, without a window and without a network, that tells what a page asks for."""

import contextlib
import json
import shutil
import subprocess
import tempfile

from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SILENT = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-port=0",
)  # fmt: skip
"""Whatever a page asks for by a name is not found."""
SECONDS = 60
"""For an answer: so long that only a browser that hangs needs more."""


class Page:
    """One tab, over the DevTools protocol."""

    def __init__(self, socket):
        self._socket = socket
        self._last = 0
        self.events = []
        """Everything that the browser said of its own accord: method and parameters."""

    def call(self, method, **parameters):
        """Ask for something and return the answer; events that come before it are kept."""
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=SECONDS))
            if message.get("id") == self._last:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self.events.append((message["method"], message["params"]))

    def wait_for(self, method):
        """Return once an event of this name has come."""
        while all(name != method for name, _ in self.events):
            message = json.loads(self._socket.recv(timeout=SECONDS))
            self.events.append((message["method"], message["params"]))

    def open(self, path):
        """Open a file, and return when all of it is there."""
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait_for("Page.loadEventFired")
        # Two frames later all that scripts or styles ask for has been asked for.
        self.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")

    def evaluate(self, expression):
        """Return what an expression is in the page."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def parameters(self, method):
        """Return what came with each event of this name."""
        return [parameters for name, parameters in self.events if name == method]

    def requests(self):
        """Return the addresses that the page asked for."""
        return [sent["request"]["url"] for sent in self.parameters("Network.requestWillBeSent")]

    def failures(self):
        """Return what went wrong: failed requests, console errors and warnings, exceptions."""
        return [
            *self.parameters("Network.loadingFailed"),
            *self.parameters("Runtime.exceptionThrown"),
            *(e for e in self.parameters("Log.entryAdded") if e["entry"]["level"] != "info"),
            *(
                e
                for e in self.parameters("Runtime.consoleAPICalled")
                if e["type"] in ("error", "warning", "assert")
            ),
        ]


@contextlib.contextmanager
def browser():
    """Lend a page of a browser of its own, which ends with the block."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise RuntimeError(
            f"none of {', '.join(NAMES)} is on the PATH: run .ci/browser, or install Chromium"
        )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        process = subprocess.Popen(
            [program, *SILENT, f"--user-data-dir={home}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
        )  # fmt: skip
        try:
            address = _address(process)
            with connect(address, proxy=None) as socket:
                targets = Page(socket).call("Target.getTargets")["targetInfos"]
            tab = next(target["targetId"] for target in targets if target["type"] == "page")
            address = address[: address.index("/devtools/")] + f"/devtools/page/{tab}"
            with connect(address, proxy=None, max_size=None) as socket:
                yield Page(socket)
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS)


def _address(process):
    """Return where the browser can be talked to: it says so when it is ready."""
    said = []
    for line in process.stderr:
        if line.startswith("DevTools listening on "):
            return line.split()[-1]
        said.append(line)
    raise RuntimeError(f"{process.args[0]} did not start:\n{''.join(said)}")
