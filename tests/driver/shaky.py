"""A registry in trouble: stands before a real one and spoils its answers as it is told."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from http.server import BaseHTTPRequestHandler

from tests.cluster.access import Access
from tests.driver.outside import listening

#: Seconds that a slow answer takes: more than anybody waits.
SLOW = 30.0
#: Seconds for which a move is kept back: less than whoever asks for it waits.
KEPT = 4.0
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_PAGE = b"<html><body>We will be back soon</body></html>"


class Trouble(StrEnum):
    """What is wrong."""

    NONE = "none"
    AWAY = "away"
    """It hangs up."""
    SLOW = "slow"
    """It takes `SLOW` seconds."""
    HTML = "html"
    """It answers 200 with a page for people."""
    HALF = "half"
    """It breaks off in the middle of an answer."""
    FLAPPING = "flapping"
    """It hangs up every other time."""
    AT_ONCE = "at once"
    """It keeps the next move of a version to a stage back until there is another one, and then does both."""


class Shaky:
    """Says which trouble there is. `answered` counts the requests that got the whole answer of the real one."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answered = 0
        self.asked = 0
        self._trouble = Trouble.NONE
        self._news = threading.Event()
        self._pair = threading.Barrier(2, action=lambda: self(Trouble.NONE), timeout=KEPT)

    def __call__(self, trouble: Trouble) -> None:
        """From now on. Who waits for a slow answer is let go."""
        self._trouble = trouble
        self._news.set()
        self._news = threading.Event()

    def of_this_request(self, path: str) -> Trouble:
        """The trouble that the next request has, after its waiting."""
        self.asked += 1
        if self._trouble is Trouble.AT_ONCE:
            return self._together() if path.endswith("/transition-stage") else Trouble.NONE
        if self._trouble is Trouble.SLOW:
            self._news.wait(SLOW)
        if self._trouble is Trouble.FLAPPING:
            return Trouble.AWAY if self.asked % 2 else Trouble.NONE
        return self._trouble

    def _together(self) -> Trouble:
        try:
            self._pair.wait()
        except threading.BrokenBarrierError:
            self._pair.reset()  # nobody else came: it is to be asked for again
            return Trouble.AWAY
        return Trouble.NONE

    def real(self, method: str, path: str, body: bytes | None, kind: str) -> tuple[int, str, bytes]:
        """Status, content type and body that the real one answers."""
        request = urllib.request.Request(f"{self.url}{path}", data=body, method=method, headers={"Content-Type": kind})
        try:
            with _OPENER.open(request, timeout=20) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read()


@contextmanager
def shaky(access: Access, namespace: str, name: str, url: str) -> Iterator[Shaky]:
    """A Service of that name which leads to the registry at `url`, in trouble whenever it is told so."""
    teller = Shaky(url)

    class Spoiler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else None
            trouble = teller.of_this_request(self.path)
            self.close_connection = True
            if trouble in {Trouble.AWAY, Trouble.SLOW}:
                return
            status, kind, text = 200, "text/html", _PAGE
            if trouble is not Trouble.HTML:
                status, kind, text = teller.real(self.command, self.path, body, self.headers.get("Content-Type", ""))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text[: len(text) // 2] if trouble is Trouble.HALF else text)
            teller.answered += trouble is Trouble.NONE

        do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815 (the library's names)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the library's name)
            """Says nothing."""

    with listening(access, namespace, name, Spoiler):
        try:
            yield teller
        finally:
            teller(Trouble.NONE)
