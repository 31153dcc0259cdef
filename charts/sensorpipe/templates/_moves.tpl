{{/*
Whether this upgrade may move topics between compactors: docs/settings.md has the steps. One problem per
line. Without access to the cluster Helm does not know which step was the last.
*/}}

{{/* (list . COMPACTOR): what the compactor of `sensorpipe.compactors` has now, as JSON; empty if it is new. */}}
{{- define "sensorpipe.liveCompactor" -}}
{{- $root := index . 0 -}}
{{- $found := lookup "apps/v1" "Deployment" $root.Release.Namespace (include "sensorpipe.compactorName" (list $root (index . 1).shard)) -}}
{{- if $found -}}
{{- $env := dict -}}
{{- range (first $found.spec.template.spec.containers).env -}}{{- $_ := set $env .name (get . "value") -}}{{- end -}}
{{- $status := $found.status | default dict -}}
{{- $isNew := eq (get $status "observedGeneration" | int64) (get $found.metadata "generation" | int64) -}}
{{- $isReady := and $isNew (get $status "readyReplicas") (eq (get $status "updatedReplicas" | int) (get $status "replicas" | int)) -}}
{{- dict "topics" (get $env "SENSORPIPE_MQTT_TOPIC" | splitList ",")
      "takingOver" (eq (get $env "SENSORPIPE_TAKING_OVER" | toString) "true") "ready" (not (not $isReady)) | toJson -}}
{{- end -}}
{{- end -}}

{{- define "sensorpipe.wrongMoves" -}}
{{- $all := list -}}
{{- range get (include "sensorpipe.compactors" . | fromJson) "list" -}}
{{- $all = append $all (set . "live" (include "sensorpipe.liveCompactor" (list $ .) | fromJson)) -}}
{{- end -}}
{{- range $one := $all }}
{{- range $other := $all }}
{{- if and (ne $one.value $other.value) (eq $one.broker $other.broker) $one.live }}
{{- include "sensorpipe.wrongGivingUp" (list $one $other) }}
{{- include "sensorpipe.wrongTakingOver" (list $one $other) }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* (list ONE OTHER): `one` gives up topics that `other` does not receive yet. */}}
{{- define "sensorpipe.wrongGivingUp" -}}
{{- $one := index . 0 -}}
{{- $other := index . 1 -}}
{{- range $topic := $one.live.topics }}
{{- if not (has $topic $one.topics) }}
{{- range $taken := $other.topics }}
{{- if include "sensorpipe.overlap" (list $topic $taken) }}
{{- if not (and $other.live (has $taken ($other.live.topics | default list))) }}
{{ $one.value }}.topic: gives up `{{ $topic }}` in the same upgrade in which {{ $other.value }} begins to take `{{ $taken }}`; readings in between would be lost. First let both take them, with takingOver of {{ $other.value }}
{{- else if not $other.live.ready }}
{{ $one.value }}.topic: gives up `{{ $topic }}`, but {{ $other.value }}, which is to take `{{ $taken }}`, is not ready yet; readings in between would be lost. Wait until it is
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* (list ONE OTHER): `other` ends taking over while `one` may still receive its topics. */}}
{{- define "sensorpipe.wrongTakingOver" -}}
{{- $one := index . 0 -}}
{{- $other := index . 1 -}}
{{- if and $other.live (not $other.takingOver) (not $one.takingOver) ($other.live.takingOver | default false) }}
{{- with include "sensorpipe.overlapping" (list $one.live.topics $other.topics) }}
{{ $other.value }}.takingOver: {{ $one.value }} still takes its topics: {{ . }}. First take them off {{ $one.value }}, in an upgrade of its own
{{- else }}
{{- if not $one.live.ready }}
{{ $other.value }}.takingOver: {{ $one.value }} is not ready, and may not have unsubscribed yet. Wait until it is
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
