#!/bin/sh
# Makes the Secrets that manifests/development.yaml names, with random passwords, in the namespace
# sensorpipe, and that namespace too. What is there already is kept, so it may be run again.
#   manifests/secrets.sh
#   kubectl apply --server-side -f manifests/development.yaml
# To let Sensors be in another namespace as well, copy the Secret sensorpipe-broker there.
set -eu

NAMESPACE=sensorpipe
BROKER=sensorpipe-mosquitto.$NAMESPACE.svc:1883
DATABASE=sensorpipe-mongodb-0.sensorpipe-mongodb.$NAMESPACE.svc:27017

password() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# is_there KIND NAME
is_there() {
    found=$(kubectl -n "$NAMESPACE" get "$1" "$2" --ignore-not-found -o name) || exit 1
    [ -n "$found" ]
}

# held SECRET KEY
held() {
    kubectl -n "$NAMESPACE" get secret "$1" -o "go-template={{index .data \"$2\" | base64decode}}"
}

# secret NAME [KEY VALUE]…: the values go through a pipe, since arguments show in `ps`
secret() {
    name=$1
    shift
    if is_there secret "$name"; then
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

is_there namespace "$NAMESPACE" || kubectl create namespace "$NAMESPACE"

# with another client id than before, all that the broker holds for the compactor would be lost
session=$(password)
if is_there secret sensorpipe-mosquitto; then session=sensorpipe-compactor; fi

compactor=$(password)
secret sensorpipe-mosquitto \
    generator-password "$(password)" \
    compactor-password "$compactor" \
    compactor-url "mqtt://compactor:$compactor@$BROKER"

generator=$(held sensorpipe-mosquitto generator-password)
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
