{{/* The operator's settings, and those of the pods that it creates. */}}
{{- define "sensorpipe.operatorEnv" -}}
{{- if not .Values.sensors.clusterWide -}}
- {name: SENSORPIPE_WATCH_NAMESPACES, value: {{ include "sensorpipe.sensorNamespaces" . | quote }}}
{{ end -}}
- {name: SENSORPIPE_LEASE, value: {{ printf "%s/%s" .Release.Namespace (include "sensorpipe.name" (list . "operator")) }}}
- {name: SENSORPIPE_WORKERS, value: {{ .Values.operator.workers | int | quote }}}
- {name: SENSORPIPE_RESYNC, value: {{ quote .Values.operator.resync }}}
- {name: SENSORPIPE_LOG_LEVEL, value: {{ .Values.operator.logLevel }}}
- {name: SENSORPIPE_GENERATOR_IMAGE, value: {{ include "sensorpipe.image" (list . .Values.generator.image) | quote }}}
- {name: SENSORPIPE_GENERATOR_PULL_POLICY, value: {{ .Values.image.pullPolicy }}}
- {name: SENSORPIPE_GENERATOR_LOG_LEVEL, value: {{ .Values.generator.logLevel }}}
{{- with include "sensorpipe.pullSecrets" . }}
- {name: SENSORPIPE_GENERATOR_PULL_SECRETS, value: {{ quote . }}}
{{- end }}
{{- with include "sensorpipe.generatorPod" . }}
- {name: SENSORPIPE_GENERATOR_POD, value: {{ quote . }}}
{{- end }}
- {name: SENSORPIPE_FEEDS_CONFIG_MAP, value: {{ printf "%s/%s" .Release.Namespace (include "sensorpipe.name" (list . "feeds")) }}}
- name: SENSORPIPE_COMPACTOR_PODS
  value: {{ include "sensorpipe.selectorLabels" (list . "compactor") | replace ": " "=" | splitList "\n" | join "," }}
{{- if .Values.mosquitto.enabled }}
# Mosquitto grants every subscription and delivers nothing that is not allowed: only we can tell
- name: SENSORPIPE_COMPACTOR_TOPICS
  value: {{ prepend .Values.mosquitto.deviceTopics "sensor_readings/#" | join "," | replace "%u" "+" | quote }}
{{- end }}
{{- if .Values.server.auth.enabled }}
- {name: SENSORPIPE_CLUSTER_ISSUER_CONFIG_MAP, value: {{ printf "%s/%s" .Release.Namespace (include "sensorpipe.clusterIssuer" .) }}}
- {name: SENSORPIPE_CLUSTER_ISSUER_OWNER, value: {{ include "sensorpipe.name" (list . "operator") }}}
{{- end }}
- {name: SENSORPIPE_BROKER_SECRET, value: {{ include "sensorpipe.generatorSecret" . }}}
{{- with .Values.mosquitto.external.caKey }}
- {name: SENSORPIPE_BROKER_CA_KEY, value: {{ quote . }}}
{{- end }}
{{- end -}}

{{/* What generator pods have besides the operator's own, as JSON; empty if nothing. */}}
{{- define "sensorpipe.generatorPod" -}}
{{- $pod := dict -}}
{{- range $name := list "podLabels" "podAnnotations" "nodeSelector" "tolerations" "affinity" "priorityClassName" "extraEnv" "extraVolumes" "extraVolumeMounts" -}}
{{- with get $.Values.generator $name -}}{{- $_ := set $pod $name . -}}{{- end -}}
{{- end -}}
{{- with include "sensorpipe.serviceAccountName" (list . "generator") -}}
{{- $_ := set $pod "serviceAccountName" . -}}
{{- end -}}
{{- if include "sensorpipe.platformUsers" . -}}{{- $_ := set $pod "fixedUser" false -}}{{- end -}}
{{- with $pod -}}{{- toJson . -}}{{- end -}}
{{- end -}}

{{/* The name of the Secret with the broker's URL for generators, in each namespace with Sensors. */}}
{{- define "sensorpipe.generatorSecret" -}}
{{- if .Values.mosquitto.enabled -}}
{{- include "sensorpipe.name" (list . "broker") -}}
{{- else -}}
{{- .Values.mosquitto.external.generatorSecret -}}
{{- end -}}
{{- end -}}
