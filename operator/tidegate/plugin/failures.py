"""Why a command ends otherwise than well: the sentence for the person, and the exit code for the script.

Failure              anything else that went wrong (5)
├── Declined         there is nothing to do it to, or it would do nothing (1)
├── Usage            the command line is wrong (2)
├── Missing          no such object, or no CRD (3)
├── Denied           not logged in, or not allowed (4)
└── Lost             the API server can't be reached (5)
"""

import re
from typing import ClassVar


class Failure(Exception):  # noqa: N818 (what a command ends with, and as often the cluster's doing as an error)
    """A command can't be carried out."""

    code: ClassVar[int] = 5


class Declined(Failure):
    """There is nothing to do it to, or it would do nothing."""

    code = 1


class Usage(Failure):
    """The command line is wrong."""

    code = 2


class Missing(Failure):
    """There is no such object, or the cluster knows no ModelDeployments."""

    code = 3


class Denied(Failure):
    """The API server does not let this person do it."""

    code = 4


class Lost(Failure):
    """The API server can't be reached."""


_NO_KIND = "the cluster knows no ModelDeployments: Tidegate's CRD is not installed (charts/tidegate/crds)"
_ANEW = "the object was deleted and made anew meanwhile: look at it again"
_UNREACHABLE = (
    r"(?i)unable to connect|was refused|i/o timeout|no such host|TLS handshake|\bEOF\b|deadline exceeded|"
    r"currently unable to handle|ServiceUnavailable|\(Timeout\)|connection reset|connection lost|unreachable|"
    r"no route to host"
)
#: What kubectl says, what it means, and the sentence in place of its own. The first that matches counts.
_MEANINGS: tuple[tuple[str, type[Failure], str | None], ...] = (
    (r"doesn't have a resource type|no matches for kind", Missing, _NO_KIND),
    (r"error parsing |error converting |unable to decode|Object 'Kind' is missing|json: cannot", Declined, None),
    (r"^error: the path ", Usage, None),
    (r"\(NotFound\)", Missing, None),
    (r"\(Forbidden\)|\(Unauthorized\)|must be logged in", Denied, None),
    (r"\(Conflict\)|metadata\.uid: Invalid value", Declined, _ANEW),
    (_UNREACHABLE, Lost, None),
)
_PREFIX = re.compile(r"^(error: |Error from server )?(\((NotFound|Forbidden|Unauthorized)\): )?")


def from_kubectl(said: str) -> Failure:
    """What kubectl's words mean; they are kept where they say more than we could."""
    text = said.strip() or "kubectl failed without a word"
    kind, sentence = next(
        ((kind, sentence) for pattern, kind, sentence in _MEANINGS if re.search(pattern, text)), (Failure, None)
    )
    return kind(sentence or _PREFIX.sub("", text.splitlines()[-1]))
