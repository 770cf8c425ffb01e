"""What whoever takes audit events over HTTP owes the loop: the fake and the one that really posts alike."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
from pydantic import SecretStr
from tests.cluster.pki import Authority
from tests.fakes.audit import FakeAuditor
from tests.fixtures.receiver import Receiver

from tidegate.adapters.cloudevents import CONTENT_TYPE, AuditEvents, render_act
from tidegate.api.crd import Served
from tidegate.api.kinds import KINDS, KindOf
from tidegate.api.served import SERVED
from tidegate.core.audit import Act, AuditEvent
from tidegate.core.values import ObjectRef
from tidegate.ports import AuditReceiver, Delivery
from tidegate.process import audit_receiver
from tidegate.settings import AuditSettings

EVENT = AuditEvent(
    id="u-1/12/9xkw2bqz",
    at=1_760_000_000.25,
    kind="ModelPromotion",
    ref=ObjectRef(namespace="ml", name="fraud-7", uid="u-1"),
    act=Act.APPROVED,
    actor="user:jürgen@example.com",
    model="fraud-detector",
    version="7",
    source="Staging",
    target="Production",
    decision="x7c2kq9b",
    sequence=12,
)


class Outside(Protocol):
    """The other end, that the test moves."""

    mood: str


@pytest.fixture(params=["fake", "cloudevents"])
async def pair(request: pytest.FixtureRequest, receiver: Receiver) -> AsyncIterator[tuple[AuditReceiver, Outside]]:
    if request.param == "fake":
        fake = FakeAuditor()
        yield fake, fake
        return
    made = AuditEvents(receiver.url, cluster="prod")
    yield made, receiver
    await made.close()


@pytest.mark.parametrize(
    ("mood", "delivery"),
    [("up", Delivery.DELIVERED), ("down", Delivery.FAILED), ("refusing", Delivery.REFUSED)],
)
async def test_an_event_is_answered(pair: tuple[AuditReceiver, Outside], mood: str, delivery: Delivery) -> None:
    auditor, outside = pair
    outside.mood = mood
    assert (await auditor.take(EVENT)).delivery is delivery
    outside.mood = "up"
    assert (await auditor.take(EVENT)).delivery is Delivery.DELIVERED


async def test_it_is_posted_as_a_cloud_event_that_can_be_ordered_and_told_from_a_repetition(
    receiver: Receiver,
) -> None:
    auditor = AuditEvents(receiver.url, cluster="prod")
    await auditor.take(EVENT)
    await auditor.close()
    ((headers, event),) = receiver.taken
    assert headers["Content-Type"] == CONTENT_TYPE
    assert "Authorization" not in headers
    assert event == render_act(EVENT, cluster="prod") == {
        "specversion": "1.0",
        "id": "u-1/12/9xkw2bqz",
        "source": "//prod/apis/tidegate.dev/v1alpha1/namespaces/ml/modelpromotions/fraud-7",
        "type": "dev.tidegate.audit.approved",
        "subject": "fraud-detector/7",
        "time": "2025-10-09T08:53:20.250Z",
        "partitionkey": "u-1",
        "sequence": "0000000012",
        "datacontenttype": "application/json",
        "data": {
            "sequence": 12,
            "cluster": "prod",
            "object": {
                "apiVersion": "tidegate.dev/v1alpha1",
                "kind": "ModelPromotion",
                "namespace": "ml",
                "name": "fraud-7",
                "uid": "u-1",
            },
            "act": "approved",
            "actor": "user:jürgen@example.com",
            "model": "fraud-detector",
            "version": "7",
            "from": "Staging",
            "to": "Production",
            "reason": "",
            "message": "",
            "decision": "x7c2kq9b",
            "outcome": "done",
        },
    }  # fmt: skip


@pytest.mark.parametrize("served", [*SERVED, *KINDS], ids=lambda served: served.kind)
def test_an_events_source_is_the_objects_path_whatever_its_kind(served: Served | KindOf) -> None:
    event = replace(EVENT, kind=served.kind, sequence=None, version="")
    told = render_act(event)
    assert told["source"] == f"/apis/tidegate.dev/v1alpha1/namespaces/ml/{served.plural}/fraud-7"
    assert ("sequence" not in told, told["subject"]) == (True, "fraud-detector")


async def test_a_token_is_read_for_each_and_one_that_cannot_be_read_is_waited_for(
    receiver: Receiver, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    auditor = AuditEvents(receiver.url, token_file=str(token))
    assert (await auditor.take(EVENT)).delivery is Delivery.FAILED
    for word in ("first", "second"):
        token.write_text(f"{word}\n")
        assert (await auditor.take(EVENT)).delivery is Delivery.DELIVERED
    await auditor.close()
    assert [headers["Authorization"] for headers, _ in receiver.taken] == ["Bearer first", "Bearer second"]


async def test_a_receiver_is_trusted_by_the_certificates_that_are_given_and_else_by_the_systems(
    tmp_path: Path,
) -> None:
    authority = Authority.create(tmp_path / "pki")
    authority.issue("receiver", subject="/CN=receiver", hosts=["IP:127.0.0.1"])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(authority.certificate("receiver"), authority.key("receiver"))
    receiver = Receiver(tls=tls)
    await receiver.start()
    stranger = AuditEvents(receiver.url)
    friend = audit_receiver(AuditSettings(url=SecretStr(receiver.url), ca_file=str(authority.certificate("ca"))))
    assert friend is not None
    try:
        assert (await stranger.take(EVENT)).detail == "its certificate is not trusted, or TLS failed otherwise"
        assert (await friend.take(EVENT)).delivery is Delivery.DELIVERED
    finally:
        await stranger.close()
        await friend.close()
        await receiver.stop()


def test_without_an_address_there_is_none() -> None:
    assert audit_receiver(AuditSettings()) is None
