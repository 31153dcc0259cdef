{{/* DURATION: its milliseconds, as sensorpipe_runtime.duration has them. */}}
{{- define "sensorpipe.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 -}}
{{- $sum := 0.0 -}}
{{- range regexFindAll "[0-9.]+[a-z]+" . -1 -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- $sum = addf $sum (mulf (trimSuffix $unit . | float64) (get $units $unit)) -}}
{{- end -}}
{{- round $sum 0 | int64 -}}
{{- end -}}

{{/* SIZE, such as 2Gi: its bytes. Kubernetes writes 1.1Gi, no whole number of bytes, in their "m". */}}
{{- define "sensorpipe.bytes" -}}
{{- $units := dict "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15
      "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 -}}
{{- $unit := regexFind "[A-Za-z]+$" . -}}
{{- mulf (trimSuffix $unit . | float64) (get $units $unit | default 1) | int64 -}}
{{- end -}}

{{/*
What bounds a topic of dead letters, which anybody who may publish can fill. Kafka removes whole
segments, and so their size counts as well, and the time until their files are really gone.
*/}}
{{- define "sensorpipe.deadLetterLimits" -}}
{{- $kafka := .Values.kafka -}}
{{- $bytes := div (mul (include "sensorpipe.bytes" $kafka.storage.size | int64) $kafka.topics.deadLetterPercent) 100 -}}
retention.bytes: {{ max $bytes 4194304 }}
segment.bytes: {{ min (max (div $bytes 4) 1048576) 1073741824 }}
file.delete.delay.ms: 1000
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
