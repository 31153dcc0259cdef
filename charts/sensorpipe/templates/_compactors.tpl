{{/* What several compactors must have in common, and what not. One problem per line. */}}

{{/* All compactors of the release, as a JSON list under `list`: the one that is always there, and the shards. */}}
{{- define "sensorpipe.compactors" -}}
{{- $all := list (dict "value" "compactor" "shard" dict "own" (pick .Values.compactor "topic" "takingOver")) -}}
{{- range .Values.compactor.shards -}}
{{- $all = append $all (dict "value" (printf "compactor.shards[%s]" .name) "shard" . "own" .) -}}
{{- end -}}
{{- $list := list -}}
{{- range $all -}}
{{- $topics := include "sensorpipe.topics" .own.topic | splitList "," -}}
{{- $list = append $list (dict "value" .value "shard" .shard "topics" $topics "takingOver" (not (not .own.takingOver)) "broker" (.shard.brokerSecret | default "")) -}}
{{- end -}}
{{- dict "list" $list | toJson -}}
{{- end -}}

{{/* (list FILTER FILTER): `true` if a topic exists that both MQTT filters match. */}}
{{- define "sensorpipe.overlap" -}}
{{- $one := splitList "/" (index . 0) -}}
{{- $other := splitList "/" (index . 1) -}}
{{- $found := "" -}}
{{- range $at := until (int (max (len $one) (len $other))) -}}
{{- if not $found -}}
{{- $a := "" -}}{{- $b := "" -}}
{{- $ends := or (ge $at (len $one)) (ge $at (len $other)) -}}
{{- if lt $at (len $one) -}}{{- $a = index $one $at -}}{{- end -}}
{{- if lt $at (len $other) -}}{{- $b = index $other $at -}}{{- end -}}
{{- if or (eq $a "#") (eq $b "#") -}}{{- $found = "yes" -}}
{{- else if or $ends (not (or (eq $a $b) (eq $a "+") (eq $b "+"))) -}}{{- $found = "no" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if ne $found "no" -}}true{{- end -}}
{{- end -}}

{{/* (list FILTERS FILTERS): the first pair of filters that overlap, with ` and ` between them; empty if none. */}}
{{- define "sensorpipe.overlapping" -}}
{{- $found := "" -}}
{{- range $one := index . 0 -}}
{{- range $other := index $ 1 -}}
{{- if and (not $found) (include "sensorpipe.overlap" (list $one $other)) -}}
{{- $found = printf "`%s` and `%s`" $one $other -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}

{{- define "sensorpipe.wrongCompactors" -}}
{{- $all := get (include "sensorpipe.compactors" . | fromJson) "list" -}}
{{- $names := list -}}
{{- range $at, $one := $all }}
{{- if $one.shard }}
{{- if has $one.shard.name $names }}
compactor.shards: the name `{{ $one.shard.name }}` is there twice; a name is for one compactor, and stays with it
{{- end }}
{{- $names = append $names $one.shard.name }}
{{- if gt (len (include "sensorpipe.compactorOwnName" (list $ $one.shard))) 128 }}
{{ $one.value }}.name: with compactor.clientId it is longer than 128 characters
{{- end }}
{{- if and $one.shard.caKey (not $one.broker) }}
{{ $one.value }}.caKey: is a key of its brokerSecret, which is empty
{{- end }}
{{- end }}
{{- range $i, $first := $one.topics }}
{{- with include "sensorpipe.overlapping" (list (list $first) (slice $one.topics (add $i 1 | int))) }}
{{ $one.value }}.topic: {{ . }} overlap; the broker could deliver a reading twice
{{- end }}
{{- end }}
{{- range $other := slice $all (add $at 1 | int) }}
{{- if and (eq $one.broker $other.broker) (not (or $one.takingOver $other.takingOver)) }}
{{- with include "sensorpipe.overlapping" (list $one.topics $other.topics) }}
{{ $one.value }}.topic and {{ $other.value }}.topic: {{ . }} overlap, and both would count the readings; let one of the two have them, or set takingOver of the one that is to have them
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
