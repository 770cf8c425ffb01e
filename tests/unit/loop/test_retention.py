"""What must never happen to a version that retention wants to delete, whatever changes or fails in the meantime."""

from collections.abc import AsyncIterator, Callable

import pytest
from tests.fakes.audit import FakeTrail
from tests.fakes.cluster import FakeCluster
from tests.fakes.registry import FakeRegistry, FakeWriter
from tests.fixtures.retention import DELETES, Retaining

from tidegate.adapters.clock import SteadyClock
from tidegate.core.audit import AuditEvent
from tidegate.core.labels import KIND, RECORD
from tidegate.core.reasons import Reason
from tidegate.core.registered import RegisteredModel
from tidegate.core.retention import Keep, Retained, Terms
from tidegate.core.values import Unavailable
from tidegate.errors import ClusterError, NotServed, Unreachable
from tidegate.loop.census import take
from tidegate.loop.retention import AHEAD, FRESH, MOST
from tidegate.ports import Page

MODEL = "fraud-detector"


class Meddled(FakeWriter):
    """Something happens right before a model is read for the `nth` time."""

    def __init__(self, registry: FakeRegistry, nth: int, happens: Callable[[], object]) -> None:
        super().__init__(registry)
        self.left = nth
        self.happens = happens

    async def read(self, model: str) -> RegisteredModel | Unavailable:
        self.left -= 1
        if self.left == 0:
            self.happens()
        return await super().read(model)


class Listless(FakeCluster):
    """A kind can't be listed, from some list of it on."""

    def __init__(self, kind: str, error: ClusterError, nth: int = 1) -> None:
        super().__init__()
        self.kind, self.error, self.left = kind, error, nth

    async def pages(self, kind: str, namespace: str | None) -> AsyncIterator[Page]:
        if kind == self.kind:
            self.left -= 1
            if self.left <= 0:
                raise self.error
        async for page in super().pages(kind, namespace):
            yield page


@pytest.fixture
async def registry() -> FakeRegistry:
    made = FakeRegistry()
    made._clock_ms = int(SteadyClock().now() * 1000)
    return made


@pytest.fixture
async def subject(registry: FakeRegistry) -> Retaining:
    """Two archived versions that nothing needs, as was told an hour ago, and one that is the newest."""
    return await told(registry, 2)


async def told(registry: FakeRegistry, many: int) -> Retaining:
    made = Retaining(name=MODEL, writer=registry.writer, edit=registry)
    await made.archive(many)
    made.deploy()
    made.clock.days = 91
    assert (await made.look(Terms())).due == many
    return made


def refused(reason: Reason, *, number: str = "1") -> Callable[[tuple[str, ...]], Unavailable | None]:
    """The deletion of one version is not done."""

    def before(write: tuple[str, ...]) -> Unavailable | None:
        mine = (write[0], write[2]) == ("delete_version", number)
        return Unavailable(reason=reason, message=f"{reason}: grant MANAGE") if mine else None

    return before


async def untouched(subject: Retaining, found: Retained, words: str) -> None:
    assert words in found.fault
    assert found.deleted == ()
    assert await subject.numbers() == ["1", "2", "3"]


async def test_an_alias_that_is_set_after_the_verdict_keeps(subject: Retaining, registry: FakeRegistry) -> None:
    subject.writer = Meddled(registry, 2, lambda: registry.set_alias(MODEL, "old", "1"))
    found = await subject.look(DELETES)
    assert [one.number for one in found.deleted] == ["2"]
    assert [(keep, count) for keep, count, _ in found.kept] == [(Keep.ALIAS, 1)]


async def test_a_tag_that_is_set_after_the_verdict_keeps(subject: Retaining, registry: FakeRegistry) -> None:
    subject.writer = Meddled(registry, 2, lambda: registry.set_tag(MODEL, "1", "tidegate.keep", "yes"))
    assert [one.number for one in (await subject.look(DELETES)).deleted] == ["2"]


async def test_a_version_that_leaves_the_archive_after_the_verdict_stays(
    subject: Retaining, registry: FakeRegistry
) -> None:
    subject.writer = Meddled(registry, 2, lambda: registry.set_stage(MODEL, "1", "Staging"))
    found = await subject.look(DELETES)
    assert ([one.number for one in found.deleted], found.kept, found.due) == (["2"], (), 0)


async def test_an_object_that_comes_after_the_list_keeps_once_the_list_is_old(
    subject: Retaining, registry: FakeRegistry
) -> None:
    def later() -> None:
        subject.deploy("pinned", version="1")
        subject.clock.passed += FRESH + 1

    subject.writer = Meddled(registry, 1, later)
    assert [one.number for one in (await subject.look(DELETES)).deleted] == ["2"]


