{{/*
What pods have in common, and what users add to them: the values of a component, and the common ones.
Most helpers take (list . COMPONENT).
*/}}

{{/* `true` if the platform gives pods their user and groups, as OpenShift's default SCC does. */}}
{{- define "sensorpipe.platformUsers" -}}
{{- $adapt := dig "compatibility" "openshift" "adaptSecurityContext" "auto" .Values.global -}}
{{- if or (eq $adapt "force") (and (eq $adapt "auto") (.Capabilities.APIVersions.Has "security.openshift.io/v1")) -}}
true
{{- end -}}
{{- end -}}

{{/*
(list . COMPONENT), or . for a pod that has the common values only: the start of its spec. No token,
no root, and the placement.
*/}}
{{- define "sensorpipe.pod" -}}
{{- $at := . -}}
{{- if not (kindIs "slice" .) -}}{{- $at = list . "" -}}{{- end -}}
{{- $root := index $at 0 -}}
{{- $own := get $root.Values (index $at 1) | default dict -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- if not (include "sensorpipe.platformUsers" $root) }}
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  {{- end }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with include "sensorpipe.serviceAccountName" $at }}
serviceAccountName: {{ . }}
{{- end }}
{{- include "sensorpipe.placement" $at }}
{{- with default $root.Values.nodeSelector $own.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with default $root.Values.affinity $own.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* (list . COMPONENT): fields for placement that sensorpipe's pods and Strimzi's have in common. */}}
{{- define "sensorpipe.placement" -}}
{{- $root := index . 0 -}}
{{- $own := get $root.Values (index . 1) | default dict -}}
{{- with include "sensorpipe.pullSecrets" $root }}
imagePullSecrets:
  {{- range splitList "," . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with default $root.Values.priorityClassName $own.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with default $root.Values.tolerations $own.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The names of the Secrets for pulling images, separated by commas. */}}
{{- define "sensorpipe.pullSecrets" -}}
{{- $names := .Values.image.pullSecrets | default list -}}
{{- range .Values.global.imagePullSecrets -}}
{{- $name := . -}}
{{- if kindIs "map" . -}}{{- $name = .name -}}{{- end -}}
{{- $names = append $names $name -}}
{{- end -}}
{{- $names | uniq | join "," -}}
{{- end -}}

{{/* (list . COMPONENT): the service account of its pods; empty if it is the namespace's default. */}}
{{- define "sensorpipe.serviceAccountName" -}}
{{- $own := get (index . 0).Values (index . 1) | default dict -}}
{{- with $own.serviceAccount -}}
{{- if .name -}}{{- .name -}}{{- else if .create -}}{{- include "sensorpipe.name" $ -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* (list . COMPONENT NAMESPACE): a service account, if there is to be one. */}}
{{- define "sensorpipe.serviceAccount" -}}
{{- $root := index . 0 -}}
{{- $account := (get $root.Values (index . 1)).serviceAccount -}}
{{- if $account.create }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "sensorpipe.serviceAccountName" . }}
  namespace: {{ index . 2 }}
  labels: {{- include "sensorpipe.labels" . | nindent 4 }}
  {{- with $account.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
{{- end -}}

{{/* (list . COMPONENT): the labels of its pods; without a version, which would restart them all. */}}
{{- define "sensorpipe.podLabels" -}}
{{ include "sensorpipe.partLabels" . }}
{{- with include "sensorpipe.addedLabels" . }}
{{ . }}
{{- end }}
{{- end -}}

{{/* (list . COMPONENT): the labels that users add to its pods. */}}
{{- define "sensorpipe.addedLabels" -}}
{{- $root := index . 0 -}}
{{- $own := get $root.Values (index . 1) | default dict -}}
{{- with mergeOverwrite (deepCopy $root.Values.podLabels) ($own.podLabels | default dict) -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/* (list . COMPONENT): the annotations that users add to its pods. */}}
{{- define "sensorpipe.podAnnotations" -}}
{{- $root := index . 0 -}}
{{- $own := get $root.Values (index . 1) | default dict -}}
{{- with mergeOverwrite (deepCopy $root.Values.podAnnotations) ($own.podAnnotations | default dict) -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/* The security context of each container, as the restricted pod security standard requires. */}}
{{- define "sensorpipe.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}
