{{/* Checks that values.schema.json cannot express: fails once, with all problems. */}}
{{- define "sensorpipe.validate" -}}
{{- $found := concat
      (include "sensorpipe.wrongBroker" . | splitList "\n")
      (include "sensorpipe.wrongDevices" . | splitList "\n")
      (include "sensorpipe.wrongCompactors" . | splitList "\n")
      (include "sensorpipe.wrongKafka" . | splitList "\n")
      (include "sensorpipe.wrongDatabase" . | splitList "\n")
      (include "sensorpipe.wrongServer" . | splitList "\n")
      (include "sensorpipe.wrongAccess" . | splitList "\n")
      (include "sensorpipe.wrongNames" . | splitList "\n")
      (include "sensorpipe.wrongPods" . | splitList "\n")
      (include "sensorpipe.wrongCluster" . | splitList "\n")
      (include "sensorpipe.wrongUpgrade" . | splitList "\n") -}}
{{- $problems := list -}}
{{- range $found -}}{{- with trim . -}}{{- $problems = append $problems . -}}{{- end -}}{{- end -}}
{{- if $problems -}}
{{- fail (printf "\n\nThis cannot be installed:\n- %s\n" (join "\n- " $problems)) -}}
{{- end -}}
{{- end -}}

{{/* Each of these yields one problem per line. */}}
{{- define "sensorpipe.wrongBroker" -}}
{{- $external := .Values.mosquitto.external -}}
{{- if .Values.mosquitto.enabled }}
{{- if or $external.compactorSecret $external.generatorSecret $external.caKey }}
mosquitto.external: is only used with mosquitto.enabled=false; set that, or leave it empty
{{- end }}
{{- else }}
{{- if not $external.compactorSecret }}
mosquitto.external.compactorSecret: is required with mosquitto.enabled=false: the Secret with the compactor's `url` of the broker
{{- end }}
{{- if not $external.generatorSecret }}
mosquitto.external.generatorSecret: is required with mosquitto.enabled=false: the Secret with the generators' `url` of the broker
{{- end }}
{{- if .Values.mosquitto.existingSecret }}
mosquitto.existingSecret: is only used with mosquitto.enabled=true
{{- end }}
{{- if .Values.networkPolicy.brokerFrom }}
networkPolicy.brokerFrom: is only used with mosquitto.enabled=true
{{- end }}
{{- end }}
{{- end -}}

{{- define "sensorpipe.wrongDevices" -}}
{{- $devices := .Values.mosquitto.devices -}}
{{- $users := or $devices.users $devices.passwordFile.secretName -}}
{{- $topics := .Values.mosquitto.deviceTopics -}}
{{- if not .Values.mosquitto.enabled }}
{{- if or $devices.tls.secretName $users $topics }}
mosquitto.devices: is only used with mosquitto.enabled=true; give devices users and topics at your own broker
{{- end }}
{{- else }}
{{- if and $users (not $devices.tls.secretName) }}
mosquitto.devices.tls.secretName: is required with users for devices: the Secret with the broker's certificate
{{- end }}
{{- if and $devices.tls.secretName (not $users) }}
mosquitto.devices.users: no device can use mosquitto.devices.tls; add users, or set mosquitto.devices.passwordFile.secretName
{{- end }}
{{- if and $topics (not $users) }}
mosquitto.deviceTopics: no device may write them; add mosquitto.devices.users, or set mosquitto.devices.passwordFile.secretName
{{- end }}
{{- $taken := list "generator" "compactor" .Values.compactor.clientId }}
{{- range .Values.compactor.shards }}
{{- $taken = append $taken (include "sensorpipe.compactorOwnName" (list $ .)) }}
{{- end }}
{{- range $devices.users }}
{{- if has .username $taken }}
mosquitto.devices.users: the username `{{ .username }}` is taken: by another user, the pipeline's own, or compactor.clientId
{{- end }}
{{- $taken = append $taken .username }}
{{- end }}
{{- end }}
{{- if and .Values.networkPolicy.devicesFrom (not (include "sensorpipe.deviceListener" .)) }}
networkPolicy.devicesFrom: is only used with mosquitto.devices.tls.secretName
{{- end }}
{{- end -}}

