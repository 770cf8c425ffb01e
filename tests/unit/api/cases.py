"""Specs that are right and specs that are wrong, for pydantic and the real API server alike."""

from tests.unit.api.case import CUSTOM, Case, gateway, merge, rewrite, right, steps, weights, wrong
from tests.unit.api.cases_autoscaling import AUTOSCALED, NOT_AUTOSCALED
from tests.unit.api.cases_gates import GATES, RIGHT_GATES
from tests.unit.api.cases_guards import GUARDS
from tests.unit.api.cases_runtimes import NO_RUNTIMES, RUNTIMES

_ARCHIVE = {"stage": "Archived"}

RIGHT = (
    right("the least object", {}),
    *RIGHT_GATES,
    right("a name of one letter", {}, name="m"),
    right("a name of 40 characters", {}, name="a" * 40),
    right("a version by stage", {"model": {"alias": None, "stage": "Staging"}}),
    right("a version by number", {"model": {"alias": None, "version": "7"}}),
    right("a challenger", {"model": {"candidate": {"alias": "challenger", "onReject": {"removeAlias": True}}}}),
    right(
        "a stage and its candidate",
        {"model": {"alias": None, "stage": "Production", "candidate": {"stage": "Staging"}}},
    ),
    right("an alias with a stage as candidate", {"model": {"candidate": {"stage": "Staging", "onReject": None}}}),
    right("a model name with spaces and umlauts", {"model": {"name": "Betrug im Groß- und Einzelhandel (neu)"}}),
    right("a model name in another script", {"model": {"name": "不正検出"}}),
    right("an alias with an umlaut", {"model": {"alias": "prüfling_2-b"}}),
    right("an alias that only begins like a version", {"model": {"alias": "v2-rc"}}),
    right("a registry of the namespace", {"model": {"registry": {"name": "team"}}}),
    right("credentials for the pods", {"model": {"registry": {"secretRef": {"name": "mlflow"}}}}),
    right("nothing written to the registry", {"model": {"writeBack": "None"}}),
    right("straight to 100", weights(100)),
    right("sixteen weights", weights(*range(1, 16), 100)),
    right("a hold for the default weights", {"rollout": {"hold": "90s"}}),
    right("a hold of nothing", {"rollout": {"weights": [50, 100], "hold": "0s"}}),
    right("steps with holds in milliseconds", steps((50, "250ms"), (100, "1m500ms"))),
    right("holds that fill the deadline exactly", {"rollout": {"weights": [50, 100], "hold": "5m", "deadline": "10m"}}),
    right("a limit of nothing", {"guards": {"errorRate": {"max": "0%"}}}),
    right("a limit just below everything", {"guards": {"errorRate": {"max": "99.9999%"}}}),
    right("the shortest interval", {"guards": {"interval": "250ms"}}),
    right("the longest interval", {"guards": {"interval": "1m"}}),
    right("a guard that only watches", {"guards": {"clientErrors": {"maxRatio": "2", "mode": "Observe"}}}),
    right(
        "percentiles with decimals",
        {"guards": {"latency": [{"percentile": "99.9", "max": "2s"}, {"percentile": "50", "maxRatio": "1"}]}},
    ),
    right("alerts by the default labels", {"guards": {"alerts": {}}}),
    right("alerts that only watch", {"guards": {"alerts": {"mode": "Observe"}}}),
    right("alerts by labels of one's own", {"guards": {"alerts": {"matchLabels": {"team": "risk", "_x9": "ü {}"}}}}),
    right("no guard on latency", {"guards": {"latency": []}}),
    right("evidence of a gateway besides the pods'", {"evidence": {"prometheus": ["contour", "mlserver"]}}),
    right("evidence of a gateway alone", {"evidence": {"pods": False, "prometheus": ["istio"]}}),
    right(
        "a latency at the end of a source's histogram",
        {"evidence": {"prometheus": ["kserve"]}, "guards": {"latency": [{"percentile": "95", "max": "10s"}]}},
    ),
    right("a histogram alone, and no guard named", {"evidence": {"pods": False, "prometheus": ["kserve"]}}),
    right(
        "a histogram of the gateway where one's own container has none",
        {
            "serving": CUSTOM,
            "evidence": {"prometheus": ["envoyGateway"]},
            "guards": {"latency": [{"percentile": "95", "max": "1s"}]},
        },
    ),
    right(
        "a query of one's own",
        {
            "guards": {
                "queries": [
                    {
                        "name": "scores",
                        "promql": 'sum(label_replace(x{pod=~"${revision}-.*"}, "a", "${1}", "b", "(.*)"))',
                        "max": "0.5",
                        "min": "-1",
                        "for": "1m",
                        "mode": "Observe",
                    },
                    {"name": "other", "promql": 'rate(y{service="${stable}"}[${window}])', "min": "0", "for": "0s"},
                ]
            }
        },
    ),
    *AUTOSCALED,
    *RUNTIMES,
    right("a container of one's own", {"serving": CUSTOM}),
    right(
        "a container of one's own with a histogram and a guard on it",
        {
            "serving": merge(CUSTOM, {"metrics": {"duration": {"metric": "latency", "unit": "milliseconds"}}}),
            "guards": {"latency": [{"percentile": "95", "max": "1s"}]},
        },
    ),
    right("quantities as numbers and as text", {"serving": {"resources": {"limits": {"cpu": 2, "memory": "1.5Gi"}}}}),
    right("an extended resource", {"serving": {"resources": {"limits": {"nvidia.com/gpu": "1"}}}}),
    right(
        "fields of a pod that are Kubernetes' business",
        {"serving": {"template": {"spec": {"tolerations": [{"key": "gpu", "operator": "Exists"}]}}}},
    ),
    right(
        "two listeners of one gateway",
        gateway(parentRefs=[{"name": "public", "sectionName": "http"}, {"name": "public", "sectionName": "https"}]),
    ),
    right(
        "two gateways of one name in two namespaces",
        gateway(parentRefs=[{"name": "public", "namespace": "a"}, {"name": "public", "namespace": "b"}]),
    ),
    right("a wildcard host name", gateway(hostnames=["*.example.com"])),
    right("a regular expression for a path", gateway(matches=[{"path": {"type": "RegularExpression", "value": ".*"}}])),
    right(
        "a prefix that is rewritten",
        gateway(
            matches=[{"path": {"type": "PathPrefix", "value": "/fraud"}}],
            filters=[rewrite(type="ReplacePrefixMatch", replacePrefixMatch="/")],
        ),
    ),
    right("a gateway without a time limit", gateway(timeouts={"request": "0s", "backendRequest": "10s"})),
    right("a pause", {"paused": True}),
)

