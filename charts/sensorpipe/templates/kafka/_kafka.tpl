{{/* DURATION: its milliseconds, as sensorpipe_schema.duration has them. */}}
{{- define "sensorpipe.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 -}}
{{- $sum := 0.0 -}}
{{- range regexFindAll "[0-9.]+[a-z]+" . -1 -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- $sum = addf $sum (mulf (trimSuffix $unit . | float64) (get $units $unit)) -}}
{{- end -}}
{{- round $sum 0 | int64 -}}
{{- end -}}

{{/*
Of all that Strimzi's operators act on. It stays with the data, for the next release of that name.
No label tells a version: Strimzi hands labels on to its pods, and would restart them all.
*/}}
{{- define "sensorpipe.kafkaMetadata" -}}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "sensorpipe.selectorLabels" (list . "kafka") | nindent 2 }}
  app.kubernetes.io/part-of: sensorpipe
  app.kubernetes.io/managed-by: {{ .Release.Service }}
  strimzi.io/cluster: {{ include "sensorpipe.fullname" . }}
annotations:
  helm.sh/resource-policy: keep
{{- end -}}

{{/*
(list . COMPONENT): of its user. Strimzi watches its users, but not the Secrets that their passwords
come from: a new password it would see in a round of two minutes only.
*/}}
{{- define "sensorpipe.kafkaUserMetadata" -}}
{{- include "sensorpipe.kafkaMetadata" (index . 0) }}
  checksum/secrets: {{ include "sensorpipe.kafkaVersion" . | sha256sum }}
{{- end -}}

{{/* The brokers' name, short: a pod's has the cluster's before it, and at most 63 characters. */}}
{{- define "sensorpipe.kafkaPool" -}}
{{- printf "brokers-%s" (include "sensorpipe.fullname" . | sha256sum | trunc 5) -}}
{{- end -}}

{{/* For each container of Strimzi's: the restricted standard, which its pods get only if told. */}}
{{- define "sensorpipe.kafkaContainer" -}}
securityContext:
  allowPrivilegeEscalation: false
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* What finds the brokers' pods: the entity operator's are of the same kind and cluster. */}}
{{- define "sensorpipe.kafkaBrokers" -}}
strimzi.io/cluster: {{ include "sensorpipe.fullname" . }}
strimzi.io/name: {{ include "sensorpipe.fullname" . }}-kafka
{{- end -}}

{{/* The start of each of Strimzi's pod templates: whose its volumes are, and what it tolerates. */}}
{{- define "sensorpipe.kafkaPod" -}}
securityContext:
  runAsNonRoot: true
  fsGroup: 0
  seccompProfile: {type: RuntimeDefault}
enableServiceLinks: false
{{- include "sensorpipe.placement" . }}
{{- end -}}

{{/* The nodes of `nodeSelector`, which Strimzi's pod templates take as an affinity only. */}}
{{- define "sensorpipe.kafkaNodes" -}}
{{- with .Values.nodeSelector -}}
nodeAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    nodeSelectorTerms:
      - matchExpressions:
          {{- range $label, $value := . }}
          - {key: {{ $label }}, operator: In, values: [{{ quote $value }}]}
          {{- end }}
{{- end -}}
{{- end -}}
