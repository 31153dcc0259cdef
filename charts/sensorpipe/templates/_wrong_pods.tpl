{{/* What users add to pods must not take the place of what the chart has there. One problem a line. */}}
{{- define "sensorpipe.wrongPods" -}}
{{- include "sensorpipe.wrongMetadata" (list "" .Values) }}
{{- range $name := list "operator" "generator" "compactor" "server" "mosquitto" "kafka" "mongodb" }}
{{- include "sensorpipe.wrongMetadata" (list (printf "%s." $name) (get $.Values $name)) }}
{{- end }}
{{- $account := .Values.operator.serviceAccount }}
{{- if not (or $account.create $account.name) }}
operator.serviceAccount.name: is required with operator.serviceAccount.create=false: the namespace's default account is no place for the operator's rights
{{- end }}
{{- range $name, $file := dict "operator" "operator/deployment" "compactor" "compactor/deployment" "server" "server/deployment" "mosquitto" "mosquitto/statefulset" "mongodb" "mongodb/statefulset" }}
{{- with include (printf "%s/%s.yaml" $.Template.BasePath $file) $ | fromYaml }}
{{- include "sensorpipe.wrongAdditions" (list $name .spec.template.spec) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* (list PREFIX VALUES): labels and annotations that are the chart's or the operator's own. */}}
{{- define "sensorpipe.wrongMetadata" -}}
{{- $prefix := index . 0 -}}
{{- $taken := list "name" "instance" "component" "part-of" "managed-by" "version" -}}
{{- range $key, $_ := (index . 1).podLabels | default dict }}
{{- if or (hasPrefix "sensorpipe.dev/" $key) (hasPrefix "strimzi.io/" $key) (and (hasPrefix "app.kubernetes.io/" $key) (has (trimPrefix "app.kubernetes.io/" $key) $taken)) }}
{{ $prefix }}podLabels: `{{ $key }}` is set by the chart, the operator or Strimzi; choose another label
{{- end }}
{{- end }}
{{- range $key, $_ := (index . 1).podAnnotations | default dict }}
{{- if regexMatch "^(checksum|sensorpipe[.]dev|strimzi[.]io|helm[.]sh)/" $key }}
{{ $prefix }}podAnnotations: `{{ $key }}` is set by the chart, the operator or Strimzi; choose another annotation
{{- end }}
{{- end }}
{{- end -}}

{{/* (list COMPONENT POD): variables, volumes and mounts that are there already. */}}
{{- define "sensorpipe.wrongAdditions" -}}
{{- $name := index . 0 -}}
{{- $pod := index . 1 -}}
{{- $kinds := list (list "extraVolumes" "name" $pod.volumes) -}}
{{- range $pod.containers -}}
{{- $kinds = append $kinds (list "extraEnv" "name" .env) -}}
{{- $kinds = append $kinds (list "extraVolumeMounts" "mountPath" .volumeMounts) -}}
{{- end -}}
{{- range $kinds }}
{{- $value := index . 0 }}
{{- $field := index . 1 }}
{{- $seen := list }}
{{- range index . 2 }}
{{- $item := trimSuffix "/" (get . $field) }}
{{- if has $item $seen }}
{{ $name }}.{{ $value }}: `{{ $item }}` is there already, or twice; choose another
{{- end }}
{{- $seen = append $seen $item }}
{{- end }}
{{- end }}
{{- end -}}
