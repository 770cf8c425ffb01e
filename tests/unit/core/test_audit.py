"""What is told of a journal, whatever was told before and whatever fell out of it."""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.audit import Act, AuditEvent, Entry, Journal, lost, untold
from tidegate.core.values import ObjectRef

REF = ObjectRef(namespace="ml", name="fraud", uid="u-1")


def journal(first: int, last: int) -> Journal:
    entries = tuple(
        Entry(number=number, at=float(number), act=Act.STEP, actor="tidegate", model="fraud", version="7")
        for number in range(first, last + 1)
    )
    return Journal(kind="ModelDeployment", ref=REF, entries=entries)


def numbers(events: list[AuditEvent]) -> list[int]:
    """The numbers of the acts that the events tell of, gaps included."""
    found: list[int] = []
    for event in events:
        gap = event.act is Act.GAP
        found += range(int(event.source), int(event.target) + 1) if gap else [event.sequence or 0]
    return found


def test_an_empty_journal_tells_nothing() -> None:
    assert (list(untold(journal(1, 0), 0)), journal(1, 0).last, journal(1, 0).dropped) == ([], 0, 0)


def test_what_fell_out_is_one_event_that_says_what_is_missing() -> None:
    gap, *rest = untold(journal(8, 9), 3)
    assert (gap.id, gap.act, gap.outcome, gap.sequence) == ("u-1/4-7/gap", Act.GAP, "lost", 7)
    assert gap.message == "acts 4 to 7 fell out of the object's journal before they could be told"
    assert (lost(gap), [lost(event) for event in rest]) == (4, [0, 0])


@given(first=st.integers(1, 60), length=st.integers(0, 24), told=st.integers(0, 90))
def test_every_act_after_the_mark_is_told_once_in_order_or_is_said_to_be_lost(
    first: int, length: int, told: int
) -> None:
    last = first + length - 1
    events = list(untold(journal(first, last), told))
    assert numbers(events) == (list(range(told + 1, last + 1)) if length else [])
    assert [event.sequence for event in events] == sorted(event.sequence or 0 for event in events)


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=30))
def test_a_receiver_that_is_away_now_and_then_misses_nothing_unsaid(rounds: list[tuple[int, bool]]) -> None:
    """So many acts, then a look that delivers, or does not."""
    last = told = 0
    heard: list[AuditEvent] = []
    for acts, up in [*rounds, (1, True)]:
        last += acts
        for event in untold(journal(max(1, last - 23), last), told):
            if up:
                heard.append(event)
                told = event.sequence or told
    assert numbers(heard) == list(range(1, last + 1))
    assert len({event.id for event in heard}) == len(heard)
