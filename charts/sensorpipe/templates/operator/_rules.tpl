{{/* What the operator may do, in a namespace or, with sensors.clusterWide, in all. */}}
{{- define "sensorpipe.operatorRules" -}}
# hear of Sensors, and say how they are
- apiGroups: [sensorpipe.dev]
  resources: [sensors]
  verbs: [list, watch]
- apiGroups: [sensorpipe.dev]
  resources: [sensors/status]
  verbs: [patch]
# their generators; a Deployment goes when its share of the devices does
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch]
# why a generator does not run
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# what a user should know
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* The namespaces with Sensors that are known here: all but those of sensors.clusterWide. */}}
{{- define "sensorpipe.sensorNamespaces" -}}
{{- prepend .Values.sensors.namespaces .Release.Namespace | uniq | join "," -}}
{{- end -}}

{{/*
(list . NAME): the name of a resource that is in no namespace. The last dot ends it, since a
namespace has none: no two releases can have the same.
*/}}
{{- define "sensorpipe.clusterName" -}}
{{- printf "%s.%s" (include "sensorpipe.name" .) (index . 0).Release.Namespace -}}
{{- end -}}
