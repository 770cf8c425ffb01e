"""The official MLflow client, held to bounds: one attempt, a deadline, a bounded answer, no redirect.

Importing this module imports mlflow (about 40 MB and more than a second): `adapters.mlflow` does so at the first
call, in a thread. The client's own request function is used, but not its way of handling an answer: that one retries
500s until their words are lost and follows redirects with the credentials.
"""

import hashlib
import json
import os
import re
import ssl
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import urllib3
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.rest_store import RestStore
from mlflow.utils.proto_json_utils import parse_dict
from mlflow.utils.rest_utils import MlflowHostCreds, http_request
from mlflow.utils.workspace_utils import WORKSPACE_HEADER_NAME
from urllib3.exceptions import NewConnectionError

from tidegate.adapters.mlflow_failures import (
    Access,
    RegistryFault,
    no_workspace,
    not_mlflow,
    refused,
    unreachable,
    untrusted,
)
from tidegate.core.reasons import Reason

#: The largest page that MLflow hands out.
PAGE = 1000
#: Bytes of an answer that are read at most; a page of 1,000 models has about 2 MB.
LARGEST_ANSWER = 32 * 1024 * 1024
_OK = 200
_NOT_FOUND = "RESOURCE_DOES_NOT_EXIST"
_INVALID = "INVALID_PARAMETER_VALUE"
#: What MLflow makes of an error of its database, such as a broken constraint.
_BAD_REQUEST = "BAD_REQUEST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A model version as the registry tells of it. `status` is MLflow's word, with its message where there is one."""

    number: str
    stage: str
    ready: bool
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A registered model. `latest`: the latest version in each stage. `aliases`: version number by alias."""

    name: str
    created_ms: int
    latest: tuple[Version, ...]
    aliases: Mapping[str, str]
    prompt: bool


class Client:
    """Reads of one registry. Every method blocks up to `timeout` seconds and raises `RegistryFault`, nothing else."""

    def __init__(self, access: Access, *, timeout: float, connect: float) -> None:
        self._access = access
        self._store = _BoundedStore(access, timeout=timeout, connect=connect)

    def model(self, name: str) -> Model:
        """`registered-models/get`."""
        try:
            found = self._store.get_registered_model(name)
        except RegistryFault as fault:
            if fault.code in {_NOT_FOUND, _INVALID}:
                raise RegistryFault(
                    Reason.MODEL_NOT_FOUND,
                    f"registry {self._access.url} has no model {name!r} ({fault}); register it, or correct "
                    "spec.model.name",
                ) from fault
            raise
        return self._model(found)

    def check(self) -> None:
        """The smallest search there is: it fails as everything fails that is asked of this server."""
        self._store.search_registered_models(max_results=1)

    def version(self, model: str, number: str) -> Version:
        """`model-versions/get`. A soft-deleted version is not found."""
        return self._version(self._found(model, number))

    def _found(self, model: str, number: str) -> Any:
        try:
            return self._store.get_model_version(model, number)
        except RegistryFault as fault:
            if fault.code in {_NOT_FOUND, _INVALID}:
                raise RegistryFault(
                    Reason.VERSION_NOT_FOUND,
                    f"model {model!r} has no version {number} ({fault}); it may have been deleted",
                ) from fault
            raise

    def search(self, wanted: str | None, page: str | None) -> tuple[dict[str, Model], str | None]:
        """`registered-models/search`: a page of models by name (prompts left out) and the next page's token."""
        found = self._store.search_registered_models(filter_string=wanted, max_results=PAGE, page_token=page)
        return {m.name: m for m in map(self._model, found)}, found.token or None

    def _model(self, entity: Any) -> Model:
        if not isinstance(entity, RegisteredModel) or not entity.name or not entity.creation_timestamp:
            raise not_mlflow(self._access, "JSON without a registered model in it")
        return Model(
            name=entity.name,
            created_ms=int(entity.creation_timestamp),
            latest=tuple(self._version(v) for v in entity.latest_versions or ()),
            aliases=dict(entity.aliases),
            prompt=bool(entity._is_prompt()),  # noqa: SLF001 (the public `tags` hides the tag that says so)
        )

    def _version(self, entity: Any) -> Version:
        if not isinstance(entity, ModelVersion) or not entity.version:
            raise not_mlflow(self._access, "JSON without a model version in it")
        number = str(entity.version)
        if not (number.isascii() and number.isdecimal()):
            raise not_mlflow(self._access, f"a model version with the number {number[:20]!r}")
        words = f"{entity.status}: {entity.status_message}" if entity.status_message else entity.status
        return Version(
            number=number,
            stage=entity.current_stage or "None",
            ready=entity.status == "READY",
            status=self._access.clean(words or "no status"),
        )


