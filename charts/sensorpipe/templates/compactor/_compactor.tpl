{{/*
A compactor: the one that is always there, or a shard. Helpers take (list . SHARD); SHARD is an entry of
compactor.shards, or an empty dict.
*/}}

{{- define "sensorpipe.compactorName" -}}
{{- $shard := index . 1 -}}
{{- include "sensorpipe.name" (list (index . 0) (ternary (printf "compactor-%s" $shard.name) "compactor" (not (empty $shard)))) -}}
{{- end -}}

{{/* Its name in partials; and its MQTT client id, if no Secret has one. */}}
{{- define "sensorpipe.compactorOwnName" -}}
{{- with (index . 1).name -}}{{- printf "%s-%s" (index $ 0).Values.compactor.clientId . -}}
{{- else -}}{{- (index . 0).Values.compactor.clientId -}}{{- end -}}
{{- end -}}

{{/* Labels that select its pod; those of shards are no more general than of one shard. */}}
{{- define "sensorpipe.compactorSelector" -}}
{{- $shard := index . 1 -}}
{{ include "sensorpipe.selectorLabels" (list (index . 0) (include "sensorpipe.compactorComponent" .)) }}
{{- if $shard }}
sensorpipe.dev/shard: {{ $shard.name }}
{{- end }}
{{- end -}}

{{- define "sensorpipe.compactorComponent" -}}
compactor{{ if index . 1 }}-shard{{ end }}
{{- end -}}

{{- define "sensorpipe.compactorLabels" -}}
{{ include "sensorpipe.labels" (list (index . 0) (include "sensorpipe.compactorComponent" .)) }}
{{- with (index . 1).name }}
sensorpipe.dev/shard: {{ . }}
{{- end }}
{{- end -}}

{{- define "sensorpipe.compactorPodLabels" -}}
{{ include "sensorpipe.partLabels" (list (index . 0) (include "sensorpipe.compactorComponent" .)) }}
{{- with (index . 1).name }}
sensorpipe.dev/shard: {{ . }}
{{- end }}
{{- with include "sensorpipe.addedLabels" (list (index . 0) "compactor") }}
{{ . }}
{{- end }}
{{- end -}}

{{/* TOPIC: a topic filter, or a list of them, as the setting. */}}
{{- define "sensorpipe.topics" -}}
{{- if kindIs "slice" . -}}{{- join "," . -}}{{- else -}}{{- . -}}{{- end -}}
{{- end -}}

