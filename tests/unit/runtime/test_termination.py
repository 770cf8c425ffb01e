"""The termination message: JSON within the kubelet's bounds, and nothing secret in it."""

import json
import logging
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate_runtime.digest import Digest
from tidegate_runtime.faults import ArtifactMissing
from tidegate_runtime.termination import presentable, write_failure, write_success

KUBELET_BOUND = 4096


def test_success_carries_digest_and_bytes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write_success(Digest(value="sha256:00", size=5), {"TIDEGATE_TERMINATION_LOG": str(log)})
    assert json.loads(log.read_text()) == {"digest": "sha256:00", "bytes": 5}


def test_failure_carries_the_reason_and_a_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write_failure(ArtifactMissing("no\nMLmodel"), {"TIDEGATE_TERMINATION_LOG": str(log)})
    assert json.loads(log.read_text()) == {"error": "ArtifactMissing", "message": "no MLmodel"}


@settings(deadline=None)
@given(message=st.text(alphabet=st.characters(), min_size=800, max_size=3000))
def test_the_message_fits_whatever_is_in_it(message: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    log = tmp_path_factory.mktemp("t") / "log"
    write_failure(ArtifactMissing(message), {"TIDEGATE_TERMINATION_LOG": str(log)})
    assert json.loads(log.read_bytes())["error"] == "ArtifactMissing"


def test_even_the_widest_characters_stay_within_the_kubelets_bound(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write_failure(ArtifactMissing("🌊" * 5000), {"TIDEGATE_TERMINATION_LOG": str(log)})
    assert len(log.read_bytes()) <= KUBELET_BOUND


def test_a_missing_termination_log_is_only_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        write_failure(ArtifactMissing("x"), {"TIDEGATE_TERMINATION_LOG": str(tmp_path / "no" / "log")})
    assert "termination message not written" in caplog.text


@pytest.mark.parametrize(
    ("message", "secret"),
    [
        ("GET https://bob:hunter22@mlflow/api failed", "hunter22"),
        ("GET https://bucket/x?X-Amz-Signature=deadbeef&y=1 failed", "deadbeef"),
        ("header Bearer tok3n-value refused", "tok3n-value"),
        ("login bob/s3same refused", "s3same"),
    ],
)
def test_no_credential_gets_through(message: str, secret: str) -> None:
    environ = {"MLFLOW_TRACKING_TOKEN": "tok3n-value", "MLFLOW_TRACKING_PASSWORD": "s3same"}
    shown = presentable(message, environ)
    assert secret not in shown
    assert "***" in shown


def test_an_ordinary_message_is_left_as_it_is() -> None:
    message = "GET http://mlflow.ml:5000/api failed: is it up?"
    assert presentable(message, {"MLFLOW_TRACKING_USERNAME": "mlflow"}) == message
