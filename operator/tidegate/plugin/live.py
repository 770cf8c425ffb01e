"""`watch`: redrawn in place at a terminal, one line for each change elsewhere, one JSON object a line for programs."""

import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from tidegate.plugin import view
from tidegate.plugin.failures import Denied, Failure, Missing
from tidegate.plugin.kubectl import Body, Kubectl

FIRST_PAUSE = 0.5
LAST_PAUSE = 10.0
#: Seconds until a watched object is read beside its watch: first, and at most.
FIRST_DOUBT = 2.0
LAST_DOUBT = 60.0
#: Go up so many lines, and clear from there to the end of the screen (ECMA-48: CUU, ED).
_UP = "\x1b[{}A\r\x1b[J"

Show = Callable[[dict[str, Body], Body], None]


def watch(kubectl: Kubectl, name: str | None, *, everywhere: bool, as_json: bool) -> None:
    """Show changes until interrupted. A connection that ends is made anew, and what was shown is not shown again.

    Raises:
        Missing: there is no such object, or it was deleted.
        Denied: the person may not watch it.
    """
    show = _program if as_json else _Screen(single=name is not None, everywhere=everywhere).draw
    if not as_json and not sys.stdout.isatty():
        show = _log
    arguments = [name] if name else ["--all-namespaces"] if everywhere else []
    seen: dict[str, str] = {}
    pause = FIRST_PAUSE
    while True:
        try:
            if _follow(kubectl, arguments, name, seen, show):
                pause = FIRST_PAUSE
        except (Missing, Denied):
            raise
        except Failure as error:
            # Whatever ended a connection that told something before: it may be there again.
            if not seen:
                raise
            print(f"connection lost, it is made anew: {error}", file=sys.stderr, flush=True)
        time.sleep(pause)
        pause = min(LAST_PAUSE, pause * 2)


def _follow(kubectl: Kubectl, arguments: Sequence[str], name: str | None, seen: dict[str, str], show: Show) -> bool:
    """Show what one connection tells; whether it told anything."""
    known: dict[str, Body] = {}
    with kubectl.watching(*arguments) as watched, _doubted(kubectl, name, watched.stop) as gone:
        try:
            for event, body in watched.events:
                meta = body["metadata"]
                key = f"{meta['namespace']}/{meta['name']}"
                if event == "DELETED":
                    known.pop(key, None)
                    if name is not None:
                        raise Missing(f"{key} was deleted")
                    body = {**body, "status": {"phase": "Deleted"}}  # noqa: PLW2901 (what is left to say of it)
                else:
                    known[key] = body
                if seen.get(key) != meta["resourceVersion"]:
                    seen[key] = meta["resourceVersion"]
                    show(known, body)
        except Failure:
            if gone.is_set():
                raise Missing(f"{name} was deleted") from None
            raise
    return bool(known)


@contextmanager
def _doubted(kubectl: Kubectl, name: str | None, stop: Callable[[], None]) -> Iterator[threading.Event]:
    """Ask now and then whether a single object is there; set, and the watch stopped, once it is not.

    kubectl reads one object, and only then begins to watch it: of one that is deleted in between nothing ever comes.
    """
    gone, over = threading.Event(), threading.Event()

    def look() -> None:
        pause = FIRST_DOUBT
        while name is not None and not over.wait(pause):
            pause = min(LAST_DOUBT, 2 * pause)
            try:
                kubectl.get(name)
            except Missing:
                gone.set()
                stop()
                return
            except Failure:
                continue  # what is wrong ends the watch, too, or passes

    threading.Thread(target=look, daemon=True).start()
    try:
        yield gone
    finally:
        over.set()


def _program(_known: dict[str, Body], body: Body) -> None:
    print(json.dumps(view.data(body), ensure_ascii=False), flush=True)


def _log(_known: dict[str, Body], body: Body) -> None:
    print(view.line(body, datetime.now(tz=UTC)), flush=True)


class _Screen:
    """What was drawn last, and how far up its first line is."""

    def __init__(self, *, single: bool, everywhere: bool) -> None:
        self._single = single
        self._everywhere = everywhere
        self._drawn = 0

    def draw(self, known: dict[str, Body], _body: Body) -> None:
        """Draw in the place of what was drawn before. Lines that would wrap, or scroll away, are cut."""
        now = datetime.now(tz=UTC)
        columns, rows = shutil.get_terminal_size()
        bodies = [known[key] for key in sorted(known)[:rows]]
        if self._single:
            lines = [text for body in bodies for text in view.detail(body, now)]
        else:
            lines = view.table(bodies, now, everywhere=self._everywhere)
        shown = [text[: columns - 1] for text in [*lines, f"at {now:%H:%M:%S} UTC, Ctrl-C ends"][: rows - 1]]
        up = _UP.format(self._drawn) if self._drawn else ""
        print(up + "\n".join(shown), flush=True)
        self._drawn = len(shown)