async def test_a_model_that_was_made_anew_after_the_verdict_keeps_all_that_it_has(
    subject: Retaining, registry: FakeRegistry
) -> None:
    def anew() -> None:
        registry.delete_model(MODEL)
        registry.register(MODEL)
        registry.add_version(MODEL)

    subject.writer = Meddled(registry, 2, anew)
    found = await subject.look(DELETES)
    assert (found.deleted, found.fault) == ((), "")
    assert await subject.numbers() == ["1"]


async def test_a_model_that_is_gone_after_the_verdict_is_no_fault(subject: Retaining, registry: FakeRegistry) -> None:
    subject.writer = Meddled(registry, 2, lambda: registry.delete_model(MODEL))
    found = await subject.look(DELETES)
    assert (found.deleted, found.fault, found.due) == ((), "", 0)
    assert (await subject.look(DELETES)).fault == ""


@pytest.mark.parametrize("kind", [KIND, "HTTPRoute", "Deployment", "ModelPromotion"])
@pytest.mark.parametrize("nth", [1, 2])
async def test_where_a_list_fails_nothing_goes(subject: Retaining, registry: FakeRegistry, kind: str, nth: int) -> None:
    cluster = Listless(kind, Unreachable("no leader of etcd"), nth)
    subject.cluster = cluster
    subject.deploy()

    def later() -> None:
        subject.clock.passed += FRESH + 1

    subject.writer = Meddled(registry, 1, later)
    found = await subject.look(DELETES)
    await untouched(subject, found, "the API server does not list what needs versions: no leader of etcd")
    assert cluster.left <= 0


async def test_a_cluster_without_promotions_has_none_and_one_without_deployments_of_models_is_no_answer(
    subject: Retaining,
) -> None:
    subject.cluster = Listless("HTTPRoute", NotServed("no such kind"))
    subject.deploy()
    await untouched(subject, await subject.look(DELETES), "no such kind")
    subject.cluster = Listless("ModelPromotion", NotServed("no such kind"))
    subject.deploy()
    assert len((await subject.look(DELETES)).deleted) == 2


async def test_a_record_that_cannot_be_read_keeps_everything(subject: Retaining) -> None:
    subject.put("HTTPRoute", "other", annotations={RECORD: '{"v":99}'})
    found = await subject.look(DELETES)
    assert (found.deleted, [(keep, count) for keep, count, _ in found.kept]) == ((), [(Keep.IN_USE, 2)])
    assert "ModelDeployment ml/other" in found.kept[0][2]


async def test_who_does_not_lead_deletes_nothing_and_says_nothing(subject: Retaining) -> None:
    await untouched(subject, await subject.look(DELETES, leads=False), "lease")
    assert subject.trail.events == []


async def test_what_the_audit_trail_does_not_have_stays(subject: Retaining) -> None:
    subject.trail.full = True
    await untouched(subject, await subject.look(DELETES), "audit trail")
    subject.trail.full = False
    assert len((await subject.look(DELETES)).deleted) == 2


async def test_a_lease_that_ends_while_the_trail_is_written_ends_the_look(subject: Retaining) -> None:
    class Slow(FakeTrail):
        def append(self, event: AuditEvent) -> None:
            super().append(event)
            subject.fence.hold(None)

    trail = Slow()
    subject.trail.append = trail.append  # type: ignore[method-assign]  # a disk that takes longer than the lease
    await untouched(subject, await subject.look(DELETES), "lease")
    assert [event.outcome for event in trail.events] == ["begun"]


async def test_an_operator_of_some_namespaces_lists_those_alone(subject: Retaining) -> None:
    found = await take(subject.cluster, ("ml", "eu"), subject.clock.now())
    assert [ref.key for ref in found.models(None)[MODEL]] == ["ml/fraud"]
    assert dict((await take(subject.cluster, ("eu",), subject.clock.now())).models(None)) == {}


async def test_whoever_asks_for_something_else_meanwhile_is_heard(subject: Retaining) -> None:
    await untouched(subject, await subject.look(DELETES, own=Terms()), "something else is asked for")


async def test_a_registry_that_is_away_ends_the_look(subject: Retaining, registry: FakeRegistry) -> None:
    registry.fail(Reason.REGISTRY_UNREACHABLE, "nobody there")
    found = await subject.look(DELETES)
    registry.fail(None)
    await untouched(subject, found, "nobody there")


