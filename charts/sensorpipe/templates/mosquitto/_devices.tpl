{{/*
Devices with users of their own: a second listener with TLS, at which the client id is the username,
so that none can take over the session of another or of the compactor. One listener cannot have other
users than the other: with `per_listener_settings`, Mosquitto 2.0.22 queues nothing for a session that
is not connected.
*/}}

{{/* Not empty if there is that listener. */}}
{{- define "sensorpipe.deviceListener" -}}
{{- if .Values.mosquitto.enabled -}}{{- .Values.mosquitto.devices.tls.secretName -}}{{- end -}}
{{- end -}}

{{/* Filters that each device may write unless it has its own; `%u` is its username. */}}
{{- define "sensorpipe.sharedDeviceTopics" -}}
{{- concat (list "sensor_readings/%u/#") .Values.mosquitto.deviceTopics | join "\n" -}}
{{- end -}}

{{/* What the compactor must be allowed to read for Feeds, besides sensor_readings. */}}
{{- define "sensorpipe.feedTopics" -}}
{{- $filters := list -}}
{{- range .Values.mosquitto.deviceTopics -}}
{{- $filters = append $filters (replace "%u" "+" .) -}}
{{- end -}}
{{- range $user := .Values.mosquitto.devices.users -}}
{{- range $user.topics -}}
{{- $filters = append $filters (replace "%u" $user.username .) -}}
{{- end -}}
{{- end -}}
{{- range uniq $filters -}}
{{- if not (hasPrefix "sensor_readings/" .) }}
topic read {{ . }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The rules for the users in the values. */}}
{{- define "sensorpipe.deviceAcl" -}}
{{- range $user := .Values.mosquitto.devices.users }}

user {{ $user.username }}
{{- range ($user.topics | default (include "sensorpipe.sharedDeviceTopics" $ | splitList "\n")) }}
topic write {{ replace "%u" $user.username . }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* The listener, after the options of the broker as a whole. */}}
{{- define "sensorpipe.deviceListenerConfig" -}}
# Devices: the client id is the username, so that none takes over the session of another.
listener 8883
max_connections {{ .Values.mosquitto.maxConnections | int64 }}
certfile /run/mosquitto/tls.crt
keyfile /run/mosquitto/tls.key
# the oldest
tls_version tlsv1.2
use_username_as_clientid true
{{- end -}}

{{/* The files of devices: certificate and key, a password for each user, and the password file. */}}
{{- define "sensorpipe.deviceMounts" -}}
{{- if include "sensorpipe.deviceListener" . -}}
- {name: tls, mountPath: /source/tls, readOnly: true}
{{- if .Values.mosquitto.devices.users }}
- {name: users, mountPath: /source/users, readOnly: true}
{{- end }}
{{- if .Values.mosquitto.devices.passwordFile.secretName }}
- {name: password-file, mountPath: /source/password-file, readOnly: true}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "sensorpipe.deviceVolumes" -}}
{{- $devices := .Values.mosquitto.devices -}}
{{- if include "sensorpipe.deviceListener" . -}}
- name: tls
  secret:
    secretName: {{ $devices.tls.secretName }}
    defaultMode: 0440
    items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
{{- if $devices.users }}
- name: users
  projected:
    defaultMode: 0440
    sources:
      {{- range $devices.users }}
      - secret:
          name: {{ .secretName }}
          items: [{key: {{ .key | default "password" | quote }}, path: {{ quote .username }}}]
      {{- end }}
{{- end }}
{{- with $devices.passwordFile.secretName }}
- name: password-file
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{key: {{ quote $devices.passwordFile.key }}, path: passwords}]
{{- end }}
{{- end -}}
{{- end -}}
