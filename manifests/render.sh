#!/bin/sh
# Prints what manifests/development.yaml is to hold: `make manifests`.
# HELM names the helm to use, if not the one on the path.
set -eu
cd "$(dirname "$0")/.."

# first, since a failure in a pipe would go unseen
rendered=$("${HELM:-helm}" template sensorpipe charts/sensorpipe --namespace sensorpipe --no-hooks \
    --set compactor.existingSecret=sensorpipe-mqtt-session \
    --set mosquitto.existingSecret=sensorpipe-mosquitto \
    --set kafka.existingSecret=sensorpipe-kafka-passwords \
    --set mongodb.existingSecret=sensorpipe-mongodb)

cat <<'END'
# The chart's development profile for clusters that Helm does not manage: everything on one node
# with 4 GB, in the namespace sensorpipe. Needs Strimzi's operator, watching that namespace, and
# the images that `make images` builds. `make manifests` made it from charts/sensorpipe.
#   manifests/secrets.sh
#   kubectl apply --server-side -f manifests/development.yaml
---
apiVersion: v1
kind: Namespace
metadata:
  name: sensorpipe
  labels:
    pod-security.kubernetes.io/enforce: restricted
END

printf '%s\n' "$rendered" | sed -e 's|managed-by: Helm$|managed-by: kubectl|'
