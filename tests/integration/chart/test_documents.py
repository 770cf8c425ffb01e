"""What people are told to type is what the API server takes."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.cluster.light import LightCluster
from tests.integration.chart.helm import CHART, RELEASE, Helm

ROOT = CHART.parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "docs" / "tutorial" / "first-rollout.md"]
INSTALL = ROOT / "docs" / "how-to" / "install.md"


def blocks(document: Path) -> list[str]:
    """The YAML blocks of a page."""
    return re.findall(r"^```yaml\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_shown_objects_are_accepted(cluster: LightCluster, document: Path) -> None:
    shown = blocks(document)
    assert shown
    for text in shown:
        name = yaml.safe_load(text)["metadata"]["namespace"]
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        cluster.kubectl("apply", "--server-side", "-f", "-", text=json.dumps(namespace))
        done = subprocess.run(
            [
                *(cluster.kubectl_program, f"--kubeconfig={cluster.kubeconfig}", "apply", "--server-side"),
                *("--dry-run=server", "--warnings-as-errors", "-f", "-"),
            ],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_shown_values_are_accepted(helm: Helm) -> None:
    shown = blocks(INSTALL)
    assert len(shown) > 1
    for text in shown:
        done = helm.run("template", RELEASE, str(CHART), values=yaml.safe_load(text))
        assert done.returncode == 0, done.stderr


def test_relative_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    links = [
        (page, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
        if "://" not in target
    ]
    assert len(links) > len(DOCUMENTS)
    assert [(page.name, target) for page, target in links if not (page.parent / target).exists()] == []