class _BoundedStore(RestStore):  # type: ignore[misc]  # mlflow ships no types, so its classes are Any
    """`RestStore` whose requests end: in time, in size, at the first answer."""

    def __init__(self, access: Access, *, timeout: float, connect: float) -> None:
        credentials = MlflowHostCreds(
            access.url,
            username=access.username,
            password=access.password,
            token=access.token,
            server_cert_path=_certificates(access.ca) if access.ca else None,
        )
        super().__init__(lambda: credentials)
        self._headers = {WORKSPACE_HEADER_NAME: access.workspace} if access.workspace else None
        self._access = access
        self._timeout = timeout
        self._connect = connect

    def _call_endpoint(
        self, api: Any, json_body: str, call_all_endpoints: bool = False, extra_headers: Any = None
    ) -> Any:
        del call_all_endpoints, extra_headers  # only calls that this module does not make use them
        self._validate_workspace_support_if_specified()
        endpoint, method = self._get_endpoint_from_method(api)
        answer = self._get_response_from_method(api)
        status, text = self._request(endpoint, method, json.loads(json_body))
        body = _json_object(text)
        if status != _OK:
            raise self._refused(status, text, body or {})
        if body is None:
            raise not_mlflow(self._access, f"not a whole JSON object: {text}")
        try:
            parse_dict(js_dict=body, message=answer)
        except Exception as error:  # protobuf and mlflow's converter raise a dozen kinds for JSON of another shape
            raise not_mlflow(self._access, f"JSON of another shape: {error}") from error
        return answer

    def text(self, endpoint: str, query: Mapping[str, Any]) -> str:
        """The text of an answer that `RestStore` has no method for; bounded as all are."""
        status, text = self._request(endpoint, "GET", query)
        if status != _OK:
            raise self._refused(status, text, _json_object(text) or {})
        return text

    def _refused(self, status: int, text: str, body: Mapping[str, Any]) -> RegistryFault:
        code, words = str(body.get("error_code", "")), str(body.get("message", text))
        if self._access.workspace and (code == "FEATURE_DISABLED" or words.startswith("Workspace ")):
            return no_workspace(self._access, words)
        if code in {_NOT_FOUND, _INVALID, _BAD_REQUEST} and status < 500:  # noqa: PLR2004 (the class of server errors)
            return RegistryFault(Reason.REGISTRY_FAILING, self._access.clean(words), code=code)
        return refused(self._access, status, code, words)

    def _request(self, endpoint: str, method: str, query: Mapping[str, Any]) -> tuple[int, str]:
        deadline = time.monotonic() + self._timeout
        try:
            return self._attempt(endpoint, method, query, deadline)
        except requests.ConnectionError as error:
            # A connection kept alive that the server has just closed fails at once; a second one tells.
            if isinstance(error, requests.Timeout) or deadline - time.monotonic() < self._timeout / 2:
                raise self._fault(error) from error
        except requests.RequestException as error:
            raise self._fault(error) from error
        try:
            return self._attempt(endpoint, method, query, deadline)
        except requests.RequestException as error:
            raise self._fault(error) from error

    def _attempt(self, endpoint: str, method: str, query: Mapping[str, Any], deadline: float) -> tuple[int, str]:
        left = max(0.1, deadline - time.monotonic())
        try:
            response = http_request(
                self.get_host_creds(),
                endpoint,
                method,
                **({"params": query} if method == "GET" else {"json": query}),
                extra_headers=self._headers,
                max_retries=0,
                retry_codes=frozenset(),
                raise_on_status=False,
                allow_redirects=False,
                timeout=(min(self._connect, left), left),
                stream=True,
            )
        except MlflowException as error:
            cause = error.__cause__ or error.__context__
            raise cause if isinstance(cause, requests.RequestException) else self._fault(error) from error
        with response:
            if response.is_redirect:
                target = str(response.headers.get("location", "")).partition("?")[0]
                raise not_mlflow(self._access, f"{response.status_code}: a redirect to {target}")
            return response.status_code, _text(response.iter_content(65536), deadline)

    def _fault(self, error: Exception) -> RegistryFault:
        root = _root(error)
        # urllib3 derives a refused connection from a timed out one.
        late = isinstance(root, urllib3.exceptions.TimeoutError) and not isinstance(root, NewConnectionError)
        if late or isinstance(error, requests.Timeout):
            return unreachable(self._access, f"no answer within {self._timeout:g} s")
        if isinstance(error, requests.exceptions.SSLError):
            wrong = untrusted if isinstance(root, ssl.SSLCertVerificationError) else unreachable
            return wrong(self._access, f"TLS: {_words(root)}")
        if isinstance(error, requests.exceptions.InvalidHeader):
            # Its words hold the header's value, which is the secret itself.
            return RegistryFault(
                Reason.REGISTRY_NOT_CONFIGURED,
                "the registry's credentials hold characters that can't be sent in a header (a line break?): correct "
                f"{self._access.login_field}",
            )
        if isinstance(error, requests.exceptions.ContentDecodingError):
            return not_mlflow(self._access, "a body in another encoding than its header says")
        return unreachable(self._access, _words(root))


def _certificates(pem: str) -> str:
    """A file with these certificates, as requests wants it; named by its content, so that there is one for all."""
    file = Path(tempfile.gettempdir()) / f"tidegate-ca-{hashlib.sha256(pem.encode()).hexdigest()[:16]}.pem"
    fresh = file.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
    fresh.write_text(pem, encoding="utf-8")
    fresh.replace(file)
    return str(file)


def _text(chunks: Iterable[bytes], deadline: float) -> str:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise requests.ConnectionError(f"more than {LARGEST_ANSWER >> 20} MB in one answer")
        if time.monotonic() > deadline:
            raise requests.Timeout("the answer dripped in")
    return body.decode("utf-8", "replace")


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _root(error: BaseException) -> BaseException:
    """The innermost of a chain of wrapped errors."""
    for _ in range(8):
        reason = getattr(error, "reason", None)
        wrapped = [inner for inner in (reason, *error.args) if isinstance(inner, BaseException)]
        if not wrapped:
            break
        error = wrapped[0]
    return error


def _words(error: BaseException) -> str:
    """What an error says, without the connection's own name: that is a server known already."""
    return re.sub(r"^HTTPS?Connection(Pool)?\(.*?\): ", "", str(error)) or type(error).__name__
