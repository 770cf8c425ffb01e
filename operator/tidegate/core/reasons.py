"""The one vocabulary of reasons: conditions, events, logs, metrics and docs use these words and no others."""

from enum import StrEnum


class Reason(StrEnum):
    """Why things are as they are. Each value's meaning is in `MEANING`."""

    # going on
    UP_TO_DATE = "UpToDate"
    STARTING = "Starting"
    WAITING_FOR_PODS = "WaitingForPods"
    WAITING_FOR_ROUTE = "WaitingForRoute"
    HOLDING = "Holding"
    GATHERING_EVIDENCE = "GatheringEvidence"
    SUSPECTED = "Suspected"
    ADVANCING = "Advancing"
    PROMOTED = "Promoted"
    PAUSED = "Paused"
    RETIRING = "Retiring"
    DELETING = "Deleting"
    RETRY_PENDING = "RetryPending"
    # reverts that reject
    GUARD_BREACHED = "GuardBreached"
    CRASHED = "Crashed"
    UNREACHABLE = "Unreachable"
    ABORTED = "Aborted"
    # reverts that park
    WITHDRAWN = "Withdrawn"
    SUPERSEDED = "Superseded"
    ENDPOINTS_LOST = "EndpointsLost"
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CONFIGURATION_MISSING = "ConfigurationMissing"
    ARTIFACT_FAILED = "ArtifactFailed"
    EXITED = "Exited"
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    RETRIES_EXHAUSTED = "RetriesExhausted"
    # the registry
    RESOLVED = "Resolved"
    NOT_POLLED_YET = "NotPolledYet"
    REGISTRY_NOT_CONFIGURED = "RegistryNotConfigured"
    REGISTRY_UNREACHABLE = "RegistryUnreachable"
    REGISTRY_FAILING = "RegistryFailing"
    REGISTRY_UNAUTHORIZED = "RegistryUnauthorized"
    REGISTRY_FORBIDDEN = "RegistryForbidden"
    REGISTRY_HOST_REFUSED = "RegistryHostRefused"
    REGISTRY_NOT_MLFLOW = "RegistryNotMLflow"
    MODEL_NOT_FOUND = "ModelNotFound"
    ALIAS_NOT_FOUND = "AliasNotFound"
    STAGE_EMPTY = "StageEmpty"
    VERSION_NOT_FOUND = "VersionNotFound"
    VERSION_NOT_READY = "VersionNotReady"
    NOT_A_MODEL = "NotAModel"
    # the route
    ROUTE_CONFIRMED = "RouteConfirmed"
    ROUTE_NOT_CONFIRMED = "RouteNotConfirmed"
    ROUTE_NOT_ACCEPTED = "RouteNotAccepted"
    ROUTE_TAKEN = "RouteTaken"
    ROUTE_MISSING = "RouteMissing"
    # evidence
    EVIDENCE_READ = "EvidenceRead"
    EVIDENCE_NOT_NEEDED = "EvidenceNotNeeded"
    EVIDENCE_MISSING = "EvidenceMissing"
    # serving
    SERVING = "Serving"
    NO_ENDPOINTS = "NoEndpoints"
    NOTHING_SERVES = "NothingServes"
    # the spec and the cluster
    INVALID_SPEC = "InvalidSpec"
    APPLY_FAILED = "ApplyFailed"
