{{/*
Connections of compactor and server to broker, Kafka and database. Secrets are files in one volume,
never variables: the pod waits for a missing Secret, which its event names.
*/}}

{{- define "sensorpipe.connections" -}}/etc/sensorpipe/connections{{- end -}}

{{/* (list . COMPONENT): the variables for the connection to Kafka. */}}
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

{{/* (list . COMPONENT): the files that these variables name, as sources of a projected volume. */}}
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

{{/* The name of the Secret with the compactor's connection to the broker. */}}
{{- define "sensorpipe.brokerSecret" -}}
{{- $mosquitto := .Values.mosquitto -}}
{{- if $mosquitto.enabled -}}
{{- default (include "sensorpipe.name" (list . "mosquitto")) $mosquitto.existingSecret -}}
{{- else -}}
{{- $mosquitto.external.compactorSecret -}}
{{- end -}}
{{- end -}}

{{/* (list . SHARD): the name of the Secret with a compactor's connection to its broker. */}}
{{- define "sensorpipe.compactorBroker" -}}
{{- (index . 1).brokerSecret | default (include "sensorpipe.brokerSecret" (index . 0)) -}}
{{- end -}}

{{/* (list . SHARD): the key in it with the broker's CA certificates; empty for the system's CAs. */}}
{{- define "sensorpipe.compactorCaKey" -}}
{{- $mosquitto := (index . 0).Values.mosquitto -}}
{{- if (index . 1).brokerSecret -}}
{{- (index . 1).caKey -}}
{{- else if not $mosquitto.enabled -}}
{{- $mosquitto.external.caKey -}}
{{- end -}}
{{- end -}}

{{/*
(list . SHARD): the name of the Secret with the MQTT client id, which gives access to the compactor's
session; empty if none is configured and the chart creates no Secret for the broker.
*/}}
{{- define "sensorpipe.sessionSecret" -}}
{{- $root := index . 0 -}}
{{- $own := and $root.Values.mosquitto.enabled (not $root.Values.mosquitto.existingSecret) -}}
{{- $given := (index . 1 | default $root.Values.compactor).existingSecret -}}
{{- $given | default (ternary (include "sensorpipe.brokerSecret" $root) "" $own) -}}
{{- end -}}

{{/* (list . SHARD): the key of the client id in that Secret. */}}
{{- define "sensorpipe.sessionKey" -}}
{{- if (index . 1 | default (index . 0).Values.compactor).existingSecret -}}
client-id
{{- else -}}
compactor-client-id{{ with (index . 1).name }}-{{ . }}{{ end }}
{{- end -}}
{{- end -}}

{{/* (list . SHARD): a text that changes with the client id. */}}
{{- define "sensorpipe.sessionVersion" -}}
{{- $root := index . 0 -}}
{{- $given := (index . 1 | default $root.Values.compactor).existingSecret -}}
{{- if $given -}}
{{- include "sensorpipe.secretVersion" (list $root $given "") -}}
{{- else if include "sensorpipe.sessionSecret" . -}}
{{- include "sensorpipe.secretVersion" (list $root (include "sensorpipe.sessionSecret" .) (include "sensorpipe.sessionKey" .)) -}}
{{- end -}}
{{- end -}}

{{/* The name of the Secret with the URI of the server's database. */}}
{{- define "sensorpipe.databaseSecret" -}}
{{- $mongodb := .Values.mongodb -}}
{{- if $mongodb.enabled -}}
{{- default (include "sensorpipe.name" (list . "mongodb")) $mongodb.existingSecret -}}
{{- else -}}
{{- $mongodb.external.secret -}}
{{- end -}}
{{- end -}}

{{/*
(list . SECRET KEY): a text that changes with the Secret and reveals nothing of it. KEY is a
password in it that this chart has made, or empty for a Secret of the user's.
*/}}
{{- define "sensorpipe.secretVersion" -}}
{{- $root := index . 0 -}}
{{- $secret := index . 1 -}}
{{- if not $secret -}}
{{- else if index . 2 -}}
{{- include "sensorpipe.passwordVersion" . -}}
{{- else -}}
{{- $metadata := (lookup "v1" "Secret" $root.Release.Namespace $secret).metadata | default dict -}}
{{- printf "%s/%s" $secret (get $metadata "resourceVersion") -}}
{{- end -}}
{{- end -}}

{{/* (list . COMPONENT): the versions of its Secrets for Kafka, except Strimzi's CA, which comes later. */}}
{{- define "sensorpipe.kafkaVersion" -}}
{{- $root := index . 0 -}}
{{- $external := $root.Values.kafka.external -}}
{{- if $root.Values.kafka.enabled -}}
{{- $generated := not $root.Values.kafka.existingSecret -}}
{{- $key := ternary (printf "%s-password" (index . 1)) "" $generated -}}
{{- include "sensorpipe.secretVersion" (list $root (include "sensorpipe.kafkaSecret" $root) $key) -}}
{{- else -}}
{{- include "sensorpipe.secretVersion" (list $root (get $external (printf "%sSecret" (index . 1))) "") -}}
{{- include "sensorpipe.secretVersion" (list $root $external.caSecret "") -}}
{{- end -}}
{{- end -}}

{{/* The same for the broker and the database. */}}
{{- define "sensorpipe.brokerVersion" -}}
{{- $generated := and .Values.mosquitto.enabled (not .Values.mosquitto.existingSecret) -}}
{{- include "sensorpipe.secretVersion" (list . (include "sensorpipe.brokerSecret" .) (ternary "compactor-password" "" $generated)) -}}
{{- end -}}

{{/* (list . SHARD): the same for a compactor's broker. */}}
{{- define "sensorpipe.compactorBrokerVersion" -}}
{{- with (index . 1).brokerSecret -}}
{{- include "sensorpipe.secretVersion" (list (index $ 0) . "") -}}
{{- else -}}
{{- include "sensorpipe.brokerVersion" (index . 0) -}}
{{- end -}}
{{- end -}}

{{- define "sensorpipe.databaseVersion" -}}
{{- $generated := and .Values.mongodb.enabled (not .Values.mongodb.existingSecret) -}}
{{- include "sensorpipe.secretVersion" (list . (include "sensorpipe.databaseSecret" .) (ternary "server-password" "" $generated)) -}}
{{- end -}}
