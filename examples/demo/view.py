"""What people see while it runs: a few lines drawn over and over at a terminal, plain lines anywhere else."""

import sys
import time
from collections import Counter
from collections.abc import Sequence

from tests.driver.load import Answer

from examples.demo.watch import Seen

WIDTH = 40
RECENT = 3.0  # seconds of traffic in the bars
BOLD, DIM, RED, GREEN, YELLOW, PLAIN = "\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m", "\033[0m"


class View:
    """Draws the state of the rollout."""

    def __init__(self, *, terminal: bool | None = None) -> None:
        self._terminal = sys.stdout.isatty() if terminal is None else terminal
        self._drawn = 0
        self._said = ""
        self._next = 0.0

    def say(self, text: str) -> None:
        """A line that stays."""
        self._wipe()
        print(text, flush=True)

    def title(self, text: str) -> None:
        """The beginning of a story."""
        self.say(f"\n{BOLD}{text}{PLAIN}" if self._terminal else f"\n== {text}")

    def show(self, seen: Seen, answers: Sequence[Answer]) -> None:
        """The state now."""
        if self._terminal:
            if time.monotonic() >= self._next:
                self._next = time.monotonic() + 0.3
                self._draw(picture(seen, answers))
            return
        line = summary(seen)
        if line and line != self._said:
            self._said = line
            print(f"   {line}", flush=True)

    def _wipe(self) -> None:
        if self._drawn:
            sys.stdout.write(f"\033[{self._drawn}F\033[J")
            self._drawn = 0

    def _draw(self, lines: list[str]) -> None:
        self._wipe()
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        self._drawn = len(lines)


def summary(seen: Seen) -> str:
    """One line: phase, versions, weight, and why."""
    status = seen.status
    if not status:
        return ""
    rollout = status.get("rollout") or {}
    ready = seen.condition("Ready")
    canary = f", version {rollout['version']} at {rollout['weight']}%" if rollout else ""
    serves = f"version {status['version']} serves" if status.get("version") else "nothing serves yet"
    reason = f" [{ready['reason']}] {ready['message']}" if ready else ""
    return f"{status.get('phase', ''):<12}{serves}{canary}{reason}"[:200]


def picture(seen: Seen, answers: Sequence[Answer]) -> list[str]:
    """The lines at a terminal."""
    status, rollout = seen.status, seen.status.get("rollout") or {}
    ready = seen.condition("Ready")
    lines = [f"   {BOLD}{status.get('phase', 'Pending'):<12}{PLAIN}{ready.get('message', '')[:110]}"]
    recent = [a for a in answers[-600:] if a.ended >= time.time() - RECENT]
    shares = Counter(a.version or "-" for a in recent)
    for version in sorted(shares):
        share = shares[version] / len(recent)
        failed = sum(not a.good for a in recent if (a.version or "-") == version)
        colour = RED if failed else GREEN if version == status.get("version") else YELLOW
        bar = "█" * round(share * WIDTH)
        faults = f"  {RED}{failed} failed{PLAIN}" if failed else ""
        lines.append(f"   version {version:<3} {colour}{bar:<{WIDTH}}{PLAIN} {share:6.1%}{faults}")
    for finding in rollout.get("findings") or []:
        colour = {"Breach": RED, "Healthy": GREEN}.get(finding["verdict"], DIM)
        lines.append(f"   {colour}{finding['guard']:<18}{finding['verdict']:<10}{PLAIN}{finding['message'][:90]}")
    return lines
