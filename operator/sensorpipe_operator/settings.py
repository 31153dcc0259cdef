"""The operator's settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from sensorpipe_runtime.settings import Environment

from sensorpipe_operator.generator_pod import GeneratorPod

_is_namespace: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII).fullmatch
_is_object_name: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII).fullmatch
_is_image: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}", re.ASCII).fullmatch
_is_equality: Final = re.compile(
    r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9._-]{1,63}=[A-Za-z0-9._-]{0,63}", re.ASCII
).fullmatch
_is_data_key: Final = re.compile(r"[A-Za-z0-9._-]{1,253}", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class GeneratorSettings:
    """What all generator pods have in common, whatever their Sensor."""

    image: str
    """Image of the generator pods."""
    pull_policy: str
    """When nodes pull the image."""
    pull_secrets: tuple[str, ...]
    """Names of Secrets to pull the image with, separated by commas."""
    broker_secret: str
    """Name of the Secret in each Sensor's namespace whose key `url` is the broker's address."""
    broker_ca_key: str
    """Key of that Secret with the broker's CA certificates; empty for the system's CAs."""
    log_level: str
    """Least severe level that generators log."""
    pod: GeneratorPod
    """JSON object with what generator pods have besides: `podLabels`, `tolerations` and others."""


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """Where the compactor is, which is to use the Feeds."""

    config_map: tuple[str, str] | None
    """ConfigMap that the compactor mounts, `NAMESPACE/NAME`; without one, Feeds are left alone."""
    pods: str
    """Label selector of the compactor's pod, in the ConfigMap's namespace."""
    readable: tuple[str, ...]
    """MQTT topic filters that the compactor may read, separated by commas; unknown if empty."""


@dataclass(frozen=True, slots=True)
class ClusterIssuerSettings:
    """Where the server finds what the cluster's tokens are checked with."""

    issuer_map: tuple[str, str] | None
    """ConfigMap for issuer and keys of the cluster's tokens, `NAMESPACE/NAME`; none if empty."""
    owner: str
    """Deployment in that namespace with which the ConfigMap is deleted; none if empty."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the operator."""

    namespaces: tuple[str, ...]
    """Namespaces whose Sensors are reconciled; empty for the whole cluster."""
    generator: GeneratorSettings
    feeds: FeedSettings
    cluster_issuer: ClusterIssuerSettings
    lease: tuple[str, str] | None
    """Lease of the release, `NAMESPACE/NAME`: of all operators with it one acts, and the others
    wait; without one, an operator waits for no other."""
    http: tuple[str, int]
    """Address and port of `/metrics`, `/healthz` and `/readyz`."""
    workers: int
    """Number of Sensors reconciled at the same time."""
    resync_ms: int
    """Longest time between two lists of all objects, which find missed changes, in milliseconds.

    It is also that between two looks at the keys of the cluster's tokens.
    """
    log_level: str
    """Least severe level that is logged."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings from variables `SENSORPIPE_*`; raises SettingsError with all faults."""
        env = Environment(environ)
        settings = cls(
            namespaces=env.parse("SENSORPIPE_WATCH_NAMESPACES", _namespaces, ""),
            generator=_generator(env),
            feeds=_feeds(env),
            cluster_issuer=_cluster_issuer(env),
            lease=env.parse("SENSORPIPE_LEASE", _namespaced, ""),
            http=env.address("SENSORPIPE_HTTP", "0.0.0.0:9090"),
            workers=env.whole("SENSORPIPE_WORKERS", 20, 1, 100),
            resync_ms=env.milliseconds("SENSORPIPE_RESYNC", "10m"),
            log_level=env.log_level(),
        )
        env.check()
        return settings


def _generator(env: Environment) -> GeneratorSettings:
    return GeneratorSettings(
        image=env.parse("SENSORPIPE_GENERATOR_IMAGE", _image),
        pull_policy=env.choice(
            "SENSORPIPE_GENERATOR_PULL_POLICY", "IfNotPresent", ("Always", "IfNotPresent", "Never")
        ),
        pull_secrets=env.parse("SENSORPIPE_GENERATOR_PULL_SECRETS", _object_names, ""),
        broker_secret=env.parse("SENSORPIPE_BROKER_SECRET", _object_name, "sensorpipe-broker"),
        broker_ca_key=env.parse("SENSORPIPE_BROKER_CA_KEY", _data_key, ""),
        log_level=env.choice(
            "SENSORPIPE_GENERATOR_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")
        ),
        pod=env.parse("SENSORPIPE_GENERATOR_POD", GeneratorPod.parse, "{}"),
    )


def _feeds(env: Environment) -> FeedSettings:
    return FeedSettings(
        config_map=env.parse("SENSORPIPE_FEEDS_CONFIG_MAP", _namespaced, ""),
        pods=env.parse(
            "SENSORPIPE_COMPACTOR_PODS", _selector, "app.kubernetes.io/component=compactor"
        ),
        readable=env.parse("SENSORPIPE_COMPACTOR_TOPICS", _filters, ""),
    )


def _cluster_issuer(env: Environment) -> ClusterIssuerSettings:
    return ClusterIssuerSettings(
        issuer_map=env.parse("SENSORPIPE_CLUSTER_ISSUER_CONFIG_MAP", _namespaced, ""),
        owner=env.parse("SENSORPIPE_CLUSTER_ISSUER_OWNER", _deployment, ""),
    )


def _deployment(text: str) -> str:
    if text and not _is_object_name(text):
        raise ValueError(f"must be the name of a Deployment; got {text!r}")
    return text


def _namespaced(text: str) -> tuple[str, str] | None:
    if not text:
        return None
    namespace, slash, name = text.partition("/")
    if not slash or not _is_namespace(namespace) or not _is_object_name(name):
        raise ValueError(f"must be NAMESPACE/NAME; got {text!r}")
    return namespace, name


def _selector(text: str) -> str:
    if not all(map(_is_equality, text.split(","))):
        raise ValueError(f"must be labels such as app=compactor, separated by commas; got {text!r}")
    return text


def _filters(text: str) -> tuple[str, ...]:
    for topic in _parts(text):
        if "#" in topic[:-1]:
            raise ValueError(f"must be MQTT topic filters, separated by commas; got {topic!r}")
    return _parts(text)


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _namespaces(text: str) -> tuple[str, ...]:
    for name in _parts(text):
        if not _is_namespace(name):
            raise ValueError(f"must be namespaces, separated by commas; got {name!r}")
    return tuple(dict.fromkeys(_parts(text)))


def _object_name(text: str) -> str:
    if not _is_object_name(text):
        raise ValueError(f"must be the name of a Secret; got {text!r}")
    return text


def _object_names(text: str) -> tuple[str, ...]:
    return tuple(_object_name(name) for name in _parts(text))


def _data_key(text: str) -> str:
    if text and not _is_data_key(text):
        raise ValueError(f"must be a key of the Secret, such as ca.crt; got {text!r}")
    return text


def _image(text: str) -> str:
    if not _is_image(text):
        raise ValueError(f"must be an image, such as sensorpipe-generator:0.1.0; got {text!r}")
    return text
