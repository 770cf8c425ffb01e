"""Nothing that a registry sends makes the adapter fall over, and no secret gets into a message."""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tidegate.adapters.mlflow_client import Client, Model
from tidegate.adapters.mlflow_failures import LONGEST_WORDS, Access, RegistryFault, access, cleaned, refused
from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable
from tidegate.ports import Login

SECRETS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=6, max_size=20).filter(
    lambda secret: "*" not in secret and "<" not in secret and ">" not in secret
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("name", "creation_timestamp", "latest_versions", "aliases", "tags", "version", "status", "alias")
MODELS = st.fixed_dictionaries({"registered_model": JSON | st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6)})


@given(st.text(max_size=400), SECRETS, st.text(max_size=400))
def test_a_secret_in_somebodys_words_is_struck_out(before: str, secret: str, after: str) -> None:
    said = cleaned(before + secret + after, [secret])
    assert secret not in said.replace("***", "\0")
    assert len(said) <= LONGEST_WORDS
    assert said.isprintable()


@given(st.integers(8100, 8300), st.integers(0, 60))
def test_a_secret_at_the_edge_of_what_is_read_leaves_no_beginning_of_it(before: int, after: int) -> None:
    secret = "Qj7-begins-and-ends-Zk9"
    said = cleaned("<" + "a" * before + ">" + secret + "b" * after, [secret])
    assert "Qj7" not in said


@given(st.text(max_size=60), st.text(max_size=10), st.text(max_size=10))
@example("http://ann:pa ss@h:99999/", "", "")
@example("http://[::1", "", "")
def test_any_uri_is_an_access_or_says_why_not(uri: str, username: str, token: str) -> None:
    read = access(Login(uri=uri, username=username or None, token=token or None))
    if isinstance(read, Unavailable):
        assert read.reason == Reason.REGISTRY_NOT_CONFIGURED
    else:
        assert read.url.startswith(("http://", "https://"))
        assert "@" not in read.host


@given(SECRETS, st.sampled_from(["http", "https"]), st.booleans())
@example("0/0000", "http", False)
def test_a_password_in_a_uri_stays_out_of_its_url(secret: str, scheme: str, broken: bool) -> None:
    read = access(Login(uri=f"{scheme}://ann:{secret}@mlflow.test{':x' if broken else ''}/p"))
    assert secret not in (read.message if isinstance(read, Unavailable) else read.url)


@given(st.integers(100, 599), st.text(max_size=50), SECRETS)
def test_every_status_has_a_reason(status: int, words: str, secret: str) -> None:
    where = Access(url="http://mlflow.test", username="ann", password=secret)
    fault = refused(where, status, "", words + secret)
    assert fault.unavailable.reason.startswith("Registry")
    assert secret not in fault.unavailable.message.replace("***", "\0")


class Scripted(http.server.ThreadingHTTPServer):
    """Answers every request with the same bytes."""

    status = 200
    body = b""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Scripted)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's)
        """Nothing to standard error."""


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    with Scripted(("127.0.0.1", 0), _Handler) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@given(
    st.sampled_from([200, 204, 400, 404, 500]),
    st.binary(max_size=60) | MODELS.map(lambda value: json.dumps(value).encode()),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_answer_is_a_model_or_a_fault(server: Scripted, status: int, body: bytes) -> None:
    server.status, server.body = status, b"" if status == 204 else body
    client = Client(Access(url=f"http://127.0.0.1:{server.server_address[1]}"), timeout=30, connect=30)
    read: Model | None = None
    with contextlib.suppress(RegistryFault):
        read = client.model("fraud")
    assert read is None or (read.name and read.created_ms)
