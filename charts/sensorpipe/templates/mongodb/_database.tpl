{{/* The address at which clients, and MongoDB itself, reach MongoDB. */}}
{{- define "sensorpipe.databaseHost" -}}
{{- $name := include "sensorpipe.name" (list . "mongodb") -}}
{{- printf "%s-0.%s.%s.svc:27017" $name $name .Release.Namespace -}}
{{- end -}}

{{/* A text that changes with the database's passwords and key. */}}
{{- define "sensorpipe.databasePasswordsVersion" -}}
{{- $existing := .Values.mongodb.existingSecret -}}
{{- if $existing -}}
{{- include "sensorpipe.secretVersion" (list . $existing "") -}}
{{- else -}}
{{- $name := include "sensorpipe.name" (list . "mongodb") -}}
{{- range list "keyfile" "admin-password" "server-password" -}}
{{- include "sensorpipe.secretVersion" (list $ $name .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
