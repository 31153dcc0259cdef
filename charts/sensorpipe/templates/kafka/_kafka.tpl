{{/* DURATION: its milliseconds, as sensorpipe_runtime.duration computes them. */}}
{{- define "sensorpipe.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 -}}
{{- $sum := 0.0 -}}
{{- range regexFindAll "[0-9.]+[a-z]+" . -1 -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- $sum = addf $sum (mulf (trimSuffix $unit . | float64) (get $units $unit)) -}}
{{- end -}}
{{- round $sum 0 | int64 -}}
{{- end -}}

{{/* SIZE, such as 2Gi: its bytes. Kubernetes writes 1.1Gi, which is not an integer, in "m". */}}
{{- define "sensorpipe.bytes" -}}
{{- $units := dict "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15
      "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 -}}
{{- $unit := regexFind "[A-Za-z]+$" . -}}
{{- mulf (trimSuffix $unit . | float64) (get $units $unit | default 1) | int64 -}}
{{- end -}}

{{/*
Limits of a topic of dead letters, which every publisher can fill. Kafka deletes whole segments, so
their size matters, too, and the time until their files are deleted.
*/}}
{{- define "sensorpipe.deadLetterLimits" -}}
{{- $kafka := .Values.kafka -}}
{{- $bytes := div (mul (include "sensorpipe.bytes" $kafka.storage.size | int64) $kafka.topics.deadLetterPercent) 100 -}}
retention.bytes: {{ max $bytes 4194304 }}
segment.bytes: {{ min (max (div $bytes 4) 1048576) 1073741824 }}
file.delete.delay.ms: 1000
{{- end -}}

{{/*
Metadata of Strimzi's resources, which are kept with the data for the next release of that name.
No label has a version: Strimzi copies labels to its pods, and would restart them all.
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
(list . COMPONENT): metadata of its KafkaUser. Strimzi watches KafkaUsers, but not the Secrets with
their passwords: without the checksum it would use a new password only after up to two minutes.
*/}}
{{- define "sensorpipe.kafkaUserMetadata" -}}
{{- include "sensorpipe.kafkaMetadata" (index . 0) }}
  checksum/secrets: {{ include "sensorpipe.kafkaVersion" . | sha256sum }}
{{- end -}}

{{/* The node pool's name, short because pod names begin with the cluster's: 63 characters in all. */}}
{{- define "sensorpipe.kafkaPool" -}}
{{- printf "brokers-%s" (include "sensorpipe.fullname" . | sha256sum | trunc 5) -}}
{{- end -}}

{{/* Template of Strimzi's containers: the restricted standard, which is not Strimzi's default. */}}
{{- define "sensorpipe.kafkaContainer" -}}
securityContext:
  allowPrivilegeEscalation: false
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* Labels of the brokers' pods; the entity operator has the same kind and cluster. */}}
{{- define "sensorpipe.kafkaBrokers" -}}
strimzi.io/cluster: {{ include "sensorpipe.fullname" . }}
strimzi.io/name: {{ include "sensorpipe.fullname" . }}-kafka
{{- end -}}

{{/* The start of each of Strimzi's pod templates: metadata, security context and placement. */}}
{{- define "sensorpipe.kafkaPod" -}}
{{- $labels := include "sensorpipe.addedLabels" (list . "kafka") -}}
{{- $annotations := include "sensorpipe.podAnnotations" (list . "kafka") -}}
{{- if or $labels $annotations -}}
metadata:
  {{- with $labels }}
  labels: {{- . | nindent 4 }}
  {{- end }}
  {{- with $annotations }}
  annotations: {{- . | nindent 4 }}
  {{- end }}
{{ end -}}
securityContext:
  runAsNonRoot: true
  {{- if not (include "sensorpipe.platformUsers" .) }}
  fsGroup: 0
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
enableServiceLinks: false
{{- include "sensorpipe.placement" (list . "kafka") }}
{{- end -}}

{{/*
(list . RULES): the affinity of Strimzi's pods, with more rules under podAntiAffinity. It holds the node
selector, too, which Strimzi's pod templates have no field for.
*/}}
{{- define "sensorpipe.kafkaAffinity" -}}
{{- $values := (index . 0).Values -}}
{{- $required := "requiredDuringSchedulingIgnoredDuringExecution" -}}
{{- $affinity := deepCopy (default $values.affinity $values.kafka.affinity) -}}
{{- $selected := list -}}
{{- range $label, $value := default $values.nodeSelector $values.kafka.nodeSelector -}}
{{- $selected = append $selected (dict "key" $label "operator" "In" "values" (list $value)) -}}
{{- end -}}
{{- if $selected -}}
{{- $terms := list -}}
{{- range dig "nodeAffinity" $required "nodeSelectorTerms" (list dict) $affinity -}}
{{- $terms = append $terms (set . "matchExpressions" (concat (.matchExpressions | default list) $selected)) -}}
{{- end -}}
{{- $affinity = mergeOverwrite $affinity (dict "nodeAffinity" (dict $required (dict "nodeSelectorTerms" $terms))) -}}
{{- end -}}
{{- with index . 1 -}}
{{- $rules := concat . (dig "podAntiAffinity" $required list $affinity) -}}
{{- $affinity = mergeOverwrite $affinity (dict "podAntiAffinity" (dict $required $rules)) -}}
{{- end -}}
{{- with $affinity -}}{{- toYaml . -}}{{- end -}}
{{- end -}}

{{/* Two brokers on one node would fail together, and leave too few in-sync replicas. */}}
{{- define "sensorpipe.kafkaApart" -}}
- topologyKey: kubernetes.io/hostname
  labelSelector:
    matchLabels: {{- include "sensorpipe.kafkaBrokers" . | nindent 6 }}
{{- end -}}
