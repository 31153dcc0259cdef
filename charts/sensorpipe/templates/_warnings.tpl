{{/* What the one who installs should know, for NOTES. */}}
{{- define "sensorpipe.warnings" -}}
{{- $secret := include "sensorpipe.generatorSecret" . -}}
{{- if .Values.sensors.clusterWide }}

Sensors may be in any namespace. Their generators reach the broker by the Secret
{{ $secret }}, which has to be in each of these namespaces{{ if .Values.mosquitto.enabled }}:

kubectl get secret {{ $secret }} --namespace {{ .Release.Namespace }} -o jsonpath={.data.url} | base64 -d |
  kubectl create secret generic {{ $secret }} --namespace NAMESPACE --from-file=url=/dev/stdin
{{- else }}.
{{- end }}
{{- if .Values.networkPolicy.enabled }}

No NetworkPolicy of this chart limits the generators there.
{{- end }}
{{- else if not .Values.mosquitto.enabled }}

Generators reach the broker by the Secret {{ $secret }}, which has to be in each namespace with
Sensors: {{ include "sensorpipe.sensorNamespaces" . | replace "," ", " }}.
{{- end }}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.apiFrom) (ne .Values.server.service.type "ClusterIP") }}

The Service is a {{ .Values.server.service.type }}, but nobody may reach the API through it: networkPolicy.apiFrom is empty.
{{- end }}
{{- if and .Values.mosquitto.enabled (ne .Values.mosquitto.service.type "ClusterIP") }}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.brokerFrom) }}

The broker's Service is a {{ .Values.mosquitto.service.type }}, but nobody outside may reach it: networkPolicy.brokerFrom is empty.
{{- else }}

Devices outside reach the broker without encryption: let only a network between that you trust.
{{- end }}
{{- end }}
{{- if and .Values.networkPolicy.enabled .Values.monitoring.podMonitor.enabled (not .Values.networkPolicy.metricsFrom) }}

There is a PodMonitor, but nobody may read metrics: networkPolicy.metricsFrom is empty.
{{- end }}
{{- if .Values.kafka.enabled }}
{{- if eq (int .Values.kafka.replicas) 1 }}

Kafka is one broker with one copy of each record: right for trying it out. An upgrade cannot
change that.
{{- else if ge (int .Values.kafka.minInsyncReplicas) (int .Values.kafka.replicationFactor) }}

While any Kafka broker is away nothing can be written: kafka.minInsyncReplicas is as large as
kafka.replicationFactor.
{{- end }}
{{- end }}
{{- if and (not .Values.kafka.enabled) (contains "PLAINTEXT" .Values.kafka.external.security) }}

What goes to Kafka is not encrypted: kafka.external.security is {{ .Values.kafka.external.security }}.
{{- end }}
{{- if not .Values.crds.keep }}

helm uninstall will remove the Sensor resource and with it all Sensors: crds.keep is false.
{{- end }}
{{- end -}}