async def test_a_registry_that_goes_away_before_the_second_read_ends_the_look(
    subject: Retaining, registry: FakeRegistry
) -> None:
    subject.writer = Meddled(registry, 2, lambda: registry.fail(Reason.REGISTRY_FAILING, "500"))
    found = await subject.look(DELETES)
    registry.fail(None)
    await untouched(subject, found, "500")


async def test_a_deletion_that_fails_is_told_and_ends_the_look(subject: Retaining, registry: FakeRegistry) -> None:
    registry.writer.before = refused(Reason.REGISTRY_FAILING)
    await untouched(subject, await subject.look(DELETES), "RegistryFailing")
    assert [event.outcome for event in subject.trail.events] == ["begun", "failed"]
    assert subject.metrics.versions_deleted.labels(outcome="failed")._value.get() == 1


async def test_a_deletion_that_was_done_and_not_answered_is_done(subject: Retaining, registry: FakeRegistry) -> None:
    registry.writer.after = lambda _: Unavailable(reason=Reason.REGISTRY_UNREACHABLE, message="no answer")
    found = await subject.look(DELETES)
    assert ([one.number for one in found.deleted], found.fault) == (["1", "2"], "")
    assert [event.outcome for event in subject.trail.events] == ["begun", "done"] * 2


async def test_a_deletion_that_nobody_knows_of_is_told_as_such(subject: Retaining, registry: FakeRegistry) -> None:
    def away(_write: tuple[str, ...]) -> Unavailable:
        registry.fail(Reason.REGISTRY_UNREACHABLE, "away")
        return Unavailable(reason=Reason.REGISTRY_UNREACHABLE, message="away")

    registry.writer.after = away
    found = await subject.look(DELETES)
    assert (found.deleted, found.fault) == ((), "away")
    assert [event.outcome for event in subject.trail.events] == ["begun", "unknown"]


async def test_a_registry_that_says_yes_and_does_not_is_found_out(subject: Retaining, registry: FakeRegistry) -> None:
    registry.delete_version = lambda *_: None  # type: ignore[method-assign]  # such a server
    await untouched(subject, await subject.look(DELETES), "is still there after it was deleted")


async def test_a_model_that_may_not_be_changed_delays_no_other(subject: Retaining, registry: FakeRegistry) -> None:
    other = Retaining(
        name="z-model", writer=subject.writer, edit=registry, cluster=subject.cluster, clock=subject.clock
    )
    await other.archive(1)
    registry.change("z-model", "1", at=subject.clock.now() - 91 * 86_400.0)
    other.deploy("z")
    assert (await subject.look(Terms())).due == 3
    registry.writer.before = refused(Reason.REGISTRY_FORBIDDEN, number="2")
    found = await subject.look(DELETES)
    assert [(one.model, one.number) for one in found.deleted] == [(MODEL, "1"), ("z-model", "1")]
    assert "grant MANAGE" in found.fault


async def test_what_nobody_was_told_of_an_hour_ago_stays_until_the_next_look(
    subject: Retaining, registry: FakeRegistry
) -> None:
    registry.add_version(MODEL)
    registry.set_stage(MODEL, "3", "Archived")
    registry.change(MODEL, "3", at=subject.clock.now() - 91 * 86_400.0)
    found = await subject.look(DELETES)
    assert ([one.number for one in found.deleted], [one.number for one in found.first]) == (["1", "2"], ["3"])
    subject.clock.passed -= 3600 * (1 - AHEAD / 10)  # somebody has the operator look again before its time
    assert (await subject.look(DELETES)).deleted == ()
    assert [one.number for one in (await subject.look(DELETES)).deleted] == ["3"]


async def test_a_look_that_broke_off_makes_nothing_wait_that_was_told_of(
    subject: Retaining, registry: FakeRegistry
) -> None:
    registry.fail(Reason.REGISTRY_UNREACHABLE, "nobody there")
    assert (await subject.look(DELETES)).fault == "nobody there"
    registry.fail(None)
    assert len((await subject.look(DELETES)).deleted) == 2


async def test_one_look_deletes_so_many_and_no_more(registry: FakeRegistry) -> None:
    subject = await told(registry, MOST + 3)
    found = await subject.look(DELETES)
    assert (len(found.deleted), found.due) == (MOST, 3)
    found = await subject.look(DELETES)
    assert (len(found.deleted), found.due) == (3, 0)


async def test_a_dry_run_lists_some_and_counts_all(registry: FakeRegistry) -> None:
    subject = await told(registry, 25)
    found = await subject.look(Terms())
    assert (found.due, len(found.first), registry.writer.writes[-1][0]) == (25, 20, "move")
