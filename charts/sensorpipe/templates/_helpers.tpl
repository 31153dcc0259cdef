{{/*
Names, labels and what all pods have in common. Most helpers take a list: the root context
first, then what they are about, for instance (list . "compactor").
*/}}

{{/* The prefix of all names, at most 40 characters, so that what follows fits in 63. */}}
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

{{/* (list . COMPONENT): what finds a component's pods and never changes. */}}
{{- define "sensorpipe.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* (list . COMPONENT): the labels of its pods; no version, or each would restart them all. */}}
{{- define "sensorpipe.podLabels" -}}
{{ include "sensorpipe.selectorLabels" . }}
app.kubernetes.io/part-of: sensorpipe
{{- end -}}

{{/* (list . COMPONENT): the labels of a component's resources. */}}
{{- define "sensorpipe.labels" -}}
{{- $root := index . 0 -}}
{{ include "sensorpipe.podLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* (list . IMAGE): an image's name; the registry is put before those of our own programs only. */}}
{{- define "sensorpipe.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $own := not (contains "/" $image.repository) -}}
{{- $repository := $image.repository -}}
{{- if and $own $root.Values.image.registry -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" $root.Values.image.registry) $repository -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (coalesce $image.tag $root.Values.image.tag $root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The start of each pod's spec: no token, no root, and where it may run. */}}
{{- define "sensorpipe.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- include "sensorpipe.placement" . }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What our pods and Strimzi's may be told in the same words. */}}
{{- define "sensorpipe.placement" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* (list . COMPONENT STORAGE): the volume that a StatefulSet claims for its pod. */}}
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

{{/* What the restricted pod security standard asks of each container. */}}
{{- define "sensorpipe.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/*
(list . SECRET KEY [FIRST]): what the release's Secret holds, or what is made for it at install,
FIRST if that is given: the same wherever it is asked for in one rendering.
*/}}
{{- define "sensorpipe.password" -}}
{{- $root := index . 0 -}}
{{- $secret := index . 1 -}}
{{- $key := index . 2 -}}
{{- if not (hasKey $root.Values "made") -}}{{- $_ := set $root.Values "made" dict -}}{{- end -}}
{{- $made := $root.Values.made -}}
{{- $id := printf "%s/%s" $secret $key -}}
{{- if not (hasKey $made $id) -}}
{{- $held := (lookup "v1" "Secret" $root.Release.Namespace $secret).data | default dict -}}
{{- $first := "" -}}
{{- if gt (len .) 3 -}}{{- $first = index . 3 -}}{{- end -}}
{{- $_ := set $made $id (hasKey $held $key | ternary (get $held $key | b64dec) ($first | default (randAlphaNum 32))) -}}
{{- end -}}
{{- get $made $id -}}
{{- end -}}
