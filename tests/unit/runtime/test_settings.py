"""Settings: what is wrong is refused with the variable's name and the remedy."""

from pathlib import Path

import pytest

from tidegate_runtime.faults import ConfigurationInvalid
from tidegate_runtime.settings import DownloadSettings, ServeSettings

DOWNLOAD = {
    "MLFLOW_TRACKING_URI": "http://mlflow.ml:5000",
    "TIDEGATE_MODEL_NAME": "fraud detector, größe",
    "TIDEGATE_MODEL_VERSION": "7",
}
SERVE = {"TIDEGATE_REVISION": "fraud-v7-5c9d8f2k", "TIDEGATE_MODEL_VERSION": "7"}


def test_download_needs_three_variables_and_defaults_the_rest() -> None:
    settings = DownloadSettings.from_environment(DOWNLOAD)
    assert settings == DownloadSettings(
        model_name="fraud detector, größe",
        model_version="7",
        model_dir=Path("/models/model"),
        expected_digest=None,
    )


def test_serve_needs_two_variables_and_defaults_the_rest() -> None:
    settings = ServeSettings.from_environment(SERVE)
    assert settings == ServeSettings(
        model_dir=Path("/models/model"),
        revision="fraud-v7-5c9d8f2k",
        model_version="7",
        port=8080,
        drain_seconds=30,
        threads=4,
        max_body_bytes=64 * 1024 * 1024,
    )


def test_every_variable_is_taken_where_it_is_set() -> None:
    digest = f"sha256:{'0a' * 32}"
    download = DownloadSettings.from_environment(
        DOWNLOAD | {"TIDEGATE_MODEL_DIR": "/m/x", "TIDEGATE_MODEL_DIGEST": digest}
    )
    serve = ServeSettings.from_environment(
        SERVE
        | {
            "TIDEGATE_MODEL_DIR": "/m/x",
            "TIDEGATE_PORT": "9",
            "TIDEGATE_DRAIN_SECONDS": "5",
            "TIDEGATE_THREADS": "2",
            "TIDEGATE_MAX_BODY_BYTES": "10",
        }
    )
    assert (download.model_dir, download.expected_digest) == (Path("/m/x"), digest)
    assert (serve.model_dir, serve.port, serve.drain_seconds) == (Path("/m/x"), 9, 5)
    assert (serve.threads, serve.max_body_bytes) == (2, 10)


@pytest.mark.parametrize("variable", sorted(DOWNLOAD))
def test_download_names_the_variable_that_is_missing(variable: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=f"{variable} is not set"):
        DownloadSettings.from_environment(DOWNLOAD | {variable: " "})


@pytest.mark.parametrize("version", ["champion", "Production", "@champion", "latest", "0", "07", "7.0", "-7", "\u0667"])
def test_only_a_version_number_is_taken_for_a_version(version: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"TIDEGATE_MODEL_VERSION .* not an alias or a stage"):
        DownloadSettings.from_environment(DOWNLOAD | {"TIDEGATE_MODEL_VERSION": version})


@pytest.mark.parametrize("digest", ["abc", f"md5:{'0' * 64}", f"sha256:{'0' * 63}", f"sha256:{'A' * 64}"])
def test_a_digest_of_another_form_is_refused(digest: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="TIDEGATE_MODEL_DIGEST"):
        DownloadSettings.from_environment(DOWNLOAD | {"TIDEGATE_MODEL_DIGEST": digest})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TIDEGATE_PORT", "65536"),
        ("TIDEGATE_PORT", "http"),
        ("TIDEGATE_PORT", "-1"),
        ("TIDEGATE_DRAIN_SECONDS", "0"),
        ("TIDEGATE_DRAIN_SECONDS", "30s"),
        ("TIDEGATE_THREADS", "0"),
        ("TIDEGATE_MAX_BODY_BYTES", "64Mi"),
    ],
)
def test_a_number_out_of_its_bounds_is_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=f"{variable} is '{value}': it must be a whole number"):
        ServeSettings.from_environment(SERVE | {variable: value})


@pytest.mark.parametrize("revision", ["fraud\r\nset-cookie: x", "größe"])
def test_a_revision_that_can_not_be_a_header_is_refused(revision: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="TIDEGATE_REVISION"):
        ServeSettings.from_environment(SERVE | {"TIDEGATE_REVISION": revision})
