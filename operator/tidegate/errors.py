"""The tree of errors. Each is raised once, at the adapter, `from` its cause; its class says whether to try again.

TidegateError
├── InvalidSpec          the user's words can't be carried out; `findings` name fields and remedies. Not retried
├── UnreadableRecord     a record of another format or written by somebody else. Nothing may be concluded from it: hold
├── NotLeading           only the leader may write that, and this replica is not. Left to the leader
├── AuditFailed          the audit trail can't be written. What was done stands; it is told again
└── ClusterError         the Kubernetes API did not do what it was asked
    ├── Refused          it never will as asked (403, 422, admission). Retried slowly
    │   └── NotServed    it has no such kind: a CRD is missing
    ├── Unreachable      it could not (5xx, 429, timeouts, connection). Retried soon
    └── Conflict         the object is another than was read. Decided anew at once

"""


class TidegateError(Exception):
    """Everything that Tidegate raises by itself."""


class InvalidSpec(TidegateError):  # noqa: N818 (named for the condition's reason)
    """A spec that can't be carried out. `findings`: (field path, what is wrong and the way out) pairs."""

    def __init__(self, findings: tuple[tuple[str, str], ...]) -> None:
        super().__init__("; ".join(f"{path}: {message}" for path, message in findings))
        self.findings = findings


class UnreadableRecord(TidegateError):  # noqa: N818
    """A record of another format, or not written by Tidegate. Nothing may be concluded from it."""


class NotLeading(TidegateError):  # noqa: N818
    """Only the leader may write that, and this replica does not lead (any more)."""


class AuditFailed(TidegateError):  # noqa: N818
    """The audit trail did not take an event: a full disk, a missing directory."""


class ClusterError(TidegateError):
    """The Kubernetes API did not do what it was asked."""


class Refused(ClusterError):  # noqa: N818
    """It never will as asked: forbidden, invalid, refused by admission."""


class NotServed(Refused):
    """The API server has no such kind: its CRD was never there, or is gone."""


class Unreachable(ClusterError):  # noqa: N818
    """It could not: down, overloaded, too slow."""


class Conflict(ClusterError):  # noqa: N818
    """The object is not the one that was read: another uid or resourceVersion."""
