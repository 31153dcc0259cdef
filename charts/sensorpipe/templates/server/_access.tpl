{{/*
Who may read what of the API: the access file (docs/access.md), and what has a part in it.
*/}}

{{/* The folder with the access file and those that it names. */}}
{{- define "sensorpipe.accessFolder" -}}
/etc/sensorpipe/access
{{- end -}}

{{/* The ConfigMap in which the operator publishes who signs the cluster's tokens. */}}
{{- define "sensorpipe.clusterIssuer" -}}
{{- printf "%s-cluster-issuer" (include "sensorpipe.fullname" .) -}}
{{- end -}}

{{/* The ServiceAccount whose tokens may read everything. */}}
{{- define "sensorpipe.reader" -}}
{{- include "sensorpipe.name" (list . "reader") -}}
{{- end -}}

{{/* The audience of the cluster's tokens: a token for the API server itself is refused. */}}
{{- define "sensorpipe.audience" -}}
sensorpipe
{{- end -}}

{{/* The access file: the cluster's issuer and the release's reader, then what values add. */}}
{{- define "sensorpipe.accessFile" -}}
{{- $auth := .Values.server.auth -}}
{{- $cluster := dict
    "name" "cluster"
    "issuerFile" "cluster/issuer"
    "jwksFile" "cluster/jwks.json"
    "audiences" (list (include "sensorpipe.audience" .)) -}}
{{- $reader := dict
    "issuer" "cluster"
    "subject" (printf "system:serviceaccount:%s:%s" .Release.Namespace (include "sensorpipe.reader" .))
    "scopes" (list "read" "metrics" "admin")
    "facilities" (list "*") -}}
{{- dict
    "issuers" (prepend $auth.issuers $cluster)
    "grants" (prepend $auth.grants $reader)
    "anonymous" $auth.anonymous | toYaml -}}
{{- end -}}

{{/* The volume with all these files, which change together. */}}
{{- define "sensorpipe.accessVolume" -}}
- name: access
  projected:
    defaultMode: 0440
    sources:
      - configMap: {name: {{ include "sensorpipe.name" (list . "access") }}}
      # until the operator has made it, the pod waits
      - configMap:
          name: {{ include "sensorpipe.clusterIssuer" . }}
          items: [{key: issuer, path: cluster/issuer}, {key: jwks.json, path: cluster/jwks.json}]
      {{- with .Values.server.auth.secretName }}
      - secret: {name: {{ . }}}
      {{- end }}
{{- end -}}

{{/* To issuers whose keys are fetched: their addresses are names, so any address at their ports. */}}
{{- define "sensorpipe.toIssuers" -}}
{{- $ports := list -}}
{{- if .Values.server.auth.enabled -}}
{{- range .Values.server.auth.issuers -}}
{{- if not (or .jwksFile .secretFile) -}}
{{- $host := (urlParse (.discoveryUrl | default .issuer)).host -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" $host | trimPrefix ":" | default "443") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with uniq $ports -}}
- ports:
    {{- range . }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end -}}
{{- end -}}
