"""The one vocabulary of reasons: conditions, events, logs, metrics and docs use these words and no others."""

from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    """Why things are as they are. Each value's meaning is in `MEANING`."""

    # going on
    UP_TO_DATE = "UpToDate"
    STARTING = "Starting"
    WAITING_FOR_GATES = "WaitingForGates"
    WAITING_FOR_PODS = "WaitingForPods"
    WAITING_FOR_ROUTE = "WaitingForRoute"
    HOLDING = "Holding"
    GATHERING_EVIDENCE = "GatheringEvidence"
    SUSPECTED = "Suspected"
    ADVANCING = "Advancing"
    PROMOTED = "Promoted"
    HELD_BY_ALERT = "HeldByAlert"
    WAITING_FOR_APPROVAL = "WaitingForApproval"
    APPROVED = "Approved"
    GOVERNANCE_OFF = "GovernanceOff"
    # promotions
    PATH_NOT_ALLOWED = "PathNotAllowed"
    PROMOTION_WAITS = "PromotionWaits"
    MOVED = "Moved"
    MOVED_ELSEWHERE = "MovedElsewhere"
    POLICY_UNREADABLE = "PolicyUnreadable"
    PAUSED = "Paused"
    DELETING = "Deleting"
    RETRY_PENDING = "RetryPending"
    POINTER_PENDING = "PointerPending"
    POINTER_MOVED = "PointerMoved"
    POINTER_KEPT = "PointerKept"
    NO_CANDIDATE = "NoCandidate"
    RECALLED = "Recalled"
    # reverts that reject
    ALERT_FIRING = "AlertFiring"
    GUARD_BREACHED = "GuardBreached"
    PREDICTIONS_DRIFTED = "PredictionsDrifted"
    CRASHED = "Crashed"
    UNREACHABLE = "Unreachable"
    GATE_FAILED = "GateFailed"
    ABORTED = "Aborted"
    APPROVAL_REFUSED = "ApprovalRefused"
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
    REGISTRY_NOT_FOUND = "RegistryNotFound"
    REGISTRY_CREDENTIALS_MISSING = "RegistryCredentialsMissing"
    REGISTRY_ANSWERS = "RegistryAnswers"
    REGISTRY_UNREACHABLE = "RegistryUnreachable"
    REGISTRY_FAILING = "RegistryFailing"
    REGISTRY_DATABASE_DOWN = "RegistryDatabaseDown"
    REGISTRY_UNAUTHORIZED = "RegistryUnauthorized"
    REGISTRY_FORBIDDEN = "RegistryForbidden"
    REGISTRY_HOST_REFUSED = "RegistryHostRefused"
    REGISTRY_REFUSED = "RegistryRefused"
    REGISTRY_NOT_TRUSTED = "RegistryNotTrusted"
    REGISTRY_NOT_MLFLOW = "RegistryNotMLflow"
    WORKSPACE_NOT_FOUND = "WorkspaceNotFound"
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
    ROUTE_DIVERTED = "RouteDiverted"
    # evidence
    EVIDENCE_READ = "EvidenceRead"
    EVIDENCE_NOT_NEEDED = "EvidenceNotNeeded"
    EVIDENCE_MISSING = "EvidenceMissing"
    PROMETHEUS_NOT_CONFIGURED = "PrometheusNotConfigured"
    PROMETHEUS_UNREACHABLE = "PrometheusUnreachable"
    PROMETHEUS_UNAUTHORIZED = "PrometheusUnauthorized"
    PROMETHEUS_FAILING = "PrometheusFailing"
    QUERY_REFUSED = "QueryRefused"
    # alerts
    ALERT_NOTED = "AlertNoted"
    ALERT_RESOLVED = "AlertResolved"
    # retention
    UNNEEDED = "Unneeded"
    # serving
    SERVING = "Serving"
    NO_ENDPOINTS = "NoEndpoints"
    NOTHING_SERVES = "NothingServes"
    # the spec and the cluster
    INVALID_SPEC = "InvalidSpec"
    APPLY_FAILED = "ApplyFailed"
    RECORD_UNREADABLE = "RecordUnreadable"


