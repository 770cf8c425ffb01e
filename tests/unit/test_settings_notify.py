"""Who is told: from the environment, and never printed."""

import pytest
from pydantic import ValidationError

from tidegate.core.notice import Happening
from tidegate.process import receivers
from tidegate.settings import NotifySettings


def test_without_addresses_nobody_is_told() -> None:
    assert receivers(NotifySettings()) == ()


async def test_each_address_is_a_receiver_with_what_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_NOTIFY_CLOUDEVENTS_URL", "http://broker.knative-eventing/ml")
    monkeypatch.setenv("TIDEGATE_NOTIFY_SLACK_URL", "https://hooks.example.com/services/T0/B0/secret")
    monkeypatch.setenv("TIDEGATE_NOTIFY_SLACK_EVENTS", "promoted, reverted")
    found = receivers(NotifySettings())
    assert [(receiver.name, receiver.wanted) for receiver in found] == [
        ("cloudevents", frozenset(Happening)),
        ("slack", frozenset({Happening.PROMOTED, Happening.REVERTED})),
    ]


@pytest.mark.parametrize("url", ["hooks.example.com/services/secret", "ftp://x/secret", "https://", "secret"])
def test_a_wrong_address_is_refused_without_being_printed(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("TIDEGATE_NOTIFY_SLACK_URL", url)
    with pytest.raises(ValidationError) as error:
        NotifySettings()
    assert "slack_url" in str(error.value)
    assert "must be a URL" in str(error.value)
    assert "secret" not in str(error.value)
    assert "secret" not in repr(error.value)


def test_settings_do_not_print_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_NOTIFY_SLACK_URL", "https://hooks.example.com/services/T0/B0/secret")
    monkeypatch.setenv("TIDEGATE_NOTIFY_CLOUDEVENTS_TOKEN", "secret")
    assert "secret" not in repr(NotifySettings()).replace("SecretStr", "")


def test_an_unknown_happening_is_refused_with_those_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_NOTIFY_SLACK_EVENTS", "promoted,approved")
    with pytest.raises(ValidationError, match="approved: must be of started, step, approval, promoted, reverted"):
        NotifySettings()
