{{/*
The Secrets that the chart does not get from its user. They are no part of the release: a Job makes
them in the cluster, so that a rendering is the same each time and no record of Helm has a password.
*/}}

{{/* (list . COMPONENT NAME NAMESPACE): what a Secret of the plan begins with, as JSON. */}}
{{- define "sensorpipe.plannedSecret" -}}
{{- $labels := include "sensorpipe.partLabels" . | fromYaml -}}
{{- $labels = set $labels "app.kubernetes.io/managed-by" "sensorpipe-passwords" -}}
{{- dict "namespace" (index . 3) "name" (index . 2) "labels" $labels | toJson -}}
{{- end -}}

{{/* (list . ROLE): the broker's URL for a role, around its password, as JSON. */}}
{{- define "sensorpipe.brokerUrl" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $name := include "sensorpipe.name" (list $root "mosquitto") -}}
{{- dict "before" (printf "mqtt://%s:" $role) "secret" $name "key" (printf "%s-password" $role)
      "after" (printf "@%s.%s.svc:1883" $name $root.Release.Namespace) | toJson -}}
{{- end -}}

{{/* All of them, as a JSON list under `list`; the Secret with a password is before the texts with it. */}}
{{- define "sensorpipe.plannedSecrets" -}}
{{- $ns := .Release.Namespace -}}
{{- $planned := list -}}
{{- if and .Values.mosquitto.enabled (not .Values.mosquitto.existingSecret) -}}
{{- $secret := include "sensorpipe.plannedSecret" (list . "mosquitto" (include "sensorpipe.brokerSecret" .) $ns) | fromJson -}}
{{- $made := list "generator-password" "compactor-password" "compactor-client-id" -}}
{{- range .Values.compactor.shards -}}
{{- if not .existingSecret -}}{{- $made = append $made (include "sensorpipe.sessionKey" (list $ .)) -}}{{- end -}}
{{- end -}}
{{- $_ := set $secret "made" $made -}}
{{- /* with another id than before, all that is queued for the compactor's session would be lost */ -}}
{{- $_ := set $secret "inherited" (dict "compactor-client-id" .Values.compactor.clientId) -}}
{{- $_ := set $secret "texts" (dict "compactor-url" (include "sensorpipe.brokerUrl" (list . "compactor") | fromJson)) -}}
{{- $planned = append $planned $secret -}}
{{- range include "sensorpipe.sensorNamespaces" . | splitList "," -}}
{{- $secret := include "sensorpipe.plannedSecret" (list $ "mosquitto" (include "sensorpipe.generatorSecret" $) .) | fromJson -}}
{{- $_ := set $secret "texts" (dict "url" (include "sensorpipe.brokerUrl" (list $ "generator") | fromJson)) -}}
{{- $planned = append $planned $secret -}}
{{- end -}}
{{- end -}}
{{- if and .Values.kafka.enabled (not .Values.kafka.existingSecret) -}}
{{- $secret := include "sensorpipe.plannedSecret" (list . "kafka" (include "sensorpipe.kafkaSecret" .) $ns) | fromJson -}}
{{- $planned = append $planned (set $secret "made" (list "compactor-password" "server-password")) -}}
{{- end -}}
{{- if and .Values.mongodb.enabled (not .Values.mongodb.existingSecret) -}}
{{- $secret := include "sensorpipe.plannedSecret" (list . "mongodb" (include "sensorpipe.databaseSecret" .) $ns) | fromJson -}}
{{- $_ := set $secret "made" (list "keyfile" "admin-password" "server-password") -}}
{{- $_ := set $secret "texts" (dict "uri" (include "sensorpipe.databaseUri" . | fromJson)) -}}
{{- $planned = append $planned $secret -}}
{{- end -}}
{{- dict "list" $planned | toJson -}}
{{- end -}}

{{/* The URI of the server's database, around its password, as JSON. */}}
{{- define "sensorpipe.databaseUri" -}}
{{- $after := printf "@%s/%s?replicaSet=rs0" (include "sensorpipe.databaseHost" .) .Values.mongodb.database -}}
{{- dict "before" "mongodb://server:" "secret" (include "sensorpipe.databaseSecret" .) "key" "server-password"
      "after" $after | toJson -}}
{{- end -}}

