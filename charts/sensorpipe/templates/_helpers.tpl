{{/*
Names, labels, images and passwords. Most helpers take a list: the root context, then
their arguments, as in (list . "compactor").
*/}}

{{/* The prefix of all names: at most 40 characters, so that full names have at most 63. */}}
{{- define "sensorpipe.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* (list . COMPONENT): the name of a component's resources. */}}
{{- define "sensorpipe.name" -}}
{{- printf "%s-%s" (include "sensorpipe.fullname" (index . 0)) (index . 1) -}}
{{- end -}}

{{/* (list . COMPONENT): labels that select a component's pods; they never change. */}}
{{- define "sensorpipe.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* (list . COMPONENT): the labels of its resources and pods alike. */}}
{{- define "sensorpipe.partLabels" -}}
{{ include "sensorpipe.selectorLabels" . }}
app.kubernetes.io/part-of: sensorpipe
{{- end -}}

{{/* (list . COMPONENT): the labels of a component's resources. */}}
{{- define "sensorpipe.labels" -}}
{{- $root := index . 0 -}}
{{ include "sensorpipe.partLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/*
(list . IMAGE): an image's name; with the digest of files/digests.yaml if it has one. image.registry is the prefix of sensorpipe's own images only;
global.imageRegistry replaces the host of any, or is put before a name without one.
*/}}
{{- define "sensorpipe.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $repository := $image.repository -}}
{{- if and $root.Values.image.registry (not (contains "/" $repository)) -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" $root.Values.image.registry) $repository -}}
{{- end -}}
{{- $tag := coalesce $image.tag $root.Values.image.tag $root.Chart.AppVersion -}}
{{- $pinned := get ($root.Files.Get "files/digests.yaml" | fromYaml) (printf "%s:%s" $repository $tag) -}}
{{- with $root.Values.global.imageRegistry -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "") -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository $tag -}}
{{- with $pinned -}}{{- printf "@%s" . -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* (list . COMPONENT STORAGE): the volume claim template of a StatefulSet. */}}
{{- define "sensorpipe.dataVolume" -}}
{{- $storage := index . 2 -}}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata:
    name: data
    labels: {{- include "sensorpipe.selectorLabels" . | nindent 6 }}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with $storage.className }}
    storageClassName: {{ . }}
    {{- end }}
    resources: {requests: {storage: {{ $storage.size }}}}
{{- end -}}
