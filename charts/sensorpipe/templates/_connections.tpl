{{/*
How compactor and server reach broker, Kafka and database. What is secret reaches them as files
of one volume, never as a variable: any Secret that is missing holds the pod, and its event names it.
*/}}

{{- define "sensorpipe.connections" -}}/etc/sensorpipe/connections{{- end -}}

{{/* (list . COMPONENT): the variables that lead to Kafka. */}}
{{- define "sensorpipe.kafkaEnv" -}}
{{- $root := index . 0 -}}
{{- $folder := include "sensorpipe.connections" $root -}}
{{- $external := $root.Values.kafka.external -}}
{{- if $root.Values.kafka.enabled -}}
- {name: SENSORPIPE_KAFKA_BOOTSTRAP, value: "{{ include "sensorpipe.fullname" $root }}-kafka-bootstrap:9093"}
- {name: SENSORPIPE_KAFKA_SECURITY, value: SASL_SSL}
- {name: SENSORPIPE_KAFKA_MECHANISM, value: SCRAM-SHA-512}
- {name: SENSORPIPE_KAFKA_USERNAME, value: {{ include "sensorpipe.name" . }}}
- {name: SENSORPIPE_KAFKA_PASSWORD_FILE, value: {{ $folder }}/kafka-password}
- {name: SENSORPIPE_KAFKA_CA_FILE, value: {{ $folder }}/kafka-ca.crt}
{{- else -}}
- {name: SENSORPIPE_KAFKA_BOOTSTRAP, value: {{ quote $external.bootstrap }}}
- {name: SENSORPIPE_KAFKA_SECURITY, value: {{ $external.security }}}
{{- if hasPrefix "SASL" $external.security }}
- {name: SENSORPIPE_KAFKA_MECHANISM, value: {{ $external.mechanism }}}
- {name: SENSORPIPE_KAFKA_USERNAME_FILE, value: {{ $folder }}/kafka-username}
- {name: SENSORPIPE_KAFKA_PASSWORD_FILE, value: {{ $folder }}/kafka-password}
{{- end }}
{{- if and $external.caSecret (hasSuffix "SSL" $external.security) }}
- {name: SENSORPIPE_KAFKA_CA_FILE, value: {{ $folder }}/kafka-ca.crt}
{{- end }}
{{- end -}}
{{- end -}}

{{/* (list . COMPONENT): the files those variables name, as sources of a projected volume. */}}
{{- define "sensorpipe.kafkaFiles" -}}
{{- $root := index . 0 -}}
{{- $external := $root.Values.kafka.external -}}
{{- if $root.Values.kafka.enabled -}}
- secret:
    name: {{ include "sensorpipe.kafkaSecret" $root }}
    items: [{key: {{ index . 1 }}-password, path: kafka-password}]
- secret:
    name: {{ include "sensorpipe.fullname" $root }}-cluster-ca-cert
    items: [{key: ca.crt, path: kafka-ca.crt}]
{{- else -}}
{{- if hasPrefix "SASL" $external.security }}
- secret:
    name: {{ get $external (printf "%sSecret" (index . 1)) }}
    items: [{key: username, path: kafka-username}, {key: password, path: kafka-password}]
{{- end }}
{{- if and $external.caSecret (hasSuffix "SSL" $external.security) }}
- secret:
    name: {{ $external.caSecret }}
    items: [{key: ca.crt, path: kafka-ca.crt}]
{{- end }}
{{- end -}}
{{- end -}}

{{/* The Secret with the passwords of Strimzi's users. */}}
{{- define "sensorpipe.kafkaSecret" -}}
{{- default (include "sensorpipe.name" (list . "kafka-passwords")) .Values.kafka.existingSecret -}}
{{- end -}}

{{/* The Secret that leads the compactor to the broker. */}}
{{- define "sensorpipe.brokerSecret" -}}
{{- $mosquitto := .Values.mosquitto -}}
{{- if $mosquitto.enabled -}}
{{- default (include "sensorpipe.name" (list . "mosquitto")) $mosquitto.existingSecret -}}
{{- else -}}
{{- $mosquitto.external.compactorSecret -}}
{{- end -}}
{{- end -}}

