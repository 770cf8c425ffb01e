"""Who is posted what, whoever else is behind, and what is kept of what no journal has."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.fakes.audit import FakeAuditor
from tests.fixtures.loopclock import LoopClock

from tidegate.core.audit import Act, AuditEvent, Entry, Journal, event_of
from tidegate.core.labels import KIND
from tidegate.core.values import ObjectRef
from tidegate.loop.posting import MOST, Posting
from tidegate.ports import Answer
from tidegate.telemetry import Metrics

VIRTUAL_TIME = True


class Raising(FakeAuditor):
    """Fails in a way that its port does not allow, once."""

    async def take(self, event: AuditEvent) -> Answer:
        self.tries += 1
        if self.tries == 1:
            raise RuntimeError("https://secret.example.com")
        return await super().take(event)


def journal(name: str, acts: int, first: int = 1) -> Journal:
    entries = tuple(
        Entry(number=number, at=1.0, act=Act.STEP, actor="tidegate", model="fraud", version="7")
        for number in range(first, first + acts)
    )
    return Journal(kind=KIND, ref=ObjectRef(namespace="ml", name=name, uid=f"u-{name}"), entries=entries)


class Post:
    """A worker, the journals that it reads, and whose status was to be written."""

    def __init__(self, auditor: FakeAuditor) -> None:
        self.auditor, self.metrics = auditor, Metrics()
        self.journals: dict[str, Journal] = {}
        self.noted: list[str] = []
        self.posting = Posting(
            auditor,
            read=lambda _kind, key, _uid: self.journals.get(key),
            noted=lambda _kind, key: self.noted.append(key),
            clock=LoopClock(),
            metrics=self.metrics,
        )
        self.work = asyncio.create_task(self.posting.run())

    def pass_over(self, found: Journal, noted: int | None) -> int | None:
        """What a pass over an object does."""
        self.journals[found.ref.key] = found
        return self.posting.follow(found, noted)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"tidegate_audit_{name}", labels) or 0.0

    def told(self, name: str) -> list[int | None]:
        return [event.sequence for event in self.auditor.events if event.ref.name == name]


@pytest.fixture
def auditor() -> FakeAuditor:
    return FakeAuditor()


@pytest.fixture
async def post(auditor: FakeAuditor) -> AsyncIterator[Post]:
    made = Post(auditor)
    yield made
    made.work.cancel()
    await asyncio.gather(made.work, return_exceptions=True)


async def test_one_whose_event_is_refused_waits_a_minute_and_the_others_go_on(post: Post) -> None:
    post.auditor.disliked = {"ml/bad"}
    for name in ("bad", "good", "better"):
        assert post.pass_over(journal(name, 3), 0) == 0
    await asyncio.sleep(30)
    assert (post.told("bad"), post.told("good"), post.told("better")) == ([], [1, 2, 3], [1, 2, 3])
    assert (post.noted, post.count("behind")) == (["ml/good", "ml/better"], 1)
    assert post.count("posts_total", result="refused") == 1
    post.auditor.disliked = set()
    await asyncio.sleep(60)
    assert (post.told("bad"), post.count("behind")) == ([1, 2, 3], 0)


async def test_a_receiver_that_is_away_is_tried_less_and_less_often(post: Post) -> None:
    post.auditor.mood = "down"
    post.pass_over(journal("a", 2), 0)
    await asyncio.sleep(3600)
    assert 100 < post.auditor.tries < 150
    post.auditor.mood = "up"
    await asyncio.sleep(30)
    assert post.told("a") == [1, 2]
    tries = post.auditor.tries
    await asyncio.sleep(3600)
    assert post.auditor.tries == tries


async def test_an_object_is_followed_while_it_does_more_and_nothing_comes_twice(post: Post) -> None:
    for acts in (1, 2, 5):
        marked = post.pass_over(journal("a", acts), 0)
        await asyncio.sleep(1)
    assert marked == 2
    assert post.pass_over(journal("a", 5), 5) == 5
    await asyncio.sleep(60)
    assert post.told("a") == [1, 2, 3, 4, 5]
    assert post.noted == ["ml/a"] * 3


async def test_what_a_deleted_object_did_is_posted_and_one_that_is_gone_unseen_is_forgotten(post: Post) -> None:
    post.auditor.mood = "down"
    for name in ("deleted", "unseen", "even"):
        post.pass_over(journal(name, 2), 0)
    post.posting.leave(journal("deleted", 2))
    post.posting.leave(journal("never behind", 2))
    post.journals.clear()
    post.auditor.mood = "up"
    await asyncio.sleep(120)
    assert [event.ref.name for event in post.auditor.events] == ["deleted", "deleted"]
    assert (post.noted, post.count("behind")) == ([], 0)


async def test_what_no_journal_keeps_is_bounded_and_what_is_lost_of_it_is_counted(post: Post) -> None:
    (entry,) = journal("loose", 1).entries
    event = replace(event_of("ModelRegistry", ObjectRef(namespace="ml", name="loose", uid="u"), entry), sequence=None)
    post.auditor.mood = "down"
    for number in range(MOST + 3):
        post.posting.add(replace(event, id=f"{number}"))
    assert (post.count("behind"), post.count("posts_total", result="lost")) == (MOST, 3)
    post.auditor.mood = "refusing"
    post.pass_over(journal("a", 1), 0)
    await asyncio.sleep(10)
    post.auditor.mood = "up"
    await asyncio.sleep(200)
    assert [told.id for told in post.auditor.events if told.kind == "ModelRegistry"] == [
        f"{number}" for number in range(3, MOST + 3)
    ]
    assert post.told("a") == [1]


@pytest.mark.parametrize("auditor", [Raising()], ids=["raising"])
async def test_a_receiver_that_fails_as_none_may_costs_one_try(post: Post) -> None:
    post.pass_over(journal("a", 1), 0)
    await asyncio.sleep(5)
    assert post.told("a") == [1]
    assert post.work.done() is False


async def test_without_a_receiver_nothing_is_kept_or_noted() -> None:
    metrics = Metrics()
    idle = Posting(None, read=lambda *_: None, noted=lambda *_: None, clock=LoopClock(), metrics=metrics)
    idle.add(event_of(KIND, ObjectRef(namespace="ml", name="a", uid="u"), journal("a", 1).entries[0]))
    assert (idle.follow(journal("a", 3), None), idle.follow(journal("a", 3), 2)) == (None, 2)
    await idle.run()
    assert metrics.registry.get_sample_value("tidegate_audit_behind") == 0
