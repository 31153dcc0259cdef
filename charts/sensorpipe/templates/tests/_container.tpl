{{/* Fields that both containers of the test share. */}}
{{- define "sensorpipe.testContainer" -}}
image: {{ include "sensorpipe.image" (list . .Values.server.image) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
resources:
  requests: {cpu: 50m, memory: 64Mi, ephemeral-storage: 50Mi}
  limits: {cpu: "1", memory: 128Mi, ephemeral-storage: 2Gi}
securityContext: {{- include "sensorpipe.containerSecurityContext" . | nindent 2 }}
{{- if .Values.server.auth.enabled }}
volumeMounts:
  - {name: token, mountPath: /var/run/secrets/sensorpipe, readOnly: true}
{{- end }}
{{- end -}}
