{{/* Warnings at the end of NOTES. */}}
{{- define "sensorpipe.warnings" -}}
{{- $secret := include "sensorpipe.generatorSecret" . -}}
{{- if .Values.sensors.clusterWide }}

Sensors may be in any namespace. Their generators read the broker's URL from the Secret
{{ $secret }}, which must exist in each of these namespaces{{ if .Values.mosquitto.enabled }}:

kubectl get secret {{ $secret }} --namespace {{ .Release.Namespace }} -o jsonpath={.data.url} | base64 -d |
  kubectl create secret generic {{ $secret }} --namespace NAMESPACE --from-file=url=/dev/stdin
{{- else }}.
{{- end }}
{{- if .Values.networkPolicy.enabled }}

The chart has no NetworkPolicy for generators in other namespaces.
{{- end }}
{{- else if not .Values.mosquitto.enabled }}

Generators read the broker's URL from the Secret {{ $secret }}, which must exist in each namespace
with Sensors: {{ include "sensorpipe.sensorNamespaces" . | replace "," ", " }}.
{{- end }}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.apiFrom) (ne .Values.server.service.type "ClusterIP") }}

The Service has type {{ .Values.server.service.type }}, but no client may use the API: networkPolicy.apiFrom is empty.
{{- end }}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.apiFrom) (or .Values.server.ingress.enabled .Values.server.httpRoute.enabled) }}

The API has an Ingress or HTTPRoute, but its controller may not connect: networkPolicy.apiFrom is empty.
{{- end }}
{{- if and .Values.server.ingress.enabled (not .Values.server.ingress.tls) .Values.server.auth.enabled }}

The Ingress has no TLS: tokens can be read on the way. Set server.ingress.tls, unless TLS ends elsewhere.
{{- end }}
{{- if and (not .Values.server.auth.enabled) (or .Values.server.ingress.enabled .Values.server.httpRoute.enabled (ne .Values.server.service.type "ClusterIP")) }}

Everybody who reaches the API reads everything: server.auth.enabled is false.
{{- end }}
{{- if and .Values.mosquitto.enabled (ne .Values.mosquitto.service.type "ClusterIP") }}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.brokerFrom) }}

The broker's Service has type {{ .Values.mosquitto.service.type }}, but no device outside may connect: networkPolicy.brokerFrom is empty.
{{- else }}

Devices outside connect to the broker without encryption: use only networks that you trust.
{{- end }}
{{- end }}
{{- if and (include "sensorpipe.deviceListener" .) .Values.networkPolicy.enabled (not .Values.networkPolicy.devicesFrom) }}

The broker has a listener with TLS, but no device may connect to it: networkPolicy.devicesFrom is empty.
{{- end }}
{{- if and (include "sensorpipe.deviceListener" .) (or (not .Values.networkPolicy.enabled) .Values.networkPolicy.brokerFrom) }}

Devices with users of their own can also reach the broker at port 1883, where they are not bound to
their client ids: a device can end the connection of another. Let only generators reach that port.
{{- end }}
{{- if and .Values.networkPolicy.enabled .Values.monitoring.podMonitor.enabled (not .Values.networkPolicy.metricsFrom) }}

There is a PodMonitor, but no client may read metrics: networkPolicy.metricsFrom is empty.
{{- end }}
{{- if and .Values.networkPolicy.enabled (or .Values.monitoring.sensorMonitor.enabled .Values.monitoring.sensorDashboard.enabled) (not .Values.networkPolicy.apiFrom) }}

There is a PodMonitor or a dashboard for what the sensors measure, but no client may use the API:
networkPolicy.apiFrom is empty.
{{- end }}
{{- if .Values.kafka.enabled }}
{{- if eq (int .Values.kafka.replicas) 1 }}

Kafka has one broker and one replica of each partition, for trying it out. An upgrade cannot
change this.
{{- else if ge (int .Values.kafka.minInsyncReplicas) (int .Values.kafka.replicationFactor) }}

While any Kafka broker is down, nothing can be written: kafka.minInsyncReplicas is as large as
kafka.replicationFactor.
{{- end }}
{{- end }}
{{- if and (not .Values.kafka.enabled) (contains "PLAINTEXT" .Values.kafka.external.security) }}

Connections to Kafka are not encrypted: kafka.external.security is {{ .Values.kafka.external.security }}.
{{- end }}
{{- if not .Values.crds.keep }}

helm uninstall will delete the resources Sensor and Feed and with them all Sensors and Feeds: crds.keep
is false.
{{- end }}
{{- end -}}
