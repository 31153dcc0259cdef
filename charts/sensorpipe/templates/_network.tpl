{{/* Parts of Services and NetworkPolicies that several components share. */}}

{{/* TYPE of a Service; keeps the client's address, so that policies apply to it and not to a node. */}}
{{- define "sensorpipe.serviceType" -}}
type: {{ . }}
{{- if eq . "LoadBalancer" }}
externalTrafficPolicy: Local
{{- end }}
{{- end -}}

{{/* To DNS: pods or a node's own cache; OpenShift's pods listen at 5353. */}}
{{- define "sensorpipe.toDns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
    - {port: 5353, protocol: UDP}
    - {port: 5353, protocol: TCP}
{{- end -}}

{{/* To the broker; the address of an external one is in a Secret, and so unknown here. */}}
{{- define "sensorpipe.toBroker" -}}
{{- if .Values.mosquitto.enabled -}}
- to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .Release.Namespace }}}}
      podSelector:
        matchLabels: {{- include "sensorpipe.selectorLabels" (list . "mosquitto") | nindent 10 }}
  ports: [{port: 1883, protocol: TCP}]
{{- else -}}
{{- include "sensorpipe.toAnywhere" . -}}
{{- end -}}
{{- end -}}

{{/* To Kafka; to an external one at any address, on the ports of the bootstrap addresses. */}}
{{- define "sensorpipe.toKafka" -}}
{{- if .Values.kafka.enabled -}}
- to:
    - podSelector:
        matchLabels: {{- include "sensorpipe.kafkaBrokers" . | nindent 10 }}
  ports: [{port: 9093, protocol: TCP}]
{{- else -}}
{{- $ports := list -}}
{{- range splitList "," .Values.kafka.external.bootstrap -}}
{{- $ports = append $ports (regexFind "[0-9]+$" (trim .) | default "9092") -}}
{{- end -}}
- ports:
    {{- range uniq $ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end -}}
{{- end -}}

{{/* To the database; the address of an external one is in a Secret, and so unknown here. */}}
{{- define "sensorpipe.toDatabase" -}}
{{- if .Values.mongodb.enabled -}}
- to:
    - podSelector:
        matchLabels: {{- include "sensorpipe.selectorLabels" (list . "mongodb") | nindent 10 }}
  ports: [{port: 27017, protocol: TCP}]
{{- else -}}
{{- include "sensorpipe.toAnywhere" . -}}
{{- end -}}
{{- end -}}

{{/* TCP to any address and port. */}}
{{- define "sensorpipe.toAnywhere" -}}
- ports: [{port: 1, endPort: 65535, protocol: TCP}]
{{- end -}}

{{/* (list . PORT): from clients that may read metrics. Probes come from the node and always work. */}}
{{- define "sensorpipe.fromMetrics" -}}
{{- with (index . 0).Values.networkPolicy.metricsFrom -}}
- from: {{- toYaml . | nindent 4 }}
  ports: [{port: {{ index $ 1 }}, protocol: TCP}]
{{- end -}}
{{- end -}}