{{- define "sensorpipe.wrongKafka" -}}
{{- $kafka := .Values.kafka -}}
{{- $external := $kafka.external -}}
{{- if $kafka.enabled }}
{{- if gt (int $kafka.replicationFactor) (int $kafka.replicas) }}
kafka.replicationFactor: {{ $kafka.replicationFactor }} replicas need as many brokers, but kafka.replicas is {{ $kafka.replicas }}
{{- end }}
{{- if gt (int $kafka.minInsyncReplicas) (int $kafka.replicationFactor) }}
kafka.minInsyncReplicas: {{ $kafka.minInsyncReplicas }} is greater than kafka.replicationFactor, {{ $kafka.replicationFactor }}: nothing could be written
{{- end }}
{{- if or $external.bootstrap $external.compactorSecret $external.serverSecret $external.caSecret }}
kafka.external: is only used with kafka.enabled=false; set that, or leave it empty
{{- end }}
{{- else }}
{{- if not $external.bootstrap }}
kafka.external.bootstrap: is required with kafka.enabled=false: HOST:PORT
{{- end }}
{{- if $kafka.existingSecret }}
kafka.existingSecret: is only used with kafka.enabled=true
{{- end }}
{{- if hasPrefix "SASL" $external.security }}
{{- range $who := list "compactor" "server" }}
{{- if not (get $external (printf "%sSecret" $who)) }}
kafka.external.{{ $who }}Secret: is required with {{ $external.security }}: the Secret with the {{ $who }}'s `username` and `password`
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
mongodb.external: is only used with mongodb.enabled=false; set that, or leave it empty
{{- end }}
{{- else }}
{{- if not $mongodb.external.secret }}
mongodb.external.secret: is required with mongodb.enabled=false: the Secret with the `uri` of the server's database
{{- end }}
{{- if $mongodb.existingSecret }}
mongodb.existingSecret: is only used with mongodb.enabled=true
{{- end }}
{{- end }}
{{- end -}}

{{- define "sensorpipe.wrongServer" -}}
{{- $scaling := .Values.server.autoscaling -}}
{{- if ne $scaling.by "none" }}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}
server.autoscaling.minReplicas: {{ $scaling.minReplicas }} is greater than server.autoscaling.maxReplicas, {{ $scaling.maxReplicas }}
{{- end }}
{{- end }}
{{- $resources := .Values.server.resources -}}
{{- if and (eq $scaling.by "cpu") (not (or (dig "requests" "cpu" "" $resources) (dig "limits" "cpu" "" $resources))) }}
server.autoscaling.by: `cpu` needs server.resources.requests.cpu, which is not set
{{- end }}
{{- $retention := .Values.server.retention -}}
{{- if lt (include "sensorpipe.hours" $retention.windows | int64) 192 }}
server.retention.windows: {{ $retention.windows }} is less than 8d; readings may arrive up to 7d late
{{- end }}
{{- $below := "windows" -}}
{{- range list "5m" "1h" "1d" }}
{{- if lt (include "sensorpipe.hours" (get $retention .) | int64) (include "sensorpipe.hours" (get $retention $below) | int64) }}
server.retention.{{ . }}: {{ get $retention . }} is less than server.retention.{{ $below }}, {{ get $retention $below }}
{{- end }}
{{- $below = . -}}
{{- end }}
{{- end -}}

