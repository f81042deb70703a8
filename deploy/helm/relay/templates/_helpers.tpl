{{- define "relay.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "relay.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "relay.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "relay.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "relay.selector" -}}
app.kubernetes.io/name: {{ include "relay.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "relay.labels" -}}
{{ include "relay.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* The admin port of the settings, which probes and scrapes must find. */ -}}
{{- define "relay.port" -}}
{{- dig "admin" "port" 9464 .Values.settings -}}
{{- end -}}

{{- /* A drain that Kubernetes would cut short is refused here rather than at 3 am. */ -}}
{{- define "relay.grace" -}}
{{- $drain := dig "delivery" "stop_deadline_s" 25 .Values.settings | float64 -}}
{{- if le (float64 .Values.terminationGracePeriodSeconds) (addf $drain 5.0) -}}
{{- fail (printf "terminationGracePeriodSeconds (%v) must exceed settings.delivery.stop_deadline_s (%v) by more than 5 s" .Values.terminationGracePeriodSeconds $drain) -}}
{{- end -}}
{{- .Values.terminationGracePeriodSeconds -}}
{{- end -}}
