#!/bin/sh
# Runs the whole system on a kind cluster of its own, until the API answers:
#   manifests/kind-demo.sh         (make kind-demo)
#   manifests/kind-demo.sh down    removes the cluster again
# Needs a Docker engine, kind, kubectl, helm (3.18 or newer) and curl; touches no other cluster.
set -eu
cd "$(dirname "$0")/.."

CLUSTER=sensorpipe-demo
STRIMZI=1.2.0
NAMESPACE=sensorpipe
APPS='operator generator compactor server'
PORT=${PORT:-8080}
KUBECONFIG=${TMPDIR:-/tmp}/$CLUSTER.kubeconfig
export KUBECONFIG

say() { printf '%s %s\n' "$(date +%T)" "$*"; }
fail() { printf 'kind-demo: %s\n' "$*" >&2; exit 1; }

check() {
    instead='`make up` runs the pipeline on this machine without any of it'
    docker info >/dev/null 2>&1 || fail "no Docker engine answers here; $instead"
    missing=
    for program in kind kubectl helm curl; do
        command -v "$program" >/dev/null || missing="$missing $program"
    done
    [ -z "$missing" ] || fail "not found here:$missing; $instead"
}

create() {
    if kind get clusters --quiet | grep -qx "$CLUSTER"; then
        say "kind: the cluster $CLUSTER is there"
        kind export kubeconfig --name "$CLUSTER" --quiet
    else
        say "kind: creating the cluster $CLUSTER"
        kind create cluster --name "$CLUSTER" --config manifests/kind.yaml --wait 180s --quiet
    fi
}

# Before the cluster is created, so that a failure leaves nothing behind. The tag is the image's
# digest, so that a demo after a change of the source restarts what has changed.
build() {
    tags=
    for app in $APPS; do
        say "building the image of the $app"
        # BuildKit, which older engines use only if asked, knows the Dockerfile's mounts
        image=$(DOCKER_BUILDKIT=1 docker build --quiet --file images/Dockerfile \
            --build-arg "APP=$app" .)
        tag=$(printf %s "${image#sha256:}" | cut -c1-12)
        docker tag "$image" "sensorpipe-$app:$tag"
        tags="$tags $app=$tag"
    done
}

load() {
    for built in $tags; do
        kind load docker-image "sensorpipe-${built%=*}:${built#*=}" --name "$CLUSTER" >/dev/null
        set -- "$@" --set-string "${built%=*}.image.tag=${built#*=}"
    done
    images=$*
}

install() {
    kubectl create namespace "$NAMESPACE" --dry-run=client -o yaml | kubectl apply -f - >/dev/null
    kubectl label namespace "$NAMESPACE" --overwrite \
        pod-security.kubernetes.io/enforce=restricted >/dev/null
    say "helm: installing Strimzi $STRIMZI"
    helm upgrade --install strimzi oci://quay.io/strimzi-helm/strimzi-kafka-operator \
        --version "$STRIMZI" --namespace strimzi --create-namespace --wait \
        --set "watchNamespaces={$NAMESPACE}" >/dev/null
    say 'helm: installing sensorpipe (Kafka takes the longest)'
    # unquoted, because they are several arguments
    helm upgrade --install sensorpipe charts/sensorpipe --namespace "$NAMESPACE" \
        --wait --timeout 10m $images >/dev/null
}

show() {
    kubectl apply --namespace "$NAMESPACE" -f manifests/samples >/dev/null
    kubectl wait --namespace "$NAMESPACE" --for=condition=Ready sensors --all --timeout=120s
    kubectl get --namespace "$NAMESPACE" sensors
    kubectl port-forward --namespace "$NAMESPACE" service/sensorpipe-server "$PORT:8080" >/dev/null &
    forward=$!
    trap 'kill $forward 2>/dev/null || true' EXIT
    token=$(kubectl create token sensorpipe-reader --namespace "$NAMESPACE" --audience sensorpipe)
    say 'waiting for the first windows, which are 10 s long'
    tries=0
    until answer=$(curl -sf -H "Authorization: Bearer $token" \
        "http://127.0.0.1:$PORT/api/stats?sensors=temperature") &&
        [ "$(printf %s "$answer" | grep -o facility_ | wc -l)" -ge 3 ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 60 ] || fail 'the API has no windows of the three facilities after a minute'
        sleep 1
    done
    say "GET /api/stats?sensors=temperature"
    printf '%s\n' "$answer"
    printf '%s shows a token for the API, of an hour:\n' \
        "KUBECONFIG=$KUBECONFIG kubectl create token sensorpipe-reader -n $NAMESPACE --audience sensorpipe"
    printf 'KUBECONFIG=%s shows more; `%s down` removes it all\n' "$KUBECONFIG" "$0"
}

check
if [ "${1:-up}" = down ]; then
    kind delete cluster --name "$CLUSTER"
    exit
fi
build
create
load
install
show