{{- define "sensorpipe.wrongAccess" -}}
{{- $auth := .Values.server.auth -}}
{{- $monitor := .Values.monitoring.sensorMonitor -}}
{{- if $auth.enabled }}
{{- $names := list "cluster" }}
{{- range $at, $issuer := $auth.issuers }}
{{- $names = append $names ($issuer.name | default $issuer.issuer) }}
{{- range $field := list "jwksFile" "secretFile" "caFile" }}
{{- if and (get $issuer $field) (not $auth.secretName) }}
server.auth.issuers[{{ $at }}].{{ $field }}: is a key of server.auth.secretName, which is empty
{{- end }}
{{- end }}
{{- end }}
{{- if ne (len $names) (len (uniq $names)) }}
server.auth.issuers: each needs a name of its own, other than `cluster`, the cluster's own tokens
{{- end }}
{{- range $at, $grant := $auth.grants }}
{{- if not (has $grant.issuer $names) }}
server.auth.grants[{{ $at }}].issuer: must be one of {{ join ", " $names }}
{{- end }}
{{- end }}
{{- if and $monitor.enabled (not $monitor.tokenSecret.name) (not (has "metrics" $auth.anonymous.scopes)) }}
monitoring.sensorMonitor.tokenSecret.name: is required with server.auth.enabled: a Secret with a token that has the scope `metrics`; or grant that scope to server.auth.anonymous
{{- end }}
{{- end }}
{{- if and .Values.server.ingress.enabled (not .Values.server.ingress.hosts) }}
server.ingress.hosts: is required with server.ingress.enabled=true
{{- end }}
{{- if and .Values.server.httpRoute.enabled (not .Values.server.httpRoute.parentRefs) }}
server.httpRoute.parentRefs: is required with server.httpRoute.enabled=true: the Gateway
{{- end }}
{{- end -}}

{{- define "sensorpipe.wrongNames" -}}
{{- if and .Values.sensors.clusterWide .Values.sensors.namespaces }}
sensors.namespaces: sensors.clusterWide allows all namespaces already; set only one of the two
{{- end }}
{{- $name := include "sensorpipe.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) }}
fullnameOverride: `{{ $name }}` is not a valid prefix of Service names (lower-case letters, digits and hyphens, beginning with a letter): choose another release name, or set this value
{{- end }}
{{- end -}}

{{/* "v1/Pod" is only known if a cluster has answered: not to `helm template` or `helm lint`. */}}
{{- define "sensorpipe.wrongCluster" -}}
{{- $known := .Capabilities.APIVersions -}}
{{- if $known.Has "v1/Pod" }}
{{- if and .Values.kafka.enabled (not ($known.Has "kafka.strimzi.io/v1")) }}
kafka.enabled: Strimzi's resources (kafka.strimzi.io/v1) are not installed in this cluster. First install Strimzi 1.0 or newer, watching the namespace {{ .Release.Namespace }}, which must exist: helm install strimzi oci://quay.io/strimzi-helm/strimzi-kafka-operator --namespace strimzi --create-namespace --set 'watchNamespaces={ {{- .Release.Namespace -}} }'
{{- end }}
{{- if and (eq .Values.server.autoscaling.by "lag") (not ($known.Has "keda.sh/v1alpha1")) }}
server.autoscaling.by: `lag` needs KEDA, whose resources (keda.sh/v1alpha1) are not installed in this cluster
{{- end }}
{{- if and .Values.server.httpRoute.enabled (not ($known.Has "gateway.networking.k8s.io/v1")) }}
server.httpRoute: needs the Gateway API, whose resources (gateway.networking.k8s.io/v1) are not installed in this cluster
{{- end }}
{{- if and (or .Values.monitoring.podMonitor.enabled .Values.monitoring.sensorMonitor.enabled .Values.monitoring.rules.enabled) (not ($known.Has "monitoring.coreos.com/v1")) }}
monitoring: podMonitor, sensorMonitor and rules need the Prometheus operator, whose resources (monitoring.coreos.com/v1) are not installed in this cluster
{{- end }}
{{- end }}
{{- end -}}
