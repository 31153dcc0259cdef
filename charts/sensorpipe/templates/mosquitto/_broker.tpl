{{/* (list . ROLE): the address that leads a role to the broker, its password included. */}}
{{- define "sensorpipe.brokerUrl" -}}
{{- $root := index . 0 -}}
{{- $name := include "sensorpipe.name" (list $root "mosquitto") -}}
{{- $password := include "sensorpipe.password" (list $root $name (printf "%s-password" (index . 1))) -}}
{{- printf "mqtt://%s:%s@%s.%s.svc:1883" (index . 1) $password $name $root.Release.Namespace -}}
{{- end -}}

{{/* Changes when one of the broker's passwords does. */}}
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

{{/* The broker's configuration; the folders are those of the StatefulSet. */}}
{{- define "sensorpipe.brokerConfig" -}}
listener 1883
# each costs memory, and more would take that of the queue below
max_connections {{ .Values.mosquitto.maxConnections | int64 }}
allow_anonymous false
password_file /run/mosquitto/passwords
acl_file /run/mosquitto/acl

# The compactor holds back its acknowledgements until Kafka has what they stand for, so that all
# that the protocol allows may be in flight; while it is away, readings wait here. Bytes are those
# of payloads only, and a reading's 75 or so take 450 of memory in 2.0 and 600 in 2.1: hence a
# limit to both, or the broker would be killed for want of memory, and again with what it saved.
max_inflight_messages 0
max_queued_messages {{ div (add .Values.mosquitto.queueBytes 599) 600 }}
max_queued_bytes {{ .Values.mosquitto.queueBytes | int64 }}

# A retained message would stay in memory and on the volume for ever, outside of these limits. No
# reading is one, nor larger than this with its topic.
retain_available false
max_packet_size 16384

# What is queued survives a restart, and a crash but for what came after the last save. By time,
# not by changes: these would not save the last few readings before a silence.
persistence true
persistence_location /mosquitto/data/
autosave_on_changes false
autosave_interval {{ .Values.mosquitto.autosaveSeconds | int64 }}

# standard output would be held back until a buffer is full
log_dest stderr
log_type error
log_type warning
log_type notice
log_timestamp_format %Y-%m-%dT%H:%M:%S%z
# the compactor watches how many messages were dropped; it is told when the number changes
sys_interval 5
{{- end -}}

{{/* Who may do what; all else is refused. */}}
{{- define "sensorpipe.brokerAcl" -}}
user generator
topic write sensor_readings/#

user compactor
topic read sensor_readings/#
topic read $SYS/broker/publish/messages/dropped
{{- end -}}

{{/*
Copies what the broker reads, since 2.1 refuses files that are symbolic links, as those of mounted
Secrets are, and 2.0 warns of files that others can read. Passwords come out hashed.
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
