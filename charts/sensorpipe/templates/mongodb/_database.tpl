{{/* The name by which clients reach MongoDB, and it itself. */}}
{{- define "sensorpipe.databaseHost" -}}
{{- $name := include "sensorpipe.name" (list . "mongodb") -}}
{{- printf "%s-0.%s.%s.svc:27017" $name $name .Release.Namespace -}}
{{- end -}}

{{/* The address that leads the server to its database, its password included. */}}
{{- define "sensorpipe.databaseUri" -}}
{{- $name := include "sensorpipe.name" (list . "mongodb") -}}
{{- $password := include "sensorpipe.password" (list . $name "server-password") -}}
{{- printf "mongodb://server:%s@%s/%s?replicaSet=rs0" $password (include "sensorpipe.databaseHost" .) .Values.mongodb.database -}}
{{- end -}}

{{/* Changes when one of the database's passwords does, or its key. */}}
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
