{{/* Services, and rules of NetworkPolicies, as several components have them. */}}

{{/* TYPE: of a Service; policies are to see who comes, and not the node that passes it on. */}}
{{- define "sensorpipe.serviceType" -}}
type: {{ . }}
{{- if eq . "LoadBalancer" }}
externalTrafficPolicy: Local
{{- end }}
{{- end -}}

{{/* To names: of pods behind the cluster's DNS, or a node's own; 5353 is where OpenShift's are. */}}
{{- define "sensorpipe.toDns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
    - {port: 5353, protocol: UDP}
    - {port: 5353, protocol: TCP}
{{- end -}}

{{/* To the broker; an external one's address is in a Secret, so that nothing is known of it. */}}
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

{{/* To Kafka; an external one's brokers may be anywhere, on the ports of the bootstrap addresses. */}}
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

{{/* To the database; an external one's address is in a Secret. */}}
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

{{/* By TCP to any address and port. */}}
{{- define "sensorpipe.toAnywhere" -}}
- ports: [{port: 1, endPort: 65535, protocol: TCP}]
{{- end -}}

{{/* (list . PORT): from whoever may read metrics. Probes come from the node, which always may. */}}
{{- define "sensorpipe.fromMetrics" -}}
{{- with (index . 0).Values.networkPolicy.metricsFrom -}}
- from: {{- toYaml . | nindent 4 }}
  ports: [{port: {{ index $ 1 }}, protocol: TCP}]
{{- end -}}
{{- end -}}
