{{/* What the schema of the values cannot say: fails once, with everything that is wrong. */}}
{{- define "sensorpipe.validate" -}}
{{- $found := concat
      (include "sensorpipe.wrongBroker" . | splitList "\n")
      (include "sensorpipe.wrongKafka" . | splitList "\n")
      (include "sensorpipe.wrongDatabase" . | splitList "\n")
      (include "sensorpipe.wrongServer" . | splitList "\n")
      (include "sensorpipe.wrongNames" . | splitList "\n")
      (include "sensorpipe.wrongCluster" . | splitList "\n")
      (include "sensorpipe.wrongUpgrade" . | splitList "\n") -}}
{{- $problems := list -}}
{{- range $found -}}{{- with trim . -}}{{- $problems = append $problems . -}}{{- end -}}{{- end -}}
{{- if $problems -}}
{{- fail (printf "\n\nThis cannot be installed:\n- %s\n" (join "\n- " $problems)) -}}
{{- end -}}
{{- end -}}

{{/* Each of these says one problem a line. */}}
{{- define "sensorpipe.wrongBroker" -}}
{{- $external := .Values.mosquitto.external -}}
{{- if .Values.mosquitto.enabled }}
{{- if or $external.compactorSecret $external.generatorSecret $external.caKey }}
mosquitto.external: is for a broker elsewhere; set mosquitto.enabled to false, or leave it empty
{{- end }}
{{- else }}
{{- if not $external.compactorSecret }}
mosquitto.external.compactorSecret: without mosquitto.enabled, name the Secret whose `url` leads the compactor to the broker
{{- end }}
{{- if not $external.generatorSecret }}
mosquitto.external.generatorSecret: without mosquitto.enabled, name the Secret whose `url` leads generators to the broker
{{- end }}
{{- if .Values.mosquitto.existingSecret }}
mosquitto.existingSecret: is for the chart's own broker, and mosquitto.enabled is false
{{- end }}
{{- if .Values.networkPolicy.brokerFrom }}
networkPolicy.brokerFrom: is for the chart's own broker, and mosquitto.enabled is false
{{- end }}
{{- end }}
{{- end -}}

{{- define "sensorpipe.wrongKafka" -}}
{{- $kafka := .Values.kafka -}}
{{- $external := $kafka.external -}}
{{- if $kafka.enabled }}
{{- if gt (int $kafka.replicationFactor) (int $kafka.replicas) }}
kafka.replicationFactor: {{ $kafka.replicationFactor }} copies need as many brokers, and kafka.replicas is {{ $kafka.replicas }}
{{- end }}
{{- if gt (int $kafka.minInsyncReplicas) (int $kafka.replicationFactor) }}
kafka.minInsyncReplicas: {{ $kafka.minInsyncReplicas }} copies can never be written, since kafka.replicationFactor is {{ $kafka.replicationFactor }}
{{- end }}
{{- if or $external.bootstrap $external.compactorSecret $external.serverSecret $external.caSecret }}
kafka.external: is for a Kafka elsewhere; set kafka.enabled to false, or leave it empty
{{- end }}
{{- else }}
{{- if not $external.bootstrap }}
kafka.external.bootstrap: without kafka.enabled, say where Kafka is, HOST:PORT
{{- end }}
{{- if $kafka.existingSecret }}
kafka.existingSecret: is for Strimzi's Kafka, and kafka.enabled is false
{{- end }}
{{- if hasPrefix "SASL" $external.security }}
{{- range $who := list "compactor" "server" }}
{{- if not (get $external (printf "%sSecret" $who)) }}
kafka.external.{{ $who }}Secret: with {{ $external.security }}, name the Secret that holds the {{ $who }}'s `username` and `password`
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "sensorpipe.wrongDatabase" -}}
{{- $mongodb := .Values.mongodb -}}
{{- if $mongodb.enabled }}
{{- if has (lower $mongodb.database) (list "admin" "config" "local") }}
mongodb.database: `{{ $mongodb.database }}` is MongoDB's own; choose another name
{{- end }}
{{- if $mongodb.external.secret }}
mongodb.external: is for a MongoDB elsewhere; set mongodb.enabled to false, or leave it empty
{{- end }}
{{- else }}
{{- if not $mongodb.external.secret }}
mongodb.external.secret: without mongodb.enabled, name the Secret whose `uri` leads the server to its database
{{- end }}
{{- if $mongodb.existingSecret }}
mongodb.existingSecret: is for the chart's own database, and mongodb.enabled is false
{{- end }}
{{- end }}
{{- end -}}

