"""Notices as messages for incoming webhooks of Slack, and of what takes the same (Mattermost, Rocket.Chat, Zulip)."""

import json

from tidegate.adapters.webhooks import Webhook
from tidegate.core.notice import Happening, Notice
from tidegate.ports import Answer

_SIGN = {
    Happening.STARTED: ":hourglass_flowing_sand:",
    Happening.STEP: ":arrow_up:",
    Happening.APPROVAL: ":raised_hand:",
    Happening.PROMOTED: ":white_check_mark:",
    Happening.REVERTED: ":rewind:",
}


class Slack:
    """`ports.Notifier` for one channel."""

    name = "slack"

    def __init__(self, url: str, *, wanted: frozenset[Happening], cluster: str = "") -> None:
        self._webhook = Webhook(url, {"Content-Type": "application/json"})
        self._cluster = cluster
        self._wanted = wanted

    @property
    def wanted(self) -> frozenset[Happening]:
        """See the port."""
        return self._wanted

    async def send(self, notice: Notice) -> Answer:
        """See the port."""
        return await self._webhook.post(json.dumps({"text": render(notice, cluster=self._cluster)}).encode())

    async def close(self) -> None:
        """See the port."""
        await self._webhook.close()


def render(notice: Notice, *, cluster: str = "") -> str:
    """The message, in Slack's mrkdwn. What comes from outside can neither mention anybody nor make a link."""
    place = f"{cluster} {notice.ref.key}" if cluster else notice.ref.key
    return f"{_SIGN[notice.happening]} *{_plain(place)}*: {_plain(_said(notice))}"


def _said(notice: Notice) -> str:
    version = f"version {notice.revision.version.number} of {notice.revision.version.model}"
    match notice.happening:
        case Happening.STARTED:
            return f"rollout of {version} started (attempt {notice.attempt})"
        case Happening.STEP:
            return f"{version} gets {notice.weight}% of the traffic"
        case Happening.APPROVAL:
            return f"{version} is {notice.message}"
        case Happening.PROMOTED:
            return f"{version} is promoted: it serves all requests"
        case Happening.REVERTED:
            ended = "rejected" if notice.rejects else "taken back, to be tried again"
            serves = f" Version {notice.stable.version.number} serves." if notice.stable else ""
            return f"{version} is {ended}: {notice.message} ({notice.reason}).{serves}"


def _plain(text: str) -> str:
    # The three characters that have a meaning in mrkdwn's links and mentions (Slack, "Escaping text").
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
