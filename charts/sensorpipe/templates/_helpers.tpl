{{/*
Names, labels and the common parts of all pods. Most helpers take a list: the root context, then
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

{{/* (list . COMPONENT): the labels of its pods; without a version, which would restart them all. */}}
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

{{/* (list . IMAGE): an image's name; image.registry is the prefix of sensorpipe's own images only. */}}
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

{{/* The start of each pod's spec: no service account token, no root, and the placement. */}}
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

{{/* Fields for placement that sensorpipe's pods and Strimzi's have in common. */}}
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

{{/* The security context of each container, as the restricted pod security standard requires. */}}
{{- define "sensorpipe.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/*
(list . SECRET KEY [FIRST]): the value in the release's Secret if it exists, else FIRST if given,
else a random one: the same value throughout one rendering.
*/}}
{{- define "sensorpipe.password" -}}
{{- $root := index . 0 -}}
{{- $secret := index . 1 -}}
{{- $key := index . 2 -}}
{{- if not (hasKey $root.Values "generated") -}}{{- $_ := set $root.Values "generated" dict -}}{{- end -}}
{{- $generated := $root.Values.generated -}}
{{- $id := printf "%s/%s" $secret $key -}}
{{- if not (hasKey $generated $id) -}}
{{- $existing := (lookup "v1" "Secret" $root.Release.Namespace $secret).data | default dict -}}
{{- $first := "" -}}
{{- if gt (len .) 3 -}}{{- $first = index . 3 -}}{{- end -}}
{{- $_ := set $generated $id (hasKey $existing $key | ternary (get $existing $key | b64dec) ($first | default (randAlphaNum 32))) -}}
{{- end -}}
{{- get $generated $id -}}
{{- end -}}
