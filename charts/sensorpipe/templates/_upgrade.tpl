{{/*
What only the first install chooses, compared with what is there: Kubernetes or Strimzi would refuse
the change of it, after they have changed other things. Each line says one problem. Where Helm cannot
look into the cluster there is nothing to compare with.
*/}}
{{- define "sensorpipe.wrongUpgrade" -}}
{{- range $part := list "mosquitto" "mongodb" }}
{{- $values := get $.Values $part }}
{{- if $values.enabled }}
{{- $set := lookup "apps/v1" "StatefulSet" $.Release.Namespace (include "sensorpipe.name" (list $ $part)) }}
{{- range (dig "spec" "volumeClaimTemplates" list $set) }}
{{- $size := .spec.resources.requests.storage }}
{{- if ne (include "sensorpipe.bytes" $size) (include "sensorpipe.bytes" $values.storage.size) }}
{{ $part }}.storage.size: {{ $values.storage.size }} is asked for, and there is a volume of {{ $size }}; set {{ $size }}, since only the first install chooses this
{{- end }}
{{- include "sensorpipe.wrongClass" (list (printf "%s.storage.className" $part) $values.storage.className .spec.storageClassName) }}
{{- end }}
{{- end }}
{{- end }}
{{- include "sensorpipe.wrongSelector" . }}
{{- if and .Values.kafka.enabled (.Capabilities.APIVersions.Has "kafka.strimzi.io/v1") }}
{{- include "sensorpipe.wrongBrokers" . }}
{{- include "sensorpipe.wrongTopics" . }}
{{- end }}
{{- end -}}

{{/* (list NAME ASKED THERE): of a volume, empty for the cluster's default one. */}}
{{- define "sensorpipe.wrongClass" -}}
{{- $asked := index . 1 | default "" }}
{{- $there := index . 2 | default "" }}
{{- if ne $asked $there }}
{{ index . 0 }}: {{ quote $asked }} is asked for, and there is a volume of class {{ quote $there }}; set {{ quote $there }}, since only the first install chooses this
{{- end }}
{{- end -}}

{{/* Under the same `fullnameOverride`, another `nameOverride` would be another selector. */}}
{{- define "sensorpipe.wrongSelector" -}}
{{- $deployment := lookup "apps/v1" "Deployment" .Release.Namespace (include "sensorpipe.name" (list . "compactor")) }}
{{- $there := get (dig "spec" "selector" "matchLabels" dict $deployment) "app.kubernetes.io/name" }}
{{- $asked := get (include "sensorpipe.selectorLabels" (list . "compactor") | fromYaml) "app.kubernetes.io/name" }}
{{- if and $there (ne $there $asked) }}
nameOverride: {{ quote $asked }} is asked for, and what is there is named {{ quote $there }}; set {{ quote $there }}, since only the first install chooses this
{{- end }}
{{- end -}}

{{/* Kafka's volumes can grow, as far as their class lets them. */}}
{{- define "sensorpipe.wrongBrokers" -}}
{{- $kafka := .Values.kafka }}
{{- $pool := lookup "kafka.strimzi.io/v1" "KafkaNodePool" .Release.Namespace (include "sensorpipe.kafkaPool" .) }}
{{- if $pool }}
{{- if ne (int $pool.spec.replicas) (int $kafka.replicas) }}
kafka.replicas: {{ $kafka.replicas }} is asked for, and Kafka has {{ $pool.spec.replicas }}; set {{ $pool.spec.replicas }}, since only the first install chooses this
{{- end }}
{{- range (dig "spec" "storage" "volumes" list $pool) }}
{{- if lt (include "sensorpipe.bytes" $kafka.storage.size | int64) (include "sensorpipe.bytes" .size | int64) }}
kafka.storage.size: {{ $kafka.storage.size }} is asked for, and there are volumes of {{ .size }}; set {{ .size }} or more, since they only grow
{{- end }}
{{- include "sensorpipe.wrongClass" (list "kafka.storage.className" $kafka.storage.className (get . "class")) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* All topics have the same number of copies, and only the one of summaries several partitions. */}}
{{- define "sensorpipe.wrongTopics" -}}
{{- $kafka := .Values.kafka }}
{{- $topic := lookup "kafka.strimzi.io/v1" "KafkaTopic" .Release.Namespace (include "sensorpipe.name" (list . "compacted-sensor-readings")) }}
{{- if $topic }}
{{- if ne (int $topic.spec.replicas) (int $kafka.replicationFactor) }}
kafka.replicationFactor: {{ $kafka.replicationFactor }} is asked for, and the topics have {{ $topic.spec.replicas }}; set {{ $topic.spec.replicas }}, since only the first install chooses this
{{- end }}
{{- if lt (int $kafka.topics.partitions) (int $topic.spec.partitions) }}
kafka.topics.partitions: {{ $kafka.topics.partitions }} is asked for, and there are {{ $topic.spec.partitions }}; set {{ $topic.spec.partitions }} or more, since partitions only grow
{{- end }}
{{- end }}
{{- end -}}