WRONG = (
    # metadata
    Case(says="a name with capitals", name="Fraud", blames="metadata.name"),
    Case(says="a name with a dot", name="fraud.v2", blames="metadata.name"),
    Case(says="a name that begins with a digit", name="2fraud", blames="metadata.name"),
    Case(says="a name that ends with a dash", name="fraud-", blames="metadata.name"),
    Case(says="a name of 41 characters", name="a" * 41, blames="metadata.name"),
    # model
    wrong("no model", "spec.model", {"model": None}),
    wrong("no model name", "spec.model.name", {"model": {"name": None}}),
    wrong("an empty model name", "spec.model.name", {"model": {"name": ""}}),
    wrong("a blank model name", "spec.model.name", {"model": {"name": "  "}}),
    wrong("a model name with a slash", "spec.model.name", {"model": {"name": "team/fraud"}}),
    wrong("a model name with a colon", "spec.model.name", {"model": {"name": "fraud:7"}}),
    wrong("a model name with a line break", "spec.model.name", {"model": {"name": "fraud\ndetector"}}),
    wrong("a model name with a zero byte", "spec.model.name", {"model": {"name": "fraud\0"}}),
    wrong("a model name that is a path", "spec.model.name", {"model": {"name": ".."}}),
    wrong("a model name of 257 characters", "spec.model.name", {"model": {"name": "ß" * 257}}),
    wrong("neither stage, alias nor version", "spec.model", {"model": {"alias": None}}),
    wrong("both stage and alias", "spec.model", {"model": {"stage": "Production"}}),
    wrong("both alias and version", "spec.model", {"model": {"version": "7"}}),
    wrong("an unknown stage", "spec.model.stage", {"model": {"alias": None, "stage": "production"}}),
    wrong("the reserved alias latest", "spec.model.alias", {"model": {"alias": "Latest"}}),
    wrong("an alias that reads like a version", "spec.model.alias", {"model": {"alias": "V12"}}),
    wrong("an alias with a blank", "spec.model.alias", {"model": {"alias": "the best"}}),
    wrong("an empty candidate", "spec.model.candidate", {"model": {"candidate": {}}}),
    wrong(
        "a candidate of two names", "spec.model.candidate", {"model": {"candidate": {"stage": "Staging", "alias": "b"}}}
    ),
    wrong(
        "a candidate beside a number",
        "spec.model.candidate",
        {"model": {"alias": None, "version": "7", "candidate": {"alias": "challenger"}}},
    ),
    wrong("its own candidate", "spec.model.candidate.alias", {"model": {"candidate": {"alias": "champion"}}}),
    wrong(
        "a stage that is its own candidate",
        "spec.model.candidate.stage",
        {"model": {"alias": None, "stage": "Production", "candidate": {"stage": "Production"}}},
    ),
    wrong("a reserved candidate", "spec.model.candidate.alias", {"model": {"candidate": {"alias": "latest"}}}),
    wrong(
        "a rejected alias that is archived",
        "spec.model.candidate.onReject.stage",
        {"model": {"candidate": {"alias": "challenger", "onReject": _ARCHIVE}}},
    ),
    wrong(
        "a rejected stage whose alias is removed",
        "spec.model.candidate.onReject.removeAlias",
        {"model": {"candidate": {"stage": "Staging", "onReject": {"removeAlias": True}}}},
    ),
    wrong(
        "a rejected candidate to which nothing happens",
        "spec.model.candidate.onReject",
        {"model": {"candidate": {"alias": "challenger", "onReject": {}}}},
    ),
    wrong("version nought", "spec.model.version", {"model": {"alias": None, "version": "0"}}),
    wrong("a version that is no number", "spec.model.version", {"model": {"alias": None, "version": "v7"}}),
    wrong("a version without quotes", "spec.model.version", {"model": {"alias": None, "version": 7}}),
    wrong("a registry without a word", "spec.model.registry", {"model": {"registry": {}}}),
    wrong("a registry that is no name", "spec.model.registry.name", {"model": {"registry": {"name": "Team A"}}}),
    wrong("a Secret without a name", "spec.model.registry.secretRef.name", {"model": {"registry": {"secretRef": {}}}}),
    # serving
    wrong("an unknown runtime", "spec.serving.runtime", {"serving": {"runtime": "tensorrt"}}),
    wrong("no replicas", "spec.serving.replicas", {"serving": {"replicas": 0}}),
    wrong("replicas as text", "spec.serving.replicas", {"serving": {"replicas": "3"}}),
    wrong("half a replica", "spec.serving.replicas", {"serving": {"replicas": 1.5}}),
    *NOT_AUTOSCALED,
    *NO_RUNTIMES,
    wrong("metrics for a preset", "spec.serving.metrics", {"serving": {"metrics": CUSTOM["metrics"]}}),
    wrong("custom without metrics", "spec.serving.metrics", {"serving": merge(CUSTOM, {"metrics": None})}),
    wrong("custom without a template", "spec.serving.template", {"serving": merge(CUSTOM, {"template": None})}),
    wrong(
        "custom without a container named model",
        "spec.serving.template",
        {"serving": merge(CUSTOM, {"template": {"spec": {"containers": [{"name": "scorer", "image": "i"}]}}})},
    ),
    wrong(
        "custom without an image",
        "spec.serving.template",
        {"serving": merge(CUSTOM, {"template": {"spec": {"containers": [{"name": "model"}]}}})},
    ),
    wrong("a port beyond all", "spec.serving.metrics.port", {"serving": merge(CUSTOM, {"metrics": {"port": 65536}})}),
    wrong(
        "a metrics path without a slash",
        "spec.serving.metrics.path",
        {"serving": merge(CUSTOM, {"metrics": {"path": "metrics"}})},
    ),
    wrong(
        "a metric name with a dash",
        "spec.serving.metrics.requests.metric",
        {"serving": merge(CUSTOM, {"metrics": {"requests": {"metric": "http-requests"}}})},
    ),
    wrong(
        "a counter without the label of the status",
        "spec.serving.metrics.requests.codeLabel",
        {"serving": merge(CUSTOM, {"metrics": {"requests": {"codeLabel": None}}})},
    ),
    wrong(
        "an unknown unit",
        "spec.serving.metrics.duration.unit",
        {"serving": merge(CUSTOM, {"metrics": {"duration": {"metric": "latency", "unit": "minutes"}}})},
    ),
    wrong(
        "a quantity that is none",
        "spec.serving.resources.limits.cpu",
        {"serving": {"resources": {"limits": {"cpu": "2x"}}}},
    ),
    wrong(
        "a resource without a name", "spec.serving.resources.limits", {"serving": {"resources": {"limits": {"": "1"}}}}
    ),
    wrong(
        "a container without a name",
        "spec.serving.template.spec.containers[0].name",
        {"serving": {"template": {"spec": {"containers": [{"image": "i"}]}}}},
    ),
    wrong(
        "two containers of one name",
        "spec.serving.template.spec.containers",
        {"serving": {"template": {"spec": {"containers": [{"name": "model"}, {"name": "model"}]}}}},
    ),
    wrong(
        "pods that are not restarted",
        "spec.serving.template.spec.restartPolicy",
        {"serving": {"template": {"spec": {"restartPolicy": "Never"}}}},
    ),
    wrong(
        "a label of Tidegate's own",
        "spec.serving.template.metadata.labels",
        {"serving": {"template": {"metadata": {"labels": {"tidegate.dev/revision": "mine"}}}}},
    ),
    wrong(
        "a label whose value is no label value",
        "spec.serving.template.metadata.labels.team",
        {"serving": {"template": {"metadata": {"labels": {"team": "fraud & co"}}}}},
    ),
    # traffic
    wrong("no traffic", "spec.traffic", {"traffic": None}),
    wrong("traffic by nothing", "spec.traffic.gateway", {"traffic": {"gateway": None}}),
    wrong("no parent", "spec.traffic.gateway.parentRefs", gateway(parentRefs=[])),
    wrong(
        "a parent without a name", "spec.traffic.gateway.parentRefs[0].name", gateway(parentRefs=[{"namespace": "a"}])
    ),
    wrong(
        "a Service as parent",
        "spec.traffic.gateway.parentRefs[0].kind",
        gateway(parentRefs=[{"kind": "Service", "name": "public"}]),
    ),
    wrong(
        "one gateway twice",
        "spec.traffic.gateway.parentRefs",
        gateway(parentRefs=[{"name": "public"}, {"name": "public", "sectionName": "https"}]),
    ),
    wrong(
        "one gateway by two ports",
        "spec.traffic.gateway.parentRefs",
        gateway(parentRefs=[{"name": "public", "port": 80}, {"name": "public", "port": 443}]),
    ),
    wrong(
        "a host name with a scheme", "spec.traffic.gateway.hostnames[1]", gateway(hostnames=["a.example", "http://b"])
    ),
    wrong(
        "a path with a blank segment",
        "spec.traffic.gateway.matches[0].path.value",
        gateway(matches=[{"path": {"value": "/a//b"}}]),
    ),
    wrong(
        "a path without a slash",
        "spec.traffic.gateway.matches[0].path.value",
        gateway(matches=[{"path": {"value": "a"}}]),
    ),
    wrong("an unknown method", "spec.traffic.gateway.matches[0].method", gateway(matches=[{"method": "FETCH"}])),
    wrong(
        "a header match without a value",
        "spec.traffic.gateway.matches[0].headers[0].value",
        gateway(matches=[{"headers": [{"name": "x-tenant"}]}]),
    ),
    wrong(
        "one header matched twice",
        "spec.traffic.gateway.matches[0].headers[1]",
        gateway(matches=[{"headers": [{"name": "x-tenant", "value": "a"}, {"name": "x-tenant", "value": "b"}]}]),
    ),
    wrong(
        "one header removed twice",
        "spec.traffic.gateway.filters[0].responseHeaderModifier.remove[1]",
        gateway(filters=[{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["via", "via"]}}]),
    ),
    wrong("a redirect", "spec.traffic.gateway.filters[0].type", gateway(filters=[{"type": "RequestRedirect"}])),
    wrong("a filter without its field", "spec.traffic.gateway.filters[0]", gateway(filters=[{"type": "URLRewrite"}])),
    wrong(
        "a header filter that does nothing",
        "spec.traffic.gateway.filters[0].requestHeaderModifier",
        gateway(filters=[{"type": "RequestHeaderModifier", "requestHeaderModifier": {}}]),
    ),
    wrong(
        "two filters of one type",
        "spec.traffic.gateway.filters",
        gateway(filters=[rewrite(type="ReplaceFullPath", replaceFullPath="/")] * 2),
    ),
    wrong(
        "a rewritten path of the other type",
        "spec.traffic.gateway.filters[0].urlRewrite.path",
        gateway(filters=[rewrite(type="ReplaceFullPath", replacePrefixMatch="/")]),
    ),
    wrong(
        "a rewritten prefix without a prefix",
        "spec.traffic.gateway.filters",
        gateway(filters=[rewrite(type="ReplacePrefixMatch", replacePrefixMatch="/")]),
    ),
    wrong(
        "a try that may take longer than the answer",
        "spec.traffic.gateway.timeouts.backendRequest",
        gateway(timeouts={"request": "1s", "backendRequest": "2s"}),
    ),
    # rollout
    wrong("weights that fall", "spec.rollout.weights", weights(50, 25, 100)),
    wrong("a weight twice", "spec.rollout.weights", weights(5, 5, 100)),
    wrong("weights that don't end in 100", "spec.rollout.weights", weights(5, 50)),
    wrong("a weight over 100", "spec.rollout.weights[1]", weights(50, 101)),
    wrong("a weight of nothing", "spec.rollout.weights[0]", weights(0, 100)),
    wrong("no weights", "spec.rollout.weights", weights()),
    wrong("seventeen weights", "spec.rollout.weights", weights(*range(1, 17), 100)),
    wrong("a weight as text", "spec.rollout.weights[0]", {"rollout": {"weights": ["5%", 100]}}),
    wrong(
        "weights and steps",
        "spec.rollout.steps",
        {"rollout": {"weights": [100], "steps": [{"weight": 100, "hold": "1m"}]}},
    ),
    wrong(
        "steps and one hold", "spec.rollout.hold", {"rollout": {"hold": "1m", "steps": [{"weight": 100, "hold": "1m"}]}}
    ),
    wrong("steps that fall", "spec.rollout.steps", steps((50, "1m"), (5, "1m"), (100, "1m"))),
    wrong("steps that don't end in 100", "spec.rollout.steps", steps((50, "1m"))),
    wrong("no steps", "spec.rollout.steps", steps()),
    wrong("a step without a hold", "spec.rollout.steps[0].hold", {"rollout": {"steps": [{"weight": 100}]}}),
    wrong("a step over 100", "spec.rollout.steps[1].weight", steps((50, "1m"), (110, "1m"))),
    wrong("a negative hold", "spec.rollout.hold", {"rollout": {"hold": "-5m"}}),
    wrong("a hold without a unit", "spec.rollout.hold", {"rollout": {"hold": "300"}}),
    wrong("a hold as a number", "spec.rollout.hold", {"rollout": {"hold": 300}}),
    wrong("a hold in days", "spec.rollout.hold", {"rollout": {"hold": "1d"}}),
    wrong("a hold with a fraction", "spec.rollout.hold", {"rollout": {"hold": "1.5h"}}),
    wrong(
        "a hold of more than a month",
        "spec.rollout.hold",
        {"rollout": {"hold": "721h", "weights": [100], "deadline": "2160h"}},
    ),
    wrong("a negative hold in a step", "spec.rollout.steps[1].hold", steps((50, "1m"), (100, "-1m"))),
    wrong("holds longer than the deadline", "spec.rollout.deadline", {"rollout": {"hold": "1h", "deadline": "3h"}}),
    wrong("default holds longer than the deadline", "spec.rollout.deadline", {"rollout": {"deadline": "19m"}}),
    wrong(
        "steps longer than the deadline",
        "spec.rollout.deadline",
        {"rollout": {"deadline": "1m", "steps": [{"weight": 100, "hold": "1m1ms"}]}},
    ),
    wrong("a deadline that is none", "spec.rollout.deadline", {"rollout": {"deadline": "tomorrow"}}),
    wrong("no time to get ready", "spec.rollout.progressDeadline", {"rollout": {"progressDeadline": "0s"}}),
    wrong("a rollback window without end", "spec.rollout.rollbackWindow", {"rollout": {"rollbackWindow": "2161h"}}),
    wrong("a typing error", "spec.rollout.deadlin", {"rollout": {"deadlin": "1h"}}),
    wrong(
        "approval that is a word",
        "spec.rollout.steps[0].approval",
        {"rollout": {"steps": [{"weight": 100, "hold": "1m", "approval": "yes"}]}},
    ),
    wrong("a revocation that pauses", "spec.rollout.onRevoke", {"rollout": {"onRevoke": "Pause"}}),
    *GATES,
    *GUARDS,
    # the rest
    wrong("a pause that is a word", "spec.paused", {"paused": "yes"}),
    wrong("an unknown part", "spec.gate", {"gate": {}}),
)
