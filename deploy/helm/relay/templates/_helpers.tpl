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

{{- define "relay.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "relay.serviceAccount" -}}
{{- default (ternary (include "relay.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{- /* What nobody can guess. A variable (`env`) or a Secret of variables (`envFrom`) may say it, too. */ -}}
{{- define "relay.required" -}}
{{- $named := list -}}
{{- range .Values.env -}}{{- $named = append $named .name -}}{{- end -}}
{{- $kafka := dig "kafka" "bootstrap_servers" "" .Values.settings -}}
{{- if not (or $kafka .Values.envFrom (has "RELAY_KAFKA__BOOTSTRAP_SERVERS" $named)) -}}
{{- fail "settings.kafka.bootstrap_servers: required: addresses of Kafka, as kafka-1:9092,kafka-2:9092" -}}
{{- end -}}
{{- $datamart := dig "tracking" "datamart_id" "" .Values.settings -}}
{{- if not (or $datamart (dig "destinations" "" .Values.settings) .Values.envFrom (has "RELAY_TRACKING__DATAMART_ID" $named)) -}}
{{- fail "settings.tracking.datamart_id: required: the datamart that events go to, as \"1234\"" -}}
{{- end -}}
{{- end -}}

{{- define "relay.kind" -}}
{{ ternary "StatefulSet" "Deployment" .Values.staticMembership }}
{{- end }}
