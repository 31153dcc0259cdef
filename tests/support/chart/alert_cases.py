"""When each alert fires and when it does not, as series of samples."""

from dataclasses import dataclass

COMPACTOR = "sensorpipe_compactor"
SERVER = "sensorpipe_server"
OPERATOR = "sensorpipe_operator"


@dataclass(frozen=True)
class Case:
    """Series, one sample a minute in promtool's notation, and what fires at some minute."""

    name: str
    series: dict[str, str]
    fires: dict[int, int]
    """By minute: how many alerts of the name."""


def up(**down: str) -> dict[str, str]:
    """Return all three components as running, but for those whose samples are given."""
    parts = {"operator": "1x120", "compactor": "1x120", "server": "1x120", **down}
    return {f'up{{component="{name}",pod="{name}-0"}}': samples for name, samples in parts.items()}


CASES = {
    "all is there": Case("ComponentDown", up(), {60: 0}),
    "one component is gone for six minutes": Case(
        "ComponentDown", up(server="1x60 _x60"), {64: 0, 72: 1}
    ),
    "one does not answer": Case("ComponentDown", up(operator="1x60 0x60"), {64: 0, 67: 1}),
    "nothing is scraped at all": Case("ComponentDown", {}, {10: 3}),
    "a pod is replaced by another": Case(
        "ComponentDown",
        up(compactor="1x60 _x60") | {'up{component="compactor",pod="compactor-1"}': "_x62 1x58"},
        {70: 0, 90: 0},
    ),
    "the broker is gone": Case(
        "BrokerUnreachable", {f"{COMPACTOR}_connected": "1x30 0x90"}, {34: 0, 37: 1}
    ),
    "the broker is back soon": Case(
        "BrokerUnreachable", {f"{COMPACTOR}_connected": "1x30 0x3 1x80"}, {33: 0, 40: 0}
    ),
    "the compactor tries Kafka in vain": Case(
        "KafkaUnreachable", {f"{COMPACTOR}_kafka_retries_total": "0x30 1+1x60"}, {33: 0, 45: 1}
    ),
    "one attempt at Kafka failed": Case(
        "KafkaUnreachable", {f"{COMPACTOR}_kafka_retries_total": "0x30 1x60"}, {33: 0, 36: 0}
    ),
    "no server has partitions": Case(
        "KafkaUnreachable",
        {f'{SERVER}_kafka_assigned{{pod="{pod}"}}': "1x30 0x60" for pod in "ab"},
        {34: 0, 37: 1},
    ),
    "one server more than partitions": Case(
        "KafkaUnreachable",
        {f'{SERVER}_kafka_assigned{{pod="{pod}"}}': f"{at}x60" for at, pod in enumerate("ab")},
        {40: 0},
    ),
    "MongoDB is away": Case(
        "DatabaseUnreachable", {f"{SERVER}_write_failures_total": "0x30 1+2x60"}, {33: 0, 45: 1}
    ),
    "MongoDB was away for a moment": Case(
        "DatabaseUnreachable", {f"{SERVER}_write_failures_total": "0x30 3x60"}, {32: 0, 38: 0}
    ),
    "the broker dropped some": Case(
        "MessagesDropped", {f"{COMPACTOR}_broker_dropped_total": "0x30 50x90"}, {29: 0, 32: 1}
    ),
    "the broker tells its number at the first drop": Case(
        "MessagesDropped", {f"{COMPACTOR}_broker_dropped_total": "_x30 50x90"}, {29: 0, 32: 1}
    ),
    "it dropped them while the compactor was away": Case(
        "MessagesDropped",
        {
            f'{COMPACTOR}_broker_dropped_total{{pod="a"}}': "7x20 _x100",
            f'{COMPACTOR}_broker_dropped_total{{pod="b"}}': "_x40 90x80",
        },
        {19: 0, 43: 1},
    ),
    "it dropped them long ago, and the compactor is new": Case(
        "MessagesDropped",
        {
            f'{COMPACTOR}_broker_dropped_total{{pod="a"}}': "90x20 _x100",
            f'{COMPACTOR}_broker_dropped_total{{pod="b"}}': "_x40 90x80",
        },
        {43: 0, 110: 0},
    ),
    "the broker began anew": Case(
        "MessagesDropped", {f"{COMPACTOR}_broker_dropped_total": "90x20 0x100"}, {25: 0}
    ),
    "a session was lost": Case(
        "SessionLost", {f"{COMPACTOR}_sessions_lost_total": "0x20 1x100"}, {19: 0, 25: 1, 100: 0}
    ),
    "a new compactor finds no session": Case(
        "SessionLost", {f"{COMPACTOR}_sessions_lost_total": "_x20 1x100"}, {25: 1, 100: 0}
    ),
    "no session was lost": Case(
        "SessionLost", {f"{COMPACTOR}_sessions_lost_total": "_x20 0x100"}, {25: 0}
    ),
    "readings are missing": Case(
        "ReadingsLost", {f"{SERVER}_lost_readings": "0x20 3x90"}, {19: 0, 23: 1}
    ),
    "the gap has closed": Case(
        "ReadingsLost", {f"{SERVER}_lost_readings": "0x20 3x1 0x90"}, {21: 0, 30: 0}
    ),
    "readings count twice": Case(
        "ReadingsDuplicated", {f"{SERVER}_duplicate_readings": "0x20 1x90"}, {19: 0, 23: 1}
    ),
    "the first dead letter of its kind": Case(
        "ReadingsRefused",
        {f'{COMPACTOR}_dead_letters_total{{reason="not_json"}}': "_x20 1x100"},
        {19: 0, 21: 1, 60: 0},
    ),
    "dead letters of two kinds": Case(
        "ReadingsRefused",
        {
            f'{COMPACTOR}_dead_letters_total{{reason="{reason}"}}': "3x20 4+1x100"
            for reason in ("not_json", "too_old")
        },
        {19: 0, 30: 2},
    ),
    "dead letters of long ago": Case(
        "ReadingsRefused",
        {f'{COMPACTOR}_dead_letters_total{{reason="not_json"}}': "9x120"},
        {60: 0},
    ),
    "a summary cannot be stored": Case(
        "SummariesRefused",
        {f'{SERVER}_dead_letters_total{{reason="not_protobuf"}}': "_x20 1x100"},
        {19: 0, 21: 1, 60: 0},
    ),
    "dead letters wait for Kafka": Case(
        "DeadLettersWaiting",
        {f"{COMPACTOR}_dead_letters_waiting": "0x20 3x90"},
        {24: 0, 26: 1},
    ),
    "dead letters waited for a moment": Case(
        "DeadLettersWaiting", {f"{COMPACTOR}_dead_letters_waiting": "0x20 3x3 0x90"}, {23: 0, 30: 0}
    ),
    "the server tries to write dead letters in vain": Case(
        "DeadLettersFailing",
        {f"{SERVER}_dead_letter_failures_total": "0x30 1+2x60"},
        {33: 0, 45: 1},
    ),
    "one attempt to write dead letters failed": Case(
        "DeadLettersFailing",
        {f"{SERVER}_dead_letter_failures_total": "0x30 1x60"},
        {32: 0, 38: 0},
    ),
    "most readings are listed one by one": Case(
        "ReadingsItemized",
        {f"{COMPACTOR}_itemized_total": "0x20 6+6x90", f"{COMPACTOR}_readings_total": "0+10x110"},
        {50: 0, 62: 1},
    ),
    "readings of a start are listed one by one": Case(
        "ReadingsItemized",
        {
            f"{COMPACTOR}_itemized_total": "0x20 6+6x9 60x90",
            f"{COMPACTOR}_readings_total": "0+10x110",
        },
        {30: 0, 60: 0},
    ),
    "the memory for sources fills up": Case(
        "SourceMemoryFull",
        {
            f"{COMPACTOR}_source_bytes": "80x20 91x90",
            f"{COMPACTOR}_source_bytes_limit": "100x110",
        },
        {20: 0, 34: 0, 38: 1},
    ),
    "the memory for sources has room": Case(
        "SourceMemoryFull",
        {
            f"{COMPACTOR}_source_bytes": "89x110",
            f"{COMPACTOR}_source_bytes_limit": "100x110",
        },
        {100: 0},
    ),
    "the compactor's clock is behind": Case(
        "ClockBehind", {f"{COMPACTOR}_clock_behind_seconds": "0x20 75x90"}, {21: 0, 23: 1}
    ),
    "the compactor's clock is right": Case(
        "ClockBehind", {f"{COMPACTOR}_clock_behind_seconds": "0x110"}, {100: 0}
    ),
    "summaries of a replaced compactor": Case(
        "PartialsFenced",
        {
            f'{SERVER}_partials_total{{outcome="fenced"}}': "0x20 4x90",
            f'{SERVER}_partials_total{{outcome="inserted"}}': "0+9x110",
        },
        {19: 0, 21: 1, 60: 0},
    ),
    "the first scrape of a server shows some already": Case(
        "PartialsFenced",
        {f'{SERVER}_partials_total{{outcome="fenced"}}': "_x20 4x90"},
        {21: 1, 60: 0},
    ),
    "a new server without any": Case(
        "PartialsFenced", {f'{SERVER}_partials_total{{outcome="fenced"}}': "_x20 0x90"}, {21: 0}
    ),
    "an issuer is away": Case(
        "IssuerUnreachable",
        {
            f'{SERVER}_access_key_fetches_total{{result="failed",pod="a"}}': "0x20 2+2x90",
            f'{SERVER}_access_key_fetches_total{{result="fetched",pod="a"}}': "0+0.1x110",
        },
        {49: 0, 52: 1, 100: 1},
    ),
    "an issuer is away from the start of a server": Case(
        "IssuerUnreachable",
        {f'{SERVER}_access_key_fetches_total{{result="failed"}}': "_x20 1+2x90"},
        {49: 0, 53: 1},
    ),
    "an issuer was away for ten minutes, and at times does not answer": Case(
        "IssuerUnreachable",
        {f'{SERVER}_access_key_fetches_total{{result="failed"}}': "0x20 2+2x10 24x9 25x9 26x60"},
        {31: 0, 52: 0, 60: 0},
    ),
    "the keys of an issuer are fetched": Case(
        "IssuerUnreachable",
        {f'{SERVER}_access_key_fetches_total{{result="fetched"}}': "0+1x110"},
        {100: 0},
    ),
    "the operator cannot read the cluster's keys": Case(
        "ClusterKeysOld",
        {
            f"{OPERATOR}_cluster_keys_age_seconds": "0+60x110",
            f"{OPERATOR}_resync_seconds": "600x110",
        },
        {31: 0, 34: 1, 100: 1},
    ),
    "the operator reads the cluster's keys every ten minutes": Case(
        "ClusterKeysOld",
        {
            f"{OPERATOR}_cluster_keys_age_seconds": "0 60 120 180 240 300 360 420 480 540 600 0x99",
            f"{OPERATOR}_resync_seconds": "600x110",
        },
        {11: 0, 100: 0},
    ),
    "one of two operators keeps the cluster's keys": Case(
        "ClusterKeysOld",
        {
            f'{OPERATOR}_cluster_keys_age_seconds{{pod="a"}}': "0+60x110",
            f'{OPERATOR}_cluster_keys_age_seconds{{pod="b"}}': "300x110",
            f'{OPERATOR}_resync_seconds{{pod="a"}}': "600x110",
            f'{OPERATOR}_resync_seconds{{pod="b"}}': "600x110",
        },
        {100: 0},
    ),
    "the operator could not read the cluster's keys for half an hour": Case(
        "ClusterKeysOld",
        {
            f"{OPERATOR}_cluster_keys_age_seconds": "0+60x30 0x80",
            f"{OPERATOR}_resync_seconds": "600x110",
        },
        {30: 0, 40: 0},
    ),
    "a namespace refuses the operator": Case(
        "NamespaceRefused", {f"{OPERATOR}_refused_namespaces": "0x20 2x90"}, {24: 0, 26: 1}
    ),
    "all namespaces let it in": Case(
        "NamespaceRefused", {f"{OPERATOR}_refused_namespaces": "0x110"}, {100: 0}
    ),
    "a backlog that stays": Case(
        "ServerLag",
        {f'{SERVER}_consumer_lag_records{{partition="{n}"}}': "0x20 600x90" for n in range(2)},
        {29: 0, 31: 1},
    ),
    "a backlog that goes": Case(
        "ServerLag", {f'{SERVER}_consumer_lag_records{{partition="0"}}': "5000x8 0x90"}, {15: 0}
    ),
    "windows are stored late": Case(
        "WindowsLate",
        {
            f'{SERVER}_window_lag_seconds_bucket{{le="{le}"}}': f"0+{each}x120"
            for le, each in (("3", 0), ("60", 1), ("300", 10), ("+Inf", 10))
        },
        {5: 0, 30: 1},
    ),
    "windows are stored in time": Case(
        "WindowsLate",
        {
            f'{SERVER}_window_lag_seconds_bucket{{le="{le}"}}': f"0+{each}x120"
            for le, each in (("3", 10), ("60", 10), ("300", 10), ("+Inf", 10))
        },
        {30: 0},
    ),
    "two facilities are silent": Case(
        "FacilityStale",
        {
            f'{SERVER}_facility_silence_seconds{{facility="f{n}"}}': f"{start}+60x110"
            for n, start in enumerate((70, 70, -6000))
        },
        {8: 0, 13: 2},
    ),
    "the audit is stuck": Case(
        "AuditStale", {f"{SERVER}_audit_timestamp_seconds": "0+60x30 1800x90"}, {49: 0, 52: 1}
    ),
    "no server audits": Case("AuditStale", {}, {9: 0, 11: 1}),
    "the audit goes on": Case(
        "AuditStale", {f"{SERVER}_audit_timestamp_seconds": "0+60x120"}, {100: 0}
    ),
    "the operator cannot list": Case(
        "OperatorStale",
        {f"{OPERATOR}_list_age_seconds": "0+60x110", f"{OPERATOR}_resync_seconds": "600x110"},
        {21: 0, 24: 1},
    ),
    "a list found what no watch told": Case(
        "OperatorStale",
        {
            f"{OPERATOR}_missed_total": "0x20 2x90",
            f"{OPERATOR}_silence_seconds": "0+60x110",
        },
        {19: 0, 23: 1, 50: 0},
    ),
    "a list was quicker than a watch": Case(
        "OperatorStale",
        {f"{OPERATOR}_missed_total": "0x20 2x90", f"{OPERATOR}_silence_seconds": "5x110"},
        {23: 0},
    ),
    "nothing happens in the cluster": Case(
        "OperatorStale",
        {
            f"{OPERATOR}_missed_total": "0x110",
            f"{OPERATOR}_silence_seconds": "0+60x110",
            f"{OPERATOR}_list_age_seconds": "300x110",
            f"{OPERATOR}_resync_seconds": "600x110",
        },
        {100: 0},
    ),
    "all operators wait": Case(
        "OperatorWaits",
        {f'{OPERATOR}_leading{{pod="{pod}"}}': "0x110" for pod in "ab"},
        {1: 0, 3: 1},
    ),
    "one operator acts, and another waits": Case(
        "OperatorWaits",
        {f'{OPERATOR}_leading{{pod="a"}}': "1x110", f'{OPERATOR}_leading{{pod="b"}}': "0x110"},
        {30: 0},
    ),
    "the operator fails on and on": Case(
        "OperatorFailing",
        {f'{OPERATOR}_errors_total{{reason="Forbidden"}}': "0x20 1+1x90"},
        {30: 0, 40: 1},
    ),
    "the operator failed once": Case(
        "OperatorFailing",
        {f'{OPERATOR}_errors_total{{reason="Conflict"}}': "0x20 1x90"},
        {25: 0, 36: 0, 50: 0},
    ),
}
