"""What a registry can do wrong, told apart: reason, the registry's own words, the way out. Never a secret."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote, quote_plus, unquote, urlsplit

from tidegate.core.reasons import Reason
from tidegate.core.values import Unavailable

#: How much of somebody else's words goes into a message.
LONGEST_WORDS = 300
#: How much of them is looked at.
_LONGEST_READ = 8192

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

    `url` has no credentials, no trailing slash and no default port: it is part of every version's identity.
    """

    url: str
    username: str | None = None
    password: str | None = None
    token: str | None = None

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


def access(uri: str, username: str | None, password: str | None, token: str | None) -> Access | Unavailable:
    """Read `MLFLOW_TRACKING_URI` and its companions. Credentials inside the URI count where no others are given."""
    uri = uri.strip()
    if not uri:
        return _unconfigured("is not set")
    try:
        parts = urlsplit(uri)
        host, port, scheme = (parts.hostname or "").lower(), parts.port, parts.scheme.lower()
    except ValueError as error:
        return _unconfigured(f"can't be read: {cleaned(str(error), [uri])}")
    if scheme not in _DEFAULT_PORTS or not host:
        return _unconfigured(f"is of the kind {cleaned(scheme)!r}, not http or https")
    if parts.query or parts.fragment:
        return _unconfigured("has a query or a fragment")
    if "@" in parts.path:
        # `http://ann:1/x@host` reads as host `ann`, port 1 and a path: what follows may be half of a password.
        return _unconfigured("has an @ in its path (write a / in a password as %2F)")
    netloc = f"[{host}]" if ":" in host else host
    netloc += f":{port}" if port is not None and port != _DEFAULT_PORTS[scheme] else ""
    in_uri = (parts.username and unquote(parts.username), parts.password and unquote(parts.password))
    user, word = (username, password) if username or password else in_uri
    return Access(
        url=f"{scheme}://{netloc}{parts.path.rstrip('/')}",
        username=user or None,
        password=word or None,
        token=token or None,
    )


def _unconfigured(fault: str) -> Unavailable:
    return Unavailable(
        reason=Reason.REGISTRY_NOT_CONFIGURED,
        message=f"MLFLOW_TRACKING_URI of the operator {fault}: set it to the base URL of an MLflow server, "
        "such as http://mlflow.mlflow.svc:5000",
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
        f"registry {access.url} did not answer as MLflow does: {access.clean(words)}; check that "
        "MLFLOW_TRACKING_URI is the base URL of an MLflow server and that no proxy answers in its place",
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
    return (
        f"registry {access.url} asks for credentials and the operator has none: set MLFLOW_TRACKING_USERNAME and "
        "_PASSWORD, or MLFLOW_TRACKING_TOKEN"
    )
