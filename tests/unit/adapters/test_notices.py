"""What receivers get to read."""

import re
from dataclasses import replace
from datetime import datetime

import pytest
from tests.contract.test_notifier import notice
from tests.fixtures.receiver import Receiver

from tidegate.adapters import cloudevents, slack
from tidegate.core.notice import Happening
from tidegate.core.values import ObjectRef

ALL = frozenset(Happening)


@pytest.mark.parametrize("happening", Happening)
def test_an_event_has_what_cloudevents_asks_for(happening: Happening) -> None:
    event = cloudevents.render(replace(notice(), happening=happening), cluster="prod-eu")
    assert event["specversion"] == "1.0"
    # Required, non-empty strings (CloudEvents 1.0, 3.1); a source is a URI-reference.
    assert all(isinstance(event[name], str) and event[name] for name in ("id", "source", "type", "specversion"))
    assert re.fullmatch(r"//[A-Za-z0-9.-]+(/[A-Za-z0-9.-]+)+", event["source"])
    assert event["type"] == f"dev.tidegate.rollout.{happening.value}"
    # Attribute names are lower case letters and digits (3.1); `data` is no attribute.
    assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in event)
    assert event["datacontenttype"] == "application/json"
    moment = datetime.fromisoformat(event["time"])
    assert moment.timestamp() == notice().at
    assert event["time"].endswith("Z")


def test_an_event_names_object_version_attempt_and_cause() -> None:
    data = cloudevents.render(notice())["data"]
    assert (data["namespace"], data["name"], data["uid"]) == ("ml", "fraud", "u-1")
    assert (data["model"], data["version"], data["attempt"], data["stableVersion"]) == ("fraud-detector", "7", 2, "6")
    assert (data["reason"], data["message"], data["rejected"]) == ("GuardBreached", "8.1% errors", True)
    assert data["weight"] == 0


def test_without_a_name_of_the_cluster_the_source_is_a_path() -> None:
    source = cloudevents.render(notice())["source"]
    assert source == "/apis/tidegate.dev/v1alpha1/namespaces/ml/modeldeployments/fraud"


def test_before_anything_served_there_is_no_stable_version() -> None:
    assert cloudevents.render(replace(notice(), stable=None))["data"]["stableVersion"] is None


def test_the_same_notice_is_the_same_event_and_two_objects_share_no_source() -> None:
    assert cloudevents.render(notice()) == cloudevents.render(notice())
    other = replace(notice(), ref=ObjectRef(namespace="ml", name="churn", uid="u-2"))
    assert cloudevents.render(other)["source"] != cloudevents.render(notice())["source"]


async def test_events_are_posted_in_structured_mode_with_the_token() -> None:
    receiver = Receiver()
    await receiver.start()
    sender = cloudevents.CloudEvents(receiver.url, token="t0k", wanted=ALL, cluster="prod")
    await sender.send(notice())
    await sender.close()
    await receiver.stop()
    ((headers, body),) = receiver.taken
    assert headers["Content-Type"].startswith("application/cloudevents+json")
    assert headers["Authorization"] == "Bearer t0k"
    assert body == cloudevents.render(notice(), cluster="prod")


async def test_messages_are_posted_as_text() -> None:
    receiver = Receiver()
    await receiver.start()
    sender = slack.Slack(receiver.url, wanted=ALL, cluster="prod")
    await sender.send(notice())
    await sender.close()
    await receiver.stop()
    ((headers, body),) = receiver.taken
    assert headers["Content-Type"] == "application/json"
    assert body == {"text": slack.render(notice(), cluster="prod")}


@pytest.mark.parametrize(
    ("happening", "said"),
    [
        (Happening.STARTED, "*ml/fraud*: rollout of version 7 of fraud-detector started (attempt 2)"),
        (Happening.STEP, "*ml/fraud*: version 7 of fraud-detector gets 25% of the traffic"),
        (Happening.PROMOTED, "*ml/fraud*: version 7 of fraud-detector is promoted: it serves all requests"),
        (
            Happening.REVERTED,
            "*ml/fraud*: version 7 of fraud-detector is rejected: 8.1% errors (GuardBreached). Version 6 serves.",
        ),
    ],
)
def test_a_message_says_what_happened(happening: Happening, said: str) -> None:
    text = slack.render(replace(notice(), happening=happening, weight=25))
    assert text.partition(" ")[2] == said


def test_a_parked_version_is_said_to_be_tried_again() -> None:
    text = slack.render(replace(notice(), rejects=False, stable=None))
    assert "taken back, to be tried again" in text
    assert "serves" not in text


def test_nobody_is_mentioned_by_what_a_model_or_a_pod_says() -> None:
    text = slack.render(replace(notice(), message="<!channel> & <https://evil.example|click>"))
    assert "<" not in text
    assert "&lt;!channel&gt; &amp;" in text


def test_a_message_names_the_cluster_where_it_has_a_name() -> None:
    assert "*prod-eu ml/fraud*" in slack.render(notice(), cluster="prod-eu")
