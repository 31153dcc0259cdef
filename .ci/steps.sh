# Sourced by the scripts beside it: steps that say how long they took, and lanes side by side.

retry() {
    for pause in 5 15 30; do
        "$@" && return
        sleep "$pause"
    done
    "$@"
}

# runs a command and says how long it took, whether it succeeded or not
step() {
    local began=$SECONDS status=0
    "$@" || status=$?
    local failed=
    [ "$status" = 0 ] || failed="  FAILED with $status"
    printf '%4d s  %s%s\n' $((SECONDS - began)) "$*" "$failed" >&2
    return "$status"
}

declare -A lanes=()
notes=$(mktemp -d)

# runs a command in the background: lane NAME COMMAND…
lane() {
    local name=$1
    shift
    # a group of its own, which can be ended as one
    set -m
    "$@" >"$notes/$name" 2>&1 &
    lanes[$name]=$!
    set +m
}

# waits for a lane, prints all it said, and returns its status
join() {
    local status=0
    wait "${lanes[$1]}" || status=$?
    unset "lanes[$1]"
    printf '\n=== %s\n' "$1" >&2
    cat "$notes/$1" >&2
    return "$status"
}

# ends the lanes that nobody waited for, and prints the end of what they said
end_lanes() {
    local name
    for name in "${!lanes[@]}"; do
        kill -- "-${lanes[$name]}" 2>/dev/null || true
        wait "${lanes[$name]}" 2>/dev/null || true
        printf '\n=== %s, not finished\n' "$name" >&2
        tail -n 40 "$notes/$name" >&2
    done
    rm -rf "$notes"
}
