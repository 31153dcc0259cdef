#!/bin/sh
# Creates the Secrets that manifests/development.yaml names, with random passwords, and their
# namespace, sensorpipe. Existing ones are kept, so it can be run again.
#   manifests/secrets.sh
#   kubectl apply --server-side -f manifests/development.yaml
# For Sensors in another namespace, copy the Secret sensorpipe-broker to it.
set -eu

NAMESPACE=sensorpipe
BROKER=sensorpipe-mosquitto.$NAMESPACE.svc:1883
DATABASE=sensorpipe-mongodb-0.sensorpipe-mongodb.$NAMESPACE.svc:27017

password() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# exists KIND NAME
exists() {
    found=$(kubectl -n "$NAMESPACE" get "$1" "$2" --ignore-not-found -o name) || exit 1
    [ -n "$found" ]
}

# value SECRET KEY
value() {
    kubectl -n "$NAMESPACE" get secret "$1" -o "go-template={{index .data \"$2\" | base64decode}}"
}

# secret NAME [KEY VALUE]…: values are piped, because `ps` shows arguments
secret() {
    name=$1
    shift
    if exists secret "$name"; then
        echo "secret/$name kept"
        return
    fi
    {
        printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\nstringData:\n' "$name"
        while [ $# -gt 0 ]; do
            printf '  %s: "%s"\n' "$1" "$2"
            shift 2
        done
    } | kubectl -n "$NAMESPACE" create -f -
}

exists namespace "$NAMESPACE" || kubectl create namespace "$NAMESPACE"

# with another client id than before, everything queued for the compactor would be lost
session=$(password)
if exists secret sensorpipe-mosquitto; then session=sensorpipe-compactor; fi

compactor=$(password)
secret sensorpipe-mosquitto \
    generator-password "$(password)" \
    compactor-password "$compactor" \
    compactor-url "mqtt://compactor:$compactor@$BROKER"

generator=$(value sensorpipe-mosquitto generator-password)
secret sensorpipe-broker url "mqtt://generator:$generator@$BROKER"

secret sensorpipe-mqtt-session client-id "$session"

secret sensorpipe-kafka-passwords \
    compactor-password "$(password)" \
    server-password "$(password)"

server=$(password)
secret sensorpipe-mongodb \
    keyfile "$(password)" \
    admin-password "$(password)" \
    server-password "$server" \
    uri "mongodb://server:$server@$DATABASE/sensorpipe?replicaSet=rs0"
