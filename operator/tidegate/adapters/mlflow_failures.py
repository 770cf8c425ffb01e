"""What a registry can do wrong, told apart: reason, the registry's own words, the way out. Never a secret."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote, quote_plus, unquote, urlsplit

from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable
from tidegate.ports import Login

#: How much of somebody else's words goes into a message.
LONGEST_WORDS = 300
#: How much of them is looked at.
_LONGEST_READ = 8192

#: How MLflow says that its database failed (`sqlalchemy.exc.OperationalError`).
_DATABASE_DOWN = "TEMPORARILY_UNAVAILABLE"
_DEFAULT_PORTS = {"http": 80, "https": 443}


class RegistryFault(Exception):  # noqa: N818 (never leaves the adapter: it becomes an `Unavailable`)
    """A call of the registry that brought no value. `code` is MLflow's own error code where it named one."""

    def __init__(self, reason: Reason, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.unavailable = Unavailable(reason=reason, message=message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where the registry is and how one gets in.

    `url` has no credentials, no trailing slash and no default port: it is part of every version's identity. `ca` is PEM
    text. `declared`: by a `ModelRegistry`, so that messages name its fields and not the operator's environment.
    """

    url: str
    username: str | None = None
    password: str | None = None
    token: str | None = None
    ca: str | None = None
    workspace: str | None = None
    declared: bool = False

    @property
    def identity(self) -> str:
        """The registry in the identity of a version. No URL has a fragment, so none is taken for another."""
        return f"{self.url}#{self.workspace}" if self.workspace else self.url

    @property
    def uri_field(self) -> str:
        """Where people write the URL."""
        return "spec.url of the ModelRegistry" if self.declared else "MLFLOW_TRACKING_URI"

    @property
    def login_field(self) -> str:
        """Where people write the credentials."""
        if self.declared:
            return "the keys username and password, or token, of the Secret in spec.secretRef of the ModelRegistry"
        return "MLFLOW_TRACKING_USERNAME and _PASSWORD, or MLFLOW_TRACKING_TOKEN"

    def secrets(self) -> tuple[str, ...]:
        """Every form in which a secret could turn up in somebody's words, longest first."""
        found: set[str] = set()
        for secret in (self.password, self.token):
            if secret:
                found |= {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
        if self.username and self.password:
            found.add(base64.standard_b64encode(f"{self.username}:{self.password}".encode()).decode("ascii"))
        return tuple(sorted(found, key=len, reverse=True))

    def clean(self, words: str) -> str:
        """Somebody else's words on one line, bounded, without markup and without this access' secrets."""
        return cleaned(words, self.secrets())

    @property
    def host(self) -> str:
        """The host as it stands in the Host header."""
        return urlsplit(self.url).netloc


def cleaned(words: str, secrets: Iterable[str] = ()) -> str:
    """See `Access.clean`. Credentials inside any URL go as well."""
    secrets = [secret for secret in secrets if secret]
    cut = len(words) > _LONGEST_READ
    words = words[:_LONGEST_READ]
    for secret in secrets:
        words = words.replace(secret, "***")
    if cut:
        # The cut may have left the beginning of a secret at the end.
        words = words[: -max(map(len, secrets), default=0) or None]
    words = re.sub(r"(?<=://)[^/\s@]+@", "***@", words)
    if "<" in words:
        words = re.sub(r"(?is)<(script|style)\b.*?</\1>|<[^>]*>", " ", words)
    words = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    return words if len(words) <= LONGEST_WORDS else words[: LONGEST_WORDS - 1] + "…"


def access(login: Login) -> Access | Unavailable:
    """Read `MLFLOW_TRACKING_URI` and its companions. Credentials inside the URI count where no others are given."""
    uri = login.uri.strip()
    if not uri:
        return _unconfigured(login, "is not set")
    try:
        parts = urlsplit(uri)
        host, port, scheme = (parts.hostname or "").lower(), parts.port, parts.scheme.lower()
    except ValueError as error:
        return _unconfigured(login, f"can't be read: {cleaned(str(error), [uri])}")
    if scheme not in _DEFAULT_PORTS or not host:
        return _unconfigured(login, f"is of the kind {cleaned(scheme)!r}, not http or https")
    if parts.query or parts.fragment:
        return _unconfigured(login, "has a query or a fragment")
    if "@" in parts.path:
        # `http://ann:1/x@host` reads as host `ann`, port 1 and a path: what follows may be half of a password.
        return _unconfigured(login, "has an @ in its path (write a / in a password as %2F)")
    netloc = f"[{host}]" if ":" in host else host
    netloc += f":{port}" if port is not None and port != _DEFAULT_PORTS[scheme] else ""
    in_uri = (parts.username and unquote(parts.username), parts.password and unquote(parts.password))
    user, word = (login.username, login.password) if login.username or login.password else in_uri
    return Access(
        url=f"{scheme}://{netloc}{parts.path.rstrip('/')}",
        username=user or None,
        password=word or None,
        token=login.token or None,
        ca=login.ca,
        workspace=login.workspace,
        declared=login.declared,
    )


def _unconfigured(login: Login, fault: str) -> Unavailable:
    where = "spec.url of the ModelRegistry" if login.declared else "MLFLOW_TRACKING_URI of the operator"
    return Unavailable(
        reason=Reason.REGISTRY_NOT_CONFIGURED,
        message=f"{where} {fault}: set it to the base URL of an MLflow server, such as http://mlflow.mlflow.svc:5000",
    )


def unreachable(access: Access, words: str) -> RegistryFault:
    """The server could not be talked to."""
    return RegistryFault(
        Reason.REGISTRY_UNREACHABLE,
        f"registry {access.url} can't be reached: {access.clean(words)}; check that the server runs and that the "
        "operator's pod may connect to it",
    )


def not_mlflow(access: Access, words: str) -> RegistryFault:
    """Something answered, but not as an MLflow registry does."""
    return RegistryFault(
        Reason.REGISTRY_NOT_MLFLOW,
        f"registry {access.url} did not answer as MLflow does: {access.clean(words)}; check that {access.uri_field} "
        "is the base URL of an MLflow server and that no proxy answers in its place",
    )


def untrusted(access: Access, words: str) -> RegistryFault:
    """The server's certificate is not one to trust."""
    remedy = "mend spec.ca of the ModelRegistry, or the certificate" if access.declared else "mend the certificate"
    return RegistryFault(
        Reason.REGISTRY_NOT_TRUSTED, f"registry {access.url} is not trusted: {access.clean(words)}; {remedy}"
    )


def no_workspace(access: Access, words: str) -> RegistryFault:
    """The workspace that is asked for is not there, or there are none at all."""
    return RegistryFault(
        Reason.WORKSPACE_NOT_FOUND,
        f"registry {access.url} has no workspace {access.workspace!r}: {access.clean(words)}; correct "
        "spec.workspace of the ModelRegistry, or make the workspace in MLflow",
    )


def refused(access: Access, status: int, code: str, words: str) -> RegistryFault:
    """An answer other than 200 whose meaning does not depend on what was asked."""
    said = access.clean(words) or "no words"
    if status == HTTPStatus.UNAUTHORIZED:
        return RegistryFault(Reason.REGISTRY_UNAUTHORIZED, f"{_unauthorized(access)}: {said}", code=code)
    if status == HTTPStatus.FORBIDDEN and "invalid host header" in words.lower():
        return RegistryFault(
            Reason.REGISTRY_HOST_REFUSED,
            f"registry {access.url} refuses the host name it was called by: {said}; start MLflow with "
            f"--allowed-hosts including {access.host}",
            code=code,
        )
    if status == HTTPStatus.FORBIDDEN:
        who = f"user {access.username!r}" if access.username else "the operator"
        return RegistryFault(
            Reason.REGISTRY_FORBIDDEN,
            f"registry {access.url} forbids {who} to read this model: {said}; grant READ on it",
            code=code,
        )
    if status == HTTPStatus.SERVICE_UNAVAILABLE and code == _DATABASE_DOWN:
        return RegistryFault(
            Reason.REGISTRY_DATABASE_DOWN,
            f"registry {access.url} answers that its database does not: {said}; look at the database of the MLflow "
            "server",
            code=code,
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.REQUEST_TIMEOUT,
    }:
        return RegistryFault(
            Reason.REGISTRY_FAILING,
            f"registry {access.url} answers {status}: {said}; look at the server's log and its database",
            code=code,
        )
    return not_mlflow(access, f"{status}: {said}")


def _unauthorized(access: Access) -> str:
    if access.username or access.token:
        given = f"the user {access.username!r} and the password" if access.username else "the token"
        return f"registry {access.url} does not accept {given} that the operator was given"
    return f"registry {access.url} asks for credentials and the operator has none: set {access.login_field}"
