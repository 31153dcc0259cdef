{{/*
Compares values that can only be chosen at the first install with what exists: Kubernetes or Strimzi
would refuse a change of them, after other things have been changed. One problem per line. Without
access to the cluster Helm has nothing to compare with.
*/}}
{{- define "sensorpipe.wrongUpgrade" -}}
{{- range $part := list "mosquitto" "mongodb" }}
{{- $values := get $.Values $part }}
{{- if $values.enabled }}
{{- $set := lookup "apps/v1" "StatefulSet" $.Release.Namespace (include "sensorpipe.name" (list $ $part)) }}
{{- range (dig "spec" "volumeClaimTemplates" list $set) }}
{{- $size := .spec.resources.requests.storage }}
{{- if ne (include "sensorpipe.bytes" $size) (include "sensorpipe.bytes" $values.storage.size) }}
{{ $part }}.storage.size: {{ $values.storage.size }} differs from the existing volume's {{ $size }}, which cannot be changed; set {{ $size }}
{{- end }}
{{- include "sensorpipe.wrongClass" (list (printf "%s.storage.className" $part) $values.storage.className .spec.storageClassName) }}
{{- end }}
{{- end }}
{{- end }}
{{- include "sensorpipe.wrongSelector" . }}
{{- include "sensorpipe.wrongMoves" . }}
{{- if and .Values.kafka.enabled (.Capabilities.APIVersions.Has "kafka.strimzi.io/v1") }}
{{- include "sensorpipe.wrongBrokers" . }}
{{- include "sensorpipe.wrongTopics" . }}
{{- end }}
{{- end -}}

{{/* (list NAME WANTED EXISTING): a volume's class, empty for the cluster's default one. */}}
{{- define "sensorpipe.wrongClass" -}}
{{- $wanted := index . 1 | default "" }}
{{- $existing := index . 2 | default "" }}
{{- if ne $wanted $existing }}
{{ index . 0 }}: {{ quote $wanted }} differs from the existing volume's {{ quote $existing }}, which cannot be changed; set {{ quote $existing }}
{{- end }}
{{- end -}}

{{/* Under the same `fullnameOverride`, another `nameOverride` would be another selector. */}}
{{- define "sensorpipe.wrongSelector" -}}
{{- $deployment := lookup "apps/v1" "Deployment" .Release.Namespace (include "sensorpipe.name" (list . "compactor")) }}
{{- $existing := get (dig "spec" "selector" "matchLabels" dict $deployment) "app.kubernetes.io/name" }}
{{- $wanted := get (include "sensorpipe.selectorLabels" (list . "compactor") | fromYaml) "app.kubernetes.io/name" }}
{{- if and $existing (ne $existing $wanted) }}
nameOverride: {{ quote $wanted }} differs from the existing resources' {{ quote $existing }}, which cannot be changed; set {{ quote $existing }}
{{- end }}
{{- end -}}

{{/* Kafka's volumes can grow if their class allows it. */}}
{{- define "sensorpipe.wrongBrokers" -}}
{{- $kafka := .Values.kafka }}
{{- $pool := lookup "kafka.strimzi.io/v1" "KafkaNodePool" .Release.Namespace (include "sensorpipe.kafkaPool" .) }}
{{- if $pool }}
{{- if ne (int $pool.spec.replicas) (int $kafka.replicas) }}
kafka.replicas: {{ $kafka.replicas }} differs from the existing number, {{ $pool.spec.replicas }}, which cannot be changed; set {{ $pool.spec.replicas }}
{{- end }}
{{- range (dig "spec" "storage" "volumes" list $pool) }}
{{- if lt (include "sensorpipe.bytes" $kafka.storage.size | int64) (include "sensorpipe.bytes" .size | int64) }}
kafka.storage.size: {{ $kafka.storage.size }} is less than the existing volumes' {{ .size }}, which can only grow; set {{ .size }} or more
{{- end }}
{{- include "sensorpipe.wrongClass" (list "kafka.storage.className" $kafka.storage.className (get . "class")) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* All topics have the same replication factor; only that of summaries has several partitions. */}}
{{- define "sensorpipe.wrongTopics" -}}
{{- $kafka := .Values.kafka }}
{{- $topic := lookup "kafka.strimzi.io/v1" "KafkaTopic" .Release.Namespace (include "sensorpipe.name" (list . "compacted-sensor-readings")) }}
{{- if $topic }}
{{- if ne (int $topic.spec.replicas) (int $kafka.replicationFactor) }}
kafka.replicationFactor: {{ $kafka.replicationFactor }} differs from the existing topics' {{ $topic.spec.replicas }}, which cannot be changed; set {{ $topic.spec.replicas }}
{{- end }}
{{- if lt (int $kafka.topics.partitions) (int $topic.spec.partitions) }}
kafka.topics.partitions: {{ $kafka.topics.partitions }} is less than the existing number, {{ $topic.spec.partitions }}, which cannot be reduced; set {{ $topic.spec.partitions }} or more
{{- end }}
{{- end }}
{{- end -}}
