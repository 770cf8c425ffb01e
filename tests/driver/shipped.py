"""What the chart ships for Alertmanager, as that reads it itself: there is no Prometheus operator here."""

import re
from typing import Any

import yaml

from tests.cluster.access import Access
from tests.driver.monitoring import Receiver
from tests.driver.platform import ALERT_TOKEN, CHART, NAMESPACE, RELEASE, alerts_url


def shipped_receiver(access: Access) -> Receiver:
    """The receiver and the route of the chart's AlertmanagerConfig, with the Service's address in place of its name.

    Alertmanager is no pod here and knows no names of Services; nor does it mount Secrets.
    """
    made = access.helm(
        "template", RELEASE, CHART, "-n", NAMESPACE, "--show-only", "templates/alertmanagerconfig.yaml",
        "--set", "registry.uri=http://mlflow", "--set", "alerts.existingSecret=alert-tokens",
        "--set", "alerts.alertmanagerConfig.enabled=true",
    )  # fmt: skip
    spec = yaml.safe_load(made)["spec"]
    (receiver,) = spec["receivers"]
    (webhook,) = receiver["webhookConfigs"]
    url, account = webhook.pop("url"), webhook.pop("httpConfig")["authorization"]
    assert account == {"type": "Bearer", "credentials": {"name": "alert-tokens", "key": "token"}}, account
    base = f"http://{RELEASE}.{NAMESPACE}.svc:8080"
    assert url.startswith(f"{base}/alerts"), url
    route = {key: value for key, value in spec["route"].items() if key != "receiver"}
    route["matchers"] = [f'{m["name"]}{m["matchType"]}"{m["value"]}"' for m in route["matchers"]]
    return Receiver(
        url=url.replace(f"{base}/alerts", alerts_url(access)),
        token=ALERT_TOKEN,
        options=_snake(webhook),
        route=_snake(route),
    )


def _snake(fields: dict[str, Any]) -> dict[str, Any]:
    return {re.sub(r"(?=[A-Z])", "_", name).lower(): value for name, value in fields.items()}