#: What each reason means, and what to do where something can be done.
MEANING: Mapping[Reason, str] = {
    Reason.UP_TO_DATE: "What is asked for is what serves.",
    Reason.STARTING: "A revision is being started; nothing reaches it yet.",
    Reason.WAITING_FOR_GATES: "A gate of `spec.gates` waits for something that may still come, such as a tag; "
    "`status.gates` has what each of them found. Nothing reaches the version before, and nothing is lost by waiting.",
    Reason.WAITING_FOR_PODS: "The pods that the next weight needs are not ready yet.",
    Reason.WAITING_FOR_ROUTE: "The gateway has not confirmed the weights yet, so the clock of the step stands.",
    Reason.HOLDING: "The present weight is held for as long as the step says.",
    Reason.GATHERING_EVIDENCE: "The hold is over, but the guards have not seen enough requests at this weight to speak "
    "in favour, or there is no fresh evidence. Silence neither promotes nor reverts.",
    Reason.SUSPECTED: "A guard suspects a breach: enough not to raise the weight, not enough to revert.",
    Reason.ADVANCING: "The weight is raised to that of the next step.",
    Reason.PROMOTED: "The rollout is finished: the new version serves all requests and is stable now.",
    Reason.HELD_BY_ALERT: "An alert that is not about the present canary alone fires: it began before the canary's "
    "first weight, or while nothing could be lowered. Nothing is raised until it is resolved. Not held is what goes "
    "back to a proven version, and what a person promotes. Where nobody will ever say that it is resolved, name its "
    "`status.alerts[].id` in the annotation `tidegate.dev/dismiss`.",
    Reason.WAITING_FOR_APPROVAL: "The next weight asks for approval: run `kubectl tidegate approve`, or "
    "create a `ModelApproval`. `spec.rollout.deadline` stands still meanwhile; guards go on and reverts too.",
    Reason.APPROVED: "Somebody approved a step; `status.rollout.approvals` says who.",
    Reason.GOVERNANCE_OFF: "A step asks for approval, and nothing in this cluster vouches for who approves. Set "
    "`governance.enabled` of the chart, or leave `approval` out.",
    Reason.PATH_NOT_ALLOWED: "No PromotionPolicy of the namespace (or not every one) lets a version go this way.",
    Reason.PROMOTION_WAITS: "Another promotion of the same model is being carried out; this one comes after it.",
    Reason.MOVED: "The version is in the stage that was asked for.",
    Reason.MOVED_ELSEWHERE: "The version was no longer in the stage that the promotion began at. Ask again.",
    Reason.POLICY_UNREADABLE: "A PromotionPolicy of the namespace can't be read by today's rules. Mend it.",
    Reason.PAUSED: "Paused by `spec.paused` or the annotation `tidegate.dev/pause`: weight and clocks "
    "stand, reverts go on.",
    Reason.DELETING: "The object is being deleted.",
    Reason.RETRY_PENDING: "A parked revision is tried again at `status.parked[].retryAt`, if it is still wanted.",
    Reason.POINTER_PENDING: "The rollout is finished and the registry's first pointer is still to be moved. The new "
    "version serves; nothing of the candidate pointer is begun before that is done. The message says what keeps the "
    "registry from it.",
    Reason.POINTER_MOVED: "The registry's pointers are as the end of the rollout wants them.",
    Reason.POINTER_KEPT: "The registry's pointers are as a person set them, or as they were when the spec began to "
    "name others, and not as the end of the rollout would have had them: what they name is asked for.",
    Reason.NO_CANDIDATE: "The candidate pointer names no version, or the one that serves.",
    Reason.RECALLED: "Nothing is known of the object here (a new cluster, or it was made anew), and the registry's "
    "tags say what was stable and what was rejected: the first is deployed first, the others are not tried again by "
    "themselves.",
    Reason.ALERT_FIRING: "An alert of the object began while the canary had traffic. Rejected: not tried again by "
    "itself. Mend the model and register a new version, or set the annotation `tidegate.dev/retry`.",
    Reason.GUARD_BREACHED: "A guard's limit was exceeded. Rejected: not tried again by itself. Mend the model and "
    "register a new version, or set the annotation `tidegate.dev/retry`.",
    Reason.PREDICTIONS_DRIFTED: "At the end of a hold the canary's predictions were not distributed as stable's "
    "(`spec.guards.drift`). Held until somebody promotes or aborts it; with `onDrift: Revert` everything goes back and "
    "the version is rejected.",
    Reason.CRASHED: "A container of the canary exited or restarted while it had traffic. Rejected.",
    Reason.UNREACHABLE: "The canary was given traffic but counted no requests, or none of its pods could be read while "
    "stable's could. Parked, as a router that starts anew may send it none; rejected if it ends so for the third time.",
    Reason.GATE_FAILED: "A gate of `spec.gates` refused the version before it got a request; `status.gates` has what "
    "each of them found. Rejected: not tried again by itself. Mend what it names and register a new version, or set "
    "the annotation `tidegate.dev/retry`.",
    Reason.ABORTED: "A person ended the attempt by the annotation `tidegate.dev/abort`. Rejected.",
    Reason.APPROVAL_REFUSED: "Somebody refused a step, or took an approval back. Nothing is raised until a later "
    "approval of the same step. With `spec.rollout.onRevoke: Revert` everything goes back and the version is rejected.",
    Reason.WITHDRAWN: "Neither the registry nor the spec asks for this version any more. Parked.",
    Reason.SUPERSEDED: "Another version is asked for. Parked; the other one starts at the first step.",
    Reason.ENDPOINTS_LOST: "The canary lost its last ready endpoint without any container exiting. Parked.",
    Reason.UNSCHEDULABLE: "The scheduler finds no node for a pod. Parked. Free resources, or lower "
    "`spec.serving.resources`.",
    Reason.IMAGE_PULL_FAILED: "An image can't be pulled. Parked. Mend its name, the registry or the pull secret.",
    Reason.CONFIGURATION_MISSING: "A Secret or ConfigMap that a pod refers to does not exist, or lacks a key. Parked. "
    "Create it in the object's namespace.",
    Reason.ARTIFACT_FAILED: "The model's files can't be downloaded, are incomplete, or are not those that the first "
    "pod of the revision had. Parked.",
    Reason.EXITED: "The model's container exited before it got any traffic. Parked.",
    Reason.PROGRESS_DEADLINE_EXCEEDED: "The pods were not ready within `spec.rollout.progressDeadline`. Parked.",
    Reason.DEADLINE_EXCEEDED: "The rollout did not finish within `spec.rollout.deadline`. Parked.",
    Reason.RETRIES_EXHAUSTED: "A parked revision has failed too often and is not tried again by itself. Mend the cause "
    "and set the annotation `tidegate.dev/retry`.",
    Reason.RESOLVED: "The registry names the version.",
    Reason.NOT_POLLED_YET: "The registry has not been read since the operator started.",
    Reason.REGISTRY_NOT_CONFIGURED: "The operator knows no registry. Set MLFLOW_TRACKING_URI in its environment (a "
    "value of the chart).",
    Reason.REGISTRY_NOT_FOUND: "There is no ModelRegistry of this name in the namespace, or its spec can't be carried "
    "out. Create or mend it, or mend `spec.model.registry.name`. What serves goes on serving.",
    Reason.REGISTRY_CREDENTIALS_MISSING: "A Secret or ConfigMap that the ModelRegistry names does not exist, lacks its "
    "keys, or may not be read by the operator. The message has what to do.",
    Reason.REGISTRY_ANSWERS: "The registry answers as it should.",
    Reason.REGISTRY_UNREACHABLE: "The registry does not answer. What serves goes on serving; nothing is raised.",
    Reason.REGISTRY_FAILING: "The registry answers with server errors. What serves goes on serving; nothing is raised.",
    Reason.REGISTRY_DATABASE_DOWN: "The MLflow server answers that its database does not. What serves goes on serving; "
    "nothing is raised.",
    Reason.REGISTRY_UNAUTHORIZED: "The registry does not accept the operator's credentials (401). Mend "
    "MLFLOW_TRACKING_USERNAME and _PASSWORD, or _TOKEN, or the Secret of the ModelRegistry.",
    Reason.REGISTRY_FORBIDDEN: "The operator's account may not read this model (403). Grant it READ.",
    Reason.REGISTRY_HOST_REFUSED: "The MLflow server refuses the host name in the URI. Start it with `--allowed-hosts` "
    "naming it.",
    Reason.REGISTRY_REFUSED: "The registry does not take a change as it is; the message has its words.",
    Reason.REGISTRY_NOT_TRUSTED: "The certificate of the registry is not one that the operator trusts for this name. "
    "Mend `spec.ca` of the ModelRegistry, or the certificate.",
    Reason.REGISTRY_NOT_MLFLOW: "What answers at MLFLOW_TRACKING_URI, or `spec.url` of the ModelRegistry, is no MLflow "
    "registry. Mend the URI.",
    Reason.WORKSPACE_NOT_FOUND: "The MLflow server has no such workspace, or none at all. Mend `spec.workspace` of the "
    "ModelRegistry.",
    Reason.MODEL_NOT_FOUND: "The registry has no model of this name. Mend `spec.model.name`, or register it.",
    Reason.ALIAS_NOT_FOUND: "The model has no such alias. Set it in MLflow, or mend `spec.model.alias`.",
    Reason.STAGE_EMPTY: "No version of the model is in this stage. Move one there in MLflow, or mend "
    "`spec.model.stage`.",
    Reason.VERSION_NOT_FOUND: "The model has no such version, or it was deleted. Mend `spec.model.version`.",
    Reason.VERSION_NOT_READY: "The version's registration has not finished, or has failed.",
    Reason.NOT_A_MODEL: "The version's source holds no MLflow model (no file MLmodel), or lacks a file that it names.",
    Reason.ROUTE_CONFIRMED: "Every parent has accepted the route in its present form.",
    Reason.ROUTE_NOT_CONFIRMED: "The gateway has not told of the newest form of the route yet.",
    Reason.ROUTE_NOT_ACCEPTED: "A Gateway does not accept the route or can't resolve what it names; the message has "
    "the gateway's own words. No weight is believed before it does. Mend `spec.traffic.gateway`.",
    Reason.ROUTE_TAKEN: "An older object, or a route that is not Tidegate's, has this name or the same parent, host "
    "and match. Change one of them.",
    Reason.ROUTE_MISSING: "There is no route yet.",
    Reason.ROUTE_DIVERTED: "The route can't be written, so the canary's Service sends the canary's share to stable's "
    "pods until it can. The message has the API server's words. Mend what keeps Tidegate from writing HTTPRoutes; "
    "writing is retried every second.",
    Reason.EVIDENCE_READ: "The counters are read.",
    Reason.EVIDENCE_NOT_NEEDED: "No canary has traffic, so nothing is read.",
    Reason.EVIDENCE_MISSING: "The pods' counters, or those of another source that is asked for, can't be read, or the "
    "newest reading is too old. Nothing is raised.",
    Reason.PROMETHEUS_NOT_CONFIGURED: "The operator knows no Prometheus, and something asks for one. Set "
    "prometheus.url of the chart, or leave out what asks.",
    Reason.PROMETHEUS_UNREACHABLE: "Prometheus does not answer in time, or answers with server errors. Nothing is "
    "raised on what it would tell; everything else goes on.",
    Reason.PROMETHEUS_UNAUTHORIZED: "Prometheus does not accept the operator's credentials (401 or 403). Mend the "
    "token of prometheus.existingSecret of the chart.",
    Reason.PROMETHEUS_FAILING: "What answers is no Prometheus, broke off, or says that its answer may be partial.",
    Reason.QUERY_REFUSED: "Prometheus can't carry out the query, or what it gives are no numbers of one moment. Mend "
    "the query.",
    Reason.ALERT_NOTED: "An alert of the object fires and there is nothing to lower on its account; it is kept in "
    "`status.alerts`.",
    Reason.ALERT_RESOLVED: "An alert of the object is resolved, its sender's time for it is over, or a person "
    "dismissed it.",
    Reason.UNNEEDED: "A version of the registry was archived long ago and nothing needs it: retention deletes it.",
    Reason.SERVING: "Every revision with traffic has a ready endpoint.",
    Reason.NO_ENDPOINTS: "A revision with traffic has no ready endpoint.",
    Reason.NOTHING_SERVES: "No revision has traffic yet.",
    Reason.INVALID_SPEC: "The spec can't be carried out; the message names fields and remedies. What serves goes on "
    "serving.",
    Reason.APPLY_FAILED: "The API server does not accept an object that Tidegate writes; the message has its words.",
    Reason.RECORD_UNREADABLE: "What Tidegate remembers of the object was written by another version of it, or changed "
    "by somebody else. Nothing is concluded from it and nothing is written; what serves goes on serving. Run the "
    "version that wrote it, or put the annotation back.",
}
