{{/*
What the operator does, and nothing besides. No Secrets here: credentials of pods are referred to, never read, and those
of a ModelRegistry are granted one by one (templates/registrysecrets.yaml). No patch of a ModelDeployment itself: its spec belongs to people. No deletion of routes: they go with their owner, by the garbage
collector.
*/}}
{{- define "tidegate.rules" -}}
- apiGroups: [tidegate.dev]
  resources: [modeldeployments, modelregistries]
  verbs: [get, list, watch]
- apiGroups: [tidegate.dev]
  resources: [modelapprovals, modelpromotions, promotionpolicies]
  verbs: [get, list, watch]
- apiGroups: [tidegate.dev]
  resources: [retrainingrequests]
  verbs: [get, list, watch, create]
- apiGroups: [tidegate.dev]
  resources: [modeldeployments/status, modelregistries/status, modelpromotions/status, retrainingrequests/status]
  verbs: [patch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [deployments, controllerrevisions]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
{{- if .Values.rbac.podLogs }}
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- end }}
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
