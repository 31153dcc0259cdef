{{/* The value of SENSORPIPE_RETENTION. */}}
{{- define "sensorpipe.retention" -}}
{{- $kept := list -}}
{{- range $level := list "windows" "5m" "1h" "1d" -}}
{{- $kept = append $kept (printf "%s:%s" $level (get $.Values.server.retention $level)) -}}
{{- end -}}
{{- join "," $kept -}}
{{- end -}}

{{/* DURATION, as in server.retention: its hours; forever is more than any other. */}}
{{- define "sensorpipe.hours" -}}
{{- if eq . "forever" -}}
999999999
{{- else -}}
{{- $unit := regexFind "[hdy]" . -}}
{{- mul (trimSuffix $unit . | int64) (get (dict "h" 1 "d" 24 "y" 8760) $unit) -}}
{{- end -}}
{{- end -}}
