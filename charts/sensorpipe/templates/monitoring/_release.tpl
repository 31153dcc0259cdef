{{/*
(list . FILE): a file about a release `sensorpipe` in NAMESPACE, changed to be about this release:
its queries select only series that this release's PodMonitors scrape.
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
