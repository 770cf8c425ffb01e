"""What every receiver of notices owes the queue: the fake and those that really post alike."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest
from tests.cluster.pki import Authority
from tests.fakes.notifier import FakeNotifier
from tests.fixtures.receiver import Receiver
from tests.fixtures.until import until
from tests.unit.core import builders as make

from tidegate.adapters.cloudevents import CloudEvents
from tidegate.adapters.slack import Slack
from tidegate.adapters.webhooks import LONGEST_WAIT, Webhook
from tidegate.core.notice import Happening, Notice
from tidegate.core.reasons import Reason
from tidegate.core.values import ObjectRef
from tidegate.ports import Delivery, Notifier

WANTED = frozenset({Happening.PROMOTED, Happening.REVERTED})


def notice() -> Notice:
    return Notice(
        happening=Happening.REVERTED,
        ref=ObjectRef(namespace="ml", name="fraud", uid="u-1"),
        revision=make.V7,
        attempt=2,
        weight=0,
        stable=make.V6,
        reason=Reason.GUARD_BREACHED,
        message="8.1% errors",
        rejects=True,
        at=1_760_000_000.25,
    )


class Outside(Protocol):
    """The other end, that the test moves."""

    mood: str

    def release(self) -> None: ...


@pytest.fixture(params=["fake", "cloudevents", "slack"])
async def pair(request: pytest.FixtureRequest, receiver: Receiver) -> AsyncIterator[tuple[Notifier, Outside]]:
    if request.param == "fake":
        fake = FakeNotifier(wanted=WANTED)
        yield fake, fake
        return
    made = {"cloudevents": CloudEvents, "slack": Slack}[request.param](receiver.url, wanted=WANTED)
    assert made.name == request.param
    yield made, receiver
    await made.close()


async def test_what_is_taken_is_delivered(pair: tuple[Notifier, Outside]) -> None:
    notifier, outside = pair
    assert (await notifier.send(notice())).delivery is Delivery.DELIVERED
    assert len(outside.taken) == 1  # type: ignore[attr-defined]


async def test_it_says_what_it_wants_to_hear(pair: tuple[Notifier, Outside]) -> None:
    assert pair[0].wanted == WANTED


@pytest.mark.parametrize(("mood", "delivery"), [("down", Delivery.FAILED), ("refusing", Delivery.REFUSED)])
async def test_a_receiver_in_trouble_fails_and_one_that_does_not_want_it_refuses(
    pair: tuple[Notifier, Outside], mood: str, delivery: Delivery
) -> None:
    notifier, outside = pair
    outside.mood = mood
    answer = await notifier.send(notice())
    assert answer.delivery is delivery
    assert answer.detail.startswith("answered ")


async def test_one_that_hangs_is_given_up_by_cancelling_and_takes_the_next(pair: tuple[Notifier, Outside]) -> None:
    notifier, outside = pair
    outside.mood = "hanging"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await notifier.send(notice())
    outside.release()
    assert (await notifier.send(notice())).delivery is Delivery.DELIVERED


async def test_one_that_was_closed_is_closed_once_more_without_harm(pair: tuple[Notifier, Outside]) -> None:
    notifier, _ = pair
    await notifier.send(notice())
    await notifier.close()
    await notifier.close()


# what is special about HTTP


@pytest.fixture
async def webhook(receiver: Receiver) -> AsyncIterator[Webhook]:
    made = Webhook(receiver.url, {})
    yield made
    await made.close()


async def test_a_connection_that_breaks_is_a_failure_without_an_address(receiver: Receiver, webhook: Webhook) -> None:
    receiver.mood = "closing"
    answer = await webhook.post(b"{}")
    assert (answer.delivery, answer.detail) == (Delivery.FAILED, "no connection")


async def test_a_port_where_nobody_listens_is_a_failure_without_an_address(receiver: Receiver) -> None:
    gone = Webhook(receiver.url, {})
    await receiver.stop()
    answer = await gone.post(b"{}")
    await gone.close()
    assert (answer.delivery, answer.detail) == (Delivery.FAILED, "no connection")


async def test_a_host_that_is_none_is_a_failure_without_an_address() -> None:
    wrong = Webhook("http://[::1/services/secret", {})
    answer = await wrong.post(b"{}")
    await wrong.close()
    assert answer.delivery is Delivery.FAILED
    assert "secret" not in answer.detail


async def test_a_redirect_is_refused_and_not_followed(receiver: Receiver, webhook: Webhook) -> None:
    receiver.mood = "redirecting"
    answer = await webhook.post(b"{}")
    assert (answer.delivery, answer.detail) == (Delivery.REFUSED, "answered 307")
    assert receiver.elsewhere == 0


async def test_what_a_receiver_says_of_a_failure_is_repeated_in_one_line(receiver: Receiver, webhook: Webhook) -> None:
    receiver.mood = "down"
    assert (await webhook.post(b"{}")).detail == "answered 503: try later"


@pytest.mark.parametrize(("header", "wait"), [("7", 7.0), ("86400", LONGEST_WAIT), ("Wed, 21 Oct", None), ("-1", None)])
async def test_a_receiver_may_ask_for_time_within_reason(
    receiver: Receiver, webhook: Webhook, header: str, wait: float | None
) -> None:
    receiver.mood, receiver.headers = "busy", {"Retry-After": header}
    answer = await webhook.post(b"{}")
    assert (answer.delivery, answer.wait) == (Delivery.FAILED, wait)


async def test_a_certificate_that_nobody_vouches_for_gets_no_notice(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "pki")
    authority.issue("receiver", subject="/CN=receiver", hosts=["IP:127.0.0.1"])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(authority.certificate("receiver"), authority.key("receiver"))
    receiver = Receiver(tls=tls)
    await receiver.start()
    webhook = Webhook(receiver.url, {})
    answer = await webhook.post(b"{}")
    await webhook.close()
    await receiver.stop()
    assert answer.delivery is Delivery.FAILED
    assert "certificate" in answer.detail
    assert receiver.taken == []


async def test_ten_notices_take_one_connection(receiver: Receiver) -> None:
    slack = Slack(receiver.url, wanted=WANTED)
    for _ in range(10):
        assert (await slack.send(notice())).delivery is Delivery.DELIVERED
    await slack.close()
    await until(lambda: len(receiver.taken) == 10)
