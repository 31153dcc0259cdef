{{/* The operator's rights, in a namespace or, with sensors.clusterWide, in all. */}}
{{- define "sensorpipe.operatorRules" -}}
# watches Sensors, and writes their status
- apiGroups: [sensorpipe.dev]
  resources: [sensors]
  verbs: [list, watch]
- apiGroups: [sensorpipe.dev]
  resources: [sensors/status]
  verbs: [patch]
# watches Feeds, and writes their status
- apiGroups: [sensorpipe.dev]
  resources: [feeds]
  verbs: [list, watch]
- apiGroups: [sensorpipe.dev]
  resources: [feeds/status]
  verbs: [patch]
# manages the generators of Sensors; a Deployment is deleted when its share of the devices is
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch]
# reads why a generator does not run
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# finds out whether the release of an operator that marked an object as its own is still there
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get]
# reports problems of Sensors
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* The namespaces for Sensors; with sensors.clusterWide only the release's own is known. */}}
{{- define "sensorpipe.sensorNamespaces" -}}
{{- prepend .Values.sensors.namespaces .Release.Namespace | uniq | join "," -}}
{{- end -}}

{{/*
(list . NAME): the name of a cluster-scoped resource. The namespace after the last dot has no dot
itself, so no two releases have the same name.
*/}}
{{- define "sensorpipe.clusterName" -}}
{{- printf "%s.%s" (include "sensorpipe.name" .) (index . 0).Release.Namespace -}}
{{- end -}}
