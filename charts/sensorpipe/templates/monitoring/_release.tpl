{{/*
(list . FILE): a file about a release named `sensorpipe` in NAMESPACE, as one about this release:
of all that Prometheus holds it looks only at what this release's PodMonitors scrape.
*/}}
{{- define "sensorpipe.ofThisRelease" -}}
{{- $root := index . 0 -}}
{{- $fullname := include "sensorpipe.fullname" $root -}}
{{- $job := printf "%s/%s" $root.Release.Namespace $fullname -}}
{{- $root.Files.Get (index . 1)
    | replace "job=\"sensorpipe" (printf "job=\"%s" $job)
    | replace "job=\\\"sensorpipe" (printf "job=\\\"%s" $job)
    | replace "NAMESPACE" $root.Release.Namespace
    | replace "FULLNAME" $fullname -}}
{{- end -}}