{{/* The version of a password that is made now: known before it is, and the same in each rendering. */}}
{{- define "sensorpipe.madeNow" -}}
{{- printf "revision %d" (int .Release.Revision) -}}
{{- end -}}

{{/*
(list . SECRET KEY): a text that changes with a password that the chart makes, and reveals nothing of
it. A missing one will be made by this very install or upgrade; what it is called then, the Job writes
beside it (sensorpipe_operator.passwords.content). One that somebody else set has its digest.
*/}}
{{- define "sensorpipe.passwordVersion" -}}
{{- $root := index . 0 -}}
{{- $secret := index . 1 -}}
{{- $key := index . 2 -}}
{{- $live := lookup "v1" "Secret" $root.Release.Namespace $secret -}}
{{- $data := get $live "data" | default dict -}}
{{- if hasKey $data $key -}}
{{- $digest := printf "%s/%s/%s" $root.Release.Namespace $secret (get $data $key | b64dec) | sha256sum -}}
{{- $made := get ($live.metadata.annotations | default dict) "sensorpipe.dev/made" | default "{}" | fromJson -}}
{{- $entry := get $made $key | default dict -}}
{{- ternary (get $entry "as") $digest (eq (get $entry "sha256" | toString) $digest) -}}
{{- else -}}
{{- include "sensorpipe.madeNow" $root -}}
{{- end -}}
{{- end -}}

{{/* (list . WEIGHT): annotations of the Job and of what it needs; Argo CD takes them for a PreSync. */}}
{{- define "sensorpipe.passwordsHook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ index . 1 | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{/* The Job's specification, without what no change of it may show in: its name is made of it. */}}
{{- define "sensorpipe.passwordsJob" -}}
{{- $plan := dict "release" .Release.Name "namespace" .Release.Namespace "token" (include "sensorpipe.madeNow" .)
      "secrets" (get (include "sensorpipe.plannedSecrets" . | fromJson) "list") -}}
backoffLimit: 3
# an image that cannot be pulled, say: Argo CD would wait for ever
activeDeadlineSeconds: 600
# where no hooks are, as with kubectl apply, it goes by itself; applied again, it finds all there
ttlSecondsAfterFinished: 600
podFailurePolicy:
  rules:
    - {action: Ignore, onPodConditions: [{type: DisruptionTarget, status: "True"}]}
    # it has tried for two minutes, or only its user can help
    - {action: FailJob, onExitCodes: {containerName: passwords, operator: In, values: [1]}}
template:
  metadata:
    labels: {{- include "sensorpipe.podLabels" (list . "passwords") | nindent 6 }}
    {{- with include "sensorpipe.podAnnotations" (list . "passwords") }}
    annotations: {{- . | nindent 6 }}
    {{- end }}
  spec:
    {{- include "sensorpipe.pod" . | nindent 4 }}
    serviceAccountName: {{ include "sensorpipe.name" (list . "passwords") }}
    restartPolicy: Never
    # as process 1 Python ignores SIGTERM; a run that is killed is continued by the next one
    terminationGracePeriodSeconds: 2
    containers:
      - name: passwords
        image: {{ include "sensorpipe.image" (list . .Values.operator.image) | quote }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        command: [python, -m, sensorpipe_operator.passwords]
        env:
          - {name: SENSORPIPE_LOG_LEVEL, value: {{ .Values.operator.logLevel }}}
          - name: SENSORPIPE_PASSWORDS
            value: |
              {{- $plan | toPrettyJson | nindent 14 }}
        terminationMessagePolicy: FallbackToLogsOnError
        resources:
          requests: {cpu: 50m, memory: 96Mi, ephemeral-storage: 50Mi}
          limits: {cpu: "1", memory: 256Mi, ephemeral-storage: 2Gi}
        securityContext: {{- include "sensorpipe.containerSecurityContext" . | nindent 10 }}
        volumeMounts:
          - {name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
          - {name: tmp, mountPath: /tmp}  # the Kubernetes client keeps certificates there
    volumes:
      - {name: tmp, emptyDir: {sizeLimit: 16Mi}}
      - name: token
        projected:
          sources:
            - serviceAccountToken: {path: token, expirationSeconds: 3607}
            - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
            - downwardAPI:
                items: [{path: namespace, fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}}]
{{- end -}}
