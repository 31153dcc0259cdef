{{/* A text that changes with the broker's passwords. */}}
{{- define "sensorpipe.brokerPasswordsVersion" -}}
{{- $existing := .Values.mosquitto.existingSecret -}}
{{- if $existing -}}
{{- include "sensorpipe.secretVersion" (list . $existing "") -}}
{{- else -}}
{{- $name := include "sensorpipe.name" (list . "mosquitto") -}}
{{- range list "generator-password" "compactor-password" -}}
{{- include "sensorpipe.secretVersion" (list $ $name .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The broker's configuration, with the folders of the StatefulSet. */}}
{{- define "sensorpipe.brokerConfig" -}}
listener 1883
# each needs memory, which is then missing for the queue below
max_connections {{ .Values.mosquitto.maxConnections | int64 }}
allow_anonymous false
password_file /run/mosquitto/passwords
acl_file /run/mosquitto/acl

# The compactor acknowledges readings only once they are durable in Kafka, so as many may be in
# flight as the protocol allows; while it is down, readings are queued. Bytes are counted for payloads
# only, but a reading of some 75 bytes needs 450 bytes of memory in 2.0 and 600 in 2.1: hence both
# limits. Otherwise the broker could be killed for lack of memory, and again when it loads the queue.
max_inflight_messages 0
max_queued_messages {{ div (add .Values.mosquitto.queueBytes 599) 600 }}
max_queued_bytes {{ .Values.mosquitto.queueBytes | int64 }}

# A retained message would stay in memory and on the volume for ever, outside of these limits.
# Readings are not retained, and are smaller than this with their topic.
retain_available false
max_packet_size 16384

# The queue survives a restart, and a crash except for readings after the last save. It is saved by
# time, not by number of changes, which would not save the last readings before a pause.
persistence true
persistence_location /mosquitto/data/
autosave_on_changes false
autosave_interval {{ .Values.mosquitto.autosaveSeconds | int64 }}

# standard output would be buffered
log_dest stderr
log_type error
log_type warning
log_type notice
log_timestamp_format %Y-%m-%dT%H:%M:%S%z
# seconds between updates of $SYS, where the compactor reads how many messages were dropped
sys_interval 5
{{- if include "sensorpipe.deviceListener" . }}

{{ include "sensorpipe.deviceListenerConfig" . }}
{{- end }}
{{- end -}}

{{/* The broker's access control list; all else is refused. */}}
{{- define "sensorpipe.brokerAcl" -}}
user generator
topic write sensor_readings/#

user compactor
topic read sensor_readings/#
topic read $SYS/broker/publish/messages/dropped
{{- include "sensorpipe.feedTopics" . }}
{{- include "sensorpipe.deviceAcl" . }}
{{- end -}}

{{/*
Copies the files that the broker reads, because 2.1 refuses symbolic links, which mounted Secrets
consist of, and 2.0 warns of files that others can read. Passwords are hashed.
*/}}
{{- define "sensorpipe.brokerPrepare" -}}
set -eu
umask 077
cp /source/config/mosquitto.conf /source/config/acl /run/mosquitto/
for role in generator compactor; do
  password=$(cat "/source/passwords/$role-password")
  [ -n "$password" ] || { echo "the Secret's $role-password is empty" >&2; exit 1; }
  printf '%s:%s\n' "$role" "$password"
done >/run/mosquitto/passwords
mosquitto_passwd -U /run/mosquitto/passwords
{{- end -}}
