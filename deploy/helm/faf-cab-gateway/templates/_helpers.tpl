{{- define "gateway.selector" -}}
app.kubernetes.io/name: gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "gateway.commonLabels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "gateway.labels" -}}
app.kubernetes.io/name: gateway
{{ include "gateway.commonLabels" . }}
{{- end }}

{{- define "gateway.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{ .Values.image.repository }}{{ ternary "@" ":" (hasPrefix "sha256:" $tag) }}{{ $tag }}
{{- end }}

{{/* Not empty when gateways share a Redis, by its Secret or by settings. */}}
{{- define "gateway.redis" -}}
{{- $nodes := ternary .Values.config.REDIS_NODES "" (eq (.Values.config.USE_REDIS_SHARDING | default "") "true") -}}
{{ or .Values.redis.secretName .Values.config.REDIS_HOST $nodes "" }}
{{- end }}

{{/* What the schema cannot say, because it is about several values at a time. */}}
{{- define "gateway.check" -}}
{{- if and (not (include "gateway.redis" .)) (or .Values.autoscaling.enabled (gt (int .Values.replicas) 1)) }}
{{- fail "More than one gateway (replicas, autoscaling.enabled) needs Redis: set redis.secretName. The embedded store is for one." }}
{{- end }}
{{- range $name, $path := .Values.config }}
{{- if and (hasPrefix "/run/secrets/gateway/" $path) (not $.Values.secretName) }}
{{- fail (printf "config.%s names a file of the Secret that secretName does not name." $name) }}
{{- end }}
{{- end }}
{{- if and .Values.networkPolicy.enabled .Values.config.TRUSTED_PROXIES (not .Values.networkPolicy.externalFrom) }}
{{- fail "config.TRUSTED_PROXIES is set, so networkPolicy.externalFrom must name the proxies: any other pod in that network could say whose request it sends." }}
{{- end }}
{{- if and .Values.networkPolicy.egress.enabled (include "gateway.redis" .) (not .Values.networkPolicy.egress.redis) }}
{{- fail "networkPolicy.egress.enabled with Redis needs networkPolicy.egress.redis: gateways could not reach Redis." }}
{{- end }}
{{- if and .Values.networkPolicy.egress.enabled .Values.config.OTEL_EXPORTER_OTLP_ENDPOINT (not .Values.networkPolicy.egress.collector) }}
{{- fail "networkPolicy.egress.enabled with config.OTEL_EXPORTER_OTLP_ENDPOINT needs networkPolicy.egress.collector: gateways could not reach the collector." }}
{{- end }}
{{- if and .Values.networkPolicy.egress.enabled (hasPrefix "https:" (.Values.config.JWKS_URL | default "")) (not .Values.networkPolicy.egress.extra) }}
{{- fail "networkPolicy.egress.enabled with config.JWKS_URL needs networkPolicy.egress.extra: gateways could not fetch the issuer's keys." }}
{{- end }}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) }}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas." }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "ingress.enabled needs ingress.host." }}
{{- end }}
{{- end }}
