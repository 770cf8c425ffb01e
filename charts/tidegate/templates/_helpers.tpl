{{- define "tidegate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tidegate.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Roles and bindings of the cluster are named by release and namespace: two installations must not share one. */}}
{{- define "tidegate.clustername" -}}
{{- printf "%s-%s" .Release.Namespace (include "tidegate.fullname" .) }}
{{- end }}

{{- define "tidegate.selector" -}}
app.kubernetes.io/name: {{ include "tidegate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tidegate.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "tidegate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: tidegate
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "tidegate.serviceaccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "tidegate.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Whether webhooks have a port of their own. */}}
{{- define "tidegate.webhooks.tls" -}}
{{- and (ne .Values.webhooks.existingSecret "") (ne .Values.webhooks.tls.existingSecret "") }}
{{- end }}

{{/* Who sends webhooks: those of the values, and replicas of the operator that pass one on to the leader. */}}
{{- define "tidegate.webhooks.from" -}}
- podSelector:
    matchLabels:
      {{- include "tidegate.selector" . | nindent 6 }}
{{- with .Values.webhooks.from }}
{{ toYaml . }}
{{- end }}
{{- end }}
