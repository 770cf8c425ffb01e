"""One shared poll of a registry: every wish once in an interval, a new one and one that was hinted at at once.

What it costs goes by watched names. Up to `SINGLES` names are read one by one, spread over the interval; more in
filtered pages, all at once; and a server without that filter is walked at most every `Registry.pace`-th interval.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from tidegate.core.gates import VersionDetails, Wants
from tidegate.core.plan import Pointer
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable, VersionId
from tidegate.ports import Clock, Registry

Wish = tuple[str, Pointer]

#: New wishes that come within this many seconds are read together: a start brings all of them at once.
COALESCE = 0.05
#: Replicas must not ask in step: each interval is shortened by up to this share of it.
SPREAD = 0.2
NOT_ASKED = Unavailable(reason=Reason.NOT_POLLED_YET, message="the registry has not been asked yet")
#: Answers that are about the registry and not about what it was asked for.
ABOUT_THE_REGISTRY = frozenset(
    {
        Reason.REGISTRY_NOT_CONFIGURED,
        Reason.REGISTRY_UNREACHABLE,
        Reason.REGISTRY_FAILING,
        Reason.REGISTRY_DATABASE_DOWN,
        Reason.REGISTRY_UNAUTHORIZED,
        Reason.REGISTRY_FORBIDDEN,
        Reason.REGISTRY_HOST_REFUSED,
        Reason.REGISTRY_NOT_TRUSTED,
        Reason.REGISTRY_NOT_MLFLOW,
        Reason.WORKSPACE_NOT_FOUND,
    }
)
#: Up to this many names are read one by one, each at its own time.
SINGLES = 30
#: A value that is older than this many times between two reads (and than `OLDEST`) is none: the poll itself is stuck.
STALE_INTERVALS = 3
OLDEST = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What a wish was answered, and at which monotonic time it was asked."""

    value: VersionId | Unavailable
    at: float