{{- define "sensorpipe.compactorDeployment" -}}
{{- $root := index . 0 -}}
{{- $shard := index . 1 -}}
{{- $own := $shard | default $root.Values.compactor -}}
{{- $part := list $root "compactor" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "sensorpipe.compactorName" $ }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "sensorpipe.compactorLabels" $ | nindent 4 }}
spec:
  # never two pods at a time: the second would take over the MQTT session of the first
  replicas: 1
  strategy: {type: Recreate}
  revisionHistoryLimit: 3
  selector:
    matchLabels: {{- include "sensorpipe.compactorSelector" $ | nindent 6 }}
  template:
    metadata:
      labels: {{- include "sensorpipe.compactorPodLabels" $ | nindent 8 }}
      annotations:
        checksum/secrets: {{ list (include "sensorpipe.compactorBrokerVersion" $) (include "sensorpipe.sessionVersion" $) (include "sensorpipe.kafkaVersion" $part) | join " " | sha256sum }}
        {{- with include "sensorpipe.podAnnotations" $part }}
        {{- . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "sensorpipe.pod" $part | nindent 6 }}
      # otherwise Python is process 1, which ignores a SIGTERM sent before it has installed a handler
      shareProcessNamespace: true
      # the last flush waits up to 20 s for Kafka, closing up to 5 s
      terminationGracePeriodSeconds: 45
      containers:
        - name: compactor
          image: {{ include "sensorpipe.image" (list $root $root.Values.compactor.image) | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          command: [sensorpipe-compactor]
          env:
            - {name: SENSORPIPE_MQTT_URL_FILE, value: {{ include "sensorpipe.connections" $root }}/mqtt-url}
            {{- if include "sensorpipe.compactorCaKey" $ }}
            - {name: SENSORPIPE_MQTT_CA_FILE, value: {{ include "sensorpipe.connections" $root }}/mqtt-ca.crt}
            {{- end }}
            {{- if include "sensorpipe.sessionSecret" $ }}
            - {name: SENSORPIPE_MQTT_CLIENT_ID_FILE, value: {{ include "sensorpipe.connections" $root }}/mqtt-client-id}
            {{- else }}
            - {name: SENSORPIPE_MQTT_CLIENT_ID, value: {{ include "sensorpipe.compactorOwnName" $ | quote }}}
            {{- end }}
            - {name: SENSORPIPE_COMPACTOR_NAME, value: {{ include "sensorpipe.compactorOwnName" $ | quote }}}
            - {name: SENSORPIPE_MQTT_TOPIC, value: {{ include "sensorpipe.topics" $own.topic | quote }}}
            {{- if $own.takingOver }}
            - {name: SENSORPIPE_TAKING_OVER, value: "true"}
            {{- end }}
            {{- include "sensorpipe.kafkaEnv" $part | nindent 12 }}
            - {name: SENSORPIPE_KAFKA_COMPRESSION, value: {{ $root.Values.compactor.compression }}}
            - {name: SENSORPIPE_WINDOW, value: {{ quote $root.Values.compactor.window }}}
            - {name: SENSORPIPE_LATENESS, value: {{ quote $root.Values.compactor.lateness }}}
            - {name: SENSORPIPE_SOURCE_BYTES, value: {{ $root.Values.compactor.sourceBytes | int64 | quote }}}
            {{- if not $shard }}
            - {name: SENSORPIPE_FEEDS, value: /etc/sensorpipe/feeds}
            {{- end }}
            - {name: SENSORPIPE_LOG_LEVEL, value: {{ $root.Values.compactor.logLevel }}}
            {{- with $root.Values.compactor.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - {name: http, containerPort: 9090, protocol: TCP}
          startupProbe:
            httpGet: {path: /healthz, port: http}
            periodSeconds: 1
            timeoutSeconds: 5
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /healthz, port: http}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: {path: /readyz, port: http}
            periodSeconds: 2
            timeoutSeconds: 5
          terminationMessagePolicy: FallbackToLogsOnError
          resources: {{- toYaml ($own.resources | default $root.Values.compactor.resources) | nindent 12 }}
          securityContext: {{- include "sensorpipe.containerSecurityContext" $root | nindent 12 }}
          volumeMounts:
            - {name: connections, mountPath: {{ include "sensorpipe.connections" $root }}, readOnly: true}
            {{- if not $shard }}
            - {name: feeds, mountPath: /etc/sensorpipe/feeds, readOnly: true}
            {{- end }}
            {{- with $root.Values.compactor.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        {{- with $root.Values.compactor.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- if not $shard }}
        # optional: without Feeds the compactor takes the readings of generators
        - name: feeds
          configMap: {name: {{ include "sensorpipe.name" (list $root "feeds") }}, defaultMode: 0440, optional: true}
        {{- end }}
        - name: connections
          projected:
            defaultMode: 0440
            sources:
              - secret:
                  name: {{ include "sensorpipe.compactorBroker" $ }}
                  items:
                    - {key: {{ ternary "url" "compactor-url" (or (not $root.Values.mosquitto.enabled) (not (empty $shard.brokerSecret))) }}, path: mqtt-url}
                    {{- with include "sensorpipe.compactorCaKey" $ }}
                    - {key: {{ quote . }}, path: mqtt-ca.crt}
                    {{- end }}
              {{- with include "sensorpipe.sessionSecret" $ }}
              - secret:
                  name: {{ . }}
                  items: [{key: {{ include "sensorpipe.sessionKey" $ }}, path: mqtt-client-id}]
              {{- end }}
              {{- include "sensorpipe.kafkaFiles" $part | nindent 14 }}
{{- end -}}

{{/* Of (list . SHARD) only: the operator asks the other one what became of the Feeds. */}}
{{- define "sensorpipe.compactorPolicy" -}}
{{- $root := index . 0 -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "sensorpipe.compactorName" . }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "sensorpipe.compactorLabels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "sensorpipe.compactorSelector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with include "sensorpipe.fromMetrics" (list $root 9090) }}
  ingress: {{- . | nindent 4 }}
  {{- else }}
  ingress: []
  {{- end }}
  egress:
    {{- include "sensorpipe.toDns" $root | nindent 4 }}
    {{- if (index . 1).brokerSecret }}
    {{- include "sensorpipe.toAnywhere" $root | nindent 4 }}
    {{- else }}
    {{- include "sensorpipe.toBroker" $root | nindent 4 }}
    {{- end }}
    {{- include "sensorpipe.toKafka" $root | nindent 4 }}
{{- end -}}