{{/*
The Secret with the MQTT client id, since whoever connects with it has the compactor's session:
empty where nobody named one and the chart makes no Secret for the broker.
*/}}
{{- define "sensorpipe.sessionSecret" -}}
{{- $own := and .Values.mosquitto.enabled (not .Values.mosquitto.existingSecret) -}}
{{- .Values.compactor.existingSecret | default (ternary (include "sensorpipe.brokerSecret" .) "" $own) -}}
{{- end -}}

{{/* The key of it. */}}
{{- define "sensorpipe.sessionKey" -}}
{{- ternary "client-id" "compactor-client-id" (not (empty .Values.compactor.existingSecret)) -}}
{{- end -}}

{{/*
The client id that the chart makes. A broker's Secret without one is from a release that had the
compactor's name as client id: with another, all that is queued for its session would be lost.
*/}}
{{- define "sensorpipe.sessionId" -}}
{{- $secret := include "sensorpipe.brokerSecret" . -}}
{{- $held := lookup "v1" "Secret" .Release.Namespace $secret -}}
{{- $first := ternary "" .Values.compactor.clientId (empty $held) -}}
{{- include "sensorpipe.password" (list . $secret "compactor-client-id" $first) -}}
{{- end -}}

{{/* Changes when the client id does. */}}
{{- define "sensorpipe.sessionVersion" -}}
{{- if .Values.compactor.existingSecret -}}
{{- include "sensorpipe.secretVersion" (list $ .Values.compactor.existingSecret "") -}}
{{- else if include "sensorpipe.sessionSecret" . -}}
{{- printf "%s/%s" .Release.Namespace (include "sensorpipe.sessionId" .) | sha256sum -}}
{{- end -}}
{{- end -}}

{{/* The Secret that leads the server to the database. */}}
{{- define "sensorpipe.databaseSecret" -}}
{{- $mongodb := .Values.mongodb -}}
{{- if $mongodb.enabled -}}
{{- default (include "sensorpipe.name" (list . "mongodb")) $mongodb.existingSecret -}}
{{- else -}}
{{- $mongodb.external.secret -}}
{{- end -}}
{{- end -}}

{{/*
(list . SECRET KEY): changes when the Secret does, and tells nothing of what it holds. KEY is a
password that this chart makes in it, or empty for a Secret that somebody else made.
*/}}
{{- define "sensorpipe.secretVersion" -}}
{{- $root := index . 0 -}}
{{- $secret := index . 1 -}}
{{- if not $secret -}}
{{- else if index . 2 -}}
{{- printf "%s/%s/%s" $root.Release.Namespace $secret (include "sensorpipe.password" .) | sha256sum -}}
{{- else -}}
{{- $metadata := (lookup "v1" "Secret" $root.Release.Namespace $secret).metadata | default dict -}}
{{- printf "%s/%s" $secret (get $metadata "resourceVersion") -}}
{{- end -}}
{{- end -}}

{{/* (list . COMPONENT): the versions of the Secrets for Kafka; Strimzi's CA comes after the pods. */}}
{{- define "sensorpipe.kafkaVersion" -}}
{{- $root := index . 0 -}}
{{- $external := $root.Values.kafka.external -}}
{{- if $root.Values.kafka.enabled -}}
{{- $made := not $root.Values.kafka.existingSecret -}}
{{- $key := ternary (printf "%s-password" (index . 1)) "" $made -}}
{{- include "sensorpipe.secretVersion" (list $root (include "sensorpipe.kafkaSecret" $root) $key) -}}
{{- else -}}
{{- include "sensorpipe.secretVersion" (list $root (get $external (printf "%sSecret" (index . 1))) "") -}}
{{- include "sensorpipe.secretVersion" (list $root $external.caSecret "") -}}
{{- end -}}
{{- end -}}

{{/* The same for the broker and the database. */}}
{{- define "sensorpipe.brokerVersion" -}}
{{- $made := and .Values.mosquitto.enabled (not .Values.mosquitto.existingSecret) -}}
{{- include "sensorpipe.secretVersion" (list . (include "sensorpipe.brokerSecret" .) (ternary "compactor-password" "" $made)) -}}
{{- end -}}

{{- define "sensorpipe.databaseVersion" -}}
{{- $made := and .Values.mongodb.enabled (not .Values.mongodb.existingSecret) -}}
{{- include "sensorpipe.secretVersion" (list . (include "sensorpipe.databaseSecret" .) (ternary "server-password" "" $made)) -}}
{{- end -}}