class RegistryPoll:
    """Keeps what each (model, pointer) names; tells which objects a change concerns.

    Args:
        registry: Whom to ask. A server that hangs costs this poll its own time and nothing else.
        clock: For ages.
        interval: Seconds between two reads of everything that is wished.
        on_change: Called with the keys of the objects whose value changed, also to or from `Unavailable`.
        on_fault: Called when `fault` changed. Where somebody wants to know, the registry is asked even if no object
            asks it for anything.
    """

    def __init__(
        self,
        registry: Registry,
        clock: Clock,
        interval: float,
        *,
        on_change: Callable[[Iterable[str]], None],
        on_fault: Callable[[], None] | None = None,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._interval = interval
        self._on_change = on_change
        self._on_fault = on_fault
        self._fault: Unavailable | None = NOT_ASKED
        self._wishes: dict[str, tuple[Wish, ...]] = {}
        self._keys: dict[Wish, set[str]] = defaultdict(set)
        self._reads: dict[Wish, _Read] = {}
        self._new = asyncio.Event()
        self._hinted: set[str] = set()

    @property
    def url(self) -> str:
        """The registry's part of the identity of versions."""
        return self._registry.url

    @property
    def fault(self) -> Unavailable | None:
        """What is wrong with the registry itself by the newest answer; None for nothing."""
        return self._fault

    def want(self, key: str, model: str, *pointers: Pointer) -> None:
        """Note what an object asks for; it takes the place of what the object asked for before."""
        wishes = tuple((model, pointer) for pointer in pointers)
        before = self._wishes.get(key, ())
        if before == wishes:
            return
        self._wishes[key] = wishes
        for wish in wishes:
            self._keys[wish].add(key)
            if wish not in self._reads:
                self._new.set()
        self._drop(key, set(before) - set(wishes))

    def forget(self, key: str) -> None:
        """The object is gone, or asks for nothing any more."""
        self._drop(key, set(self._wishes.pop(key, ())))

    def _drop(self, key: str, wishes: set[Wish]) -> None:
        for wish in wishes:
            self._keys[wish].discard(key)
            if not self._keys[wish]:
                del self._keys[wish]
                self._reads.pop(wish, None)

    async def refresh(self, key: str) -> None:
        """Read what one object asks for, now."""
        await self._read(list(self._wishes.get(key, ())))

    def hint(self, model: str) -> bool:
        """Somebody says that there is news of a model: it is read at once, if anybody asks for it."""
        known = any(wish[0] == model for wish in self._keys)
        if known:
            self._hinted.add(model)
            self._new.set()
        return known

    def value(self, model: str, pointer: Pointer) -> tuple[VersionId | Unavailable, float] | None:
        """What the pointer names by the newest read, and the monotonic time of that read; None before the first."""
        read = self._reads.get((model, pointer))
        if read is None:
            return None
        age = self._clock.monotonic() - read.at
        if age > max(STALE_INTERVALS * self._interval * self._pace(), OLDEST):
            message = f"registry {self._registry.url} was read {age:.0f} s ago for the last time"
            return Unavailable(reason=Reason.REGISTRY_UNREACHABLE, message=message), read.at
        return read.value, read.at

    async def describe(self, version: VersionId, wants: Wants) -> VersionDetails | Unavailable:
        """What the registry tells of one of its versions, now."""
        if version.registry != self._registry.url:
            message = f"registry {self._registry.url} is asked by now, and version {version.number} is of another one"
            return Unavailable(reason=Reason.REGISTRY_NOT_FOUND, message=message)
        return await self._registry.describe(version, wants)

    async def run(self) -> None:
        """Poll until cancelled. What was told is forgotten then: pointers move while nobody here asks."""
        try:
            if self._keys:
                self._new.set()
            elif self._on_fault is not None:
                self._judge(await self._registry.check())
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read_new())
                tasks.create_task(self._read_all())
        finally:
            self._reads.clear()
            self._fault = NOT_ASKED

    def _names(self) -> list[str]:
        return list(dict.fromkeys(model for model, _ in self._keys))

    def _pace(self) -> int:
        return self._registry.pace if len(self._names()) > SINGLES else 1

    async def _look(self) -> None:
        """Read everything that is wished; where nothing is, ask how the registry is if somebody wants to know."""
        if self._keys:
            await self._read(list(self._keys))
        elif self._on_fault is not None:
            self._judge(await self._registry.check())

    def _judge(self, fault: Unavailable | None) -> None:
        changed, self._fault = fault != self._fault, fault
        if changed and self._on_fault is not None:
            self._on_fault()

    async def _read_new(self) -> None:
        while True:
            await self._new.wait()
            await asyncio.sleep(COALESCE)
            self._new.clear()
            hinted, self._hinted = self._hinted, set()
            await self._read([wish for wish in self._keys if wish not in self._reads or wish[0] in hinted])

    async def _read_all(self) -> None:
        passed = 0
        while True:
            names = self._names()
            if self._fault is None and 1 < len(names) <= SINGLES:
                await self._round(names)
                continue
            await asyncio.sleep(self._share())
            passed += 1
            if self._fault is None and passed < self._pace():
                continue
            passed = 0
            if self._fault is None or not await self._still_away():
                await self._look()

    def _share(self) -> float:
        """An interval, or a little less."""
        return self._interval * (1.0 - SPREAD * random.random())  # noqa: S311 (spreads load)

    async def _round(self, names: list[str]) -> None:
        """Each name once, spread over an interval. As soon as the registry itself seems to fail, all at once."""
        began, turn = self._clock.monotonic(), self._share() / len(names)
        for number, name in enumerate(names, 1):
            await asyncio.sleep(max(0.0, began + number * turn - self._clock.monotonic()))
            if await self._read([wish for wish in self._keys if wish[0] == name]):
                await self._look()
                return

    async def _still_away(self) -> bool:
        """Whether a registry that is dear to read and that failed does so still, by its smallest request."""
        if self._pace() == 1:
            return False
        asked, fault = self._clock.monotonic(), await self._registry.check()
        if fault is not None:
            self._judge(fault)
            self._on_change(sorted(self._take(dict.fromkeys(self._keys, fault), asked)))
        return fault is not None

    async def _read(self, wishes: list[Wish]) -> bool:
        """Read wishes, and tell whether they brought a failure of the registry itself that is news."""
        if not wishes:
            return False
        asked = self._clock.monotonic()
        answers = await self._registry.resolve(wishes)
        fault = _common(answers.values())
        if answers.keys() >= self._keys.keys():
            # What one name is answered may be about that name.
            self._judge(fault)
        changed = self._take(answers, asked)
        if changed:
            self._on_change(sorted(changed))
        return bool(changed) and fault is not None

    def _take(self, answers: Mapping[Wish, VersionId | Unavailable], asked: float) -> set[str]:
        changed: set[str] = set()
        for wish, value in answers.items():
            before = self._reads.get(wish)
            # Nobody asks any more, or a read that was begun later was faster.
            if wish not in self._keys or (before is not None and before.at > asked):
                continue
            self._reads[wish] = _Read(value=value, at=asked)
            if before is None or before.value != value:
                changed |= self._keys[wish]
        return changed


def _common(answers: Collection[VersionId | Unavailable]) -> Unavailable | None:
    """What is wrong with a registry by its answers: nothing, as soon as one of them is about a model."""
    faults = [answer for answer in answers if isinstance(answer, Unavailable) and answer.reason in ABOUT_THE_REGISTRY]
    return faults[0] if faults and len(faults) == len(answers) else None