{{- define "sensorpipe.wrongServer" -}}
{{- $scaling := .Values.server.autoscaling -}}
{{- if ne $scaling.by "none" }}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}
server.autoscaling.minReplicas: {{ $scaling.minReplicas }} is more than server.autoscaling.maxReplicas, {{ $scaling.maxReplicas }}
{{- end }}
{{- end }}
{{- $resources := .Values.server.resources -}}
{{- if and (eq $scaling.by "cpu") (not (or (dig "requests" "cpu" "" $resources) (dig "limits" "cpu" "" $resources))) }}
server.autoscaling.by: `cpu` is measured against server.resources.requests.cpu, which is not set
{{- end }}
{{- $retention := .Values.server.retention -}}
{{- if lt (include "sensorpipe.hours" $retention.windows | int64) 192 }}
server.retention.windows: {{ $retention.windows }} is less than 8d, and readings may come 7d late
{{- end }}
{{- $below := "windows" -}}
{{- range list "5m" "1h" "1d" }}
{{- if lt (include "sensorpipe.hours" (get $retention .) | int64) (include "sensorpipe.hours" (get $retention $below) | int64) }}
server.retention.{{ . }}: {{ get $retention . }} is less than server.retention.{{ $below }}, {{ get $retention $below }}
{{- end }}
{{- $below = . -}}
{{- end }}
{{- end -}}

{{- define "sensorpipe.wrongNames" -}}
{{- if and .Values.sensors.clusterWide .Values.sensors.namespaces }}
sensors.namespaces: with sensors.clusterWide Sensors may be anywhere; set one of the two
{{- end }}
{{- $name := include "sensorpipe.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) }}
fullnameOverride: `{{ $name }}` cannot begin the names of Services (lower case letters, digits and hyphens, a letter first): choose another name for the release, or set this
{{- end }}
{{- end -}}

{{/* "v1/Pod" is known only where a real cluster has answered: not to `helm template` or `lint`. */}}
{{- define "sensorpipe.wrongCluster" -}}
{{- $known := .Capabilities.APIVersions -}}
{{- if $known.Has "v1/Pod" }}
{{- if and .Values.kafka.enabled (not ($known.Has "kafka.strimzi.io/v1")) }}
kafka.enabled: this cluster does not know Strimzi's resources (kafka.strimzi.io/v1). First install its operator, 1.0 or newer, watching namespace {{ .Release.Namespace }}, which has to be there: helm install strimzi oci://quay.io/strimzi-helm/strimzi-kafka-operator --namespace strimzi --create-namespace --set 'watchNamespaces={ {{- .Release.Namespace -}} }'
{{- end }}
{{- if and (eq .Values.server.autoscaling.by "lag") (not ($known.Has "keda.sh/v1alpha1")) }}
server.autoscaling.by: `lag` needs KEDA, and this cluster does not know its resources (keda.sh/v1alpha1)
{{- end }}
{{- if and (or .Values.monitoring.podMonitor.enabled .Values.monitoring.rules.enabled) (not ($known.Has "monitoring.coreos.com/v1")) }}
monitoring: podMonitor and rules need the Prometheus operator, and this cluster does not know its resources (monitoring.coreos.com/v1)
{{- end }}
{{- end }}
{{- end -}}
