"""The two authorities of a Kafka cluster, renewed and replaced as Strimzi does when it is asked to.

`strimzi.io/force-renew: "true"` on the Secret of the certificate makes another one of the same key.
`strimzi.io/force-replace: "true"` on that of the key makes another key, too; the former certificate
stays beside the new one until the broker has one that the new key signed.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from support.strimzi import certificates as strimzi_certificates
from support.strimzi.api import Api, ApiError
from support.strimzi.objects import Made

CLUSTER = "cluster"
CLIENTS = "clients"
_RENEW = "strimzi.io/force-renew"
_REPLACE = "strimzi.io/force-replace"
_CERTIFICATE = "strimzi.io/ca-cert-generation"
_KEY = "strimzi.io/ca-key-generation"


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority, and which its certificate and its key are, counted from 0."""

    certificates: Mapping[str, str]
    """By file name: `ca.crt`, and the former ones that are trusted still."""
    key: str
    certificate_generation: int = 0
    key_generation: int = 0

    @property
    def certificate(self) -> str:
        """The certificate of today."""
        return self.certificates["ca.crt"]

    @property
    def has_former(self) -> bool:
        """Whether a former certificate is trusted still."""
        return len(self.certificates) > 1


def see_to(api: Api, made: Made, role: str) -> Authority:
    """Return the authority of `CLUSTER` or `CLIENTS`: made, renewed or replaced if need be."""
    there = _read(api, made, role)
    if there is None:
        certificate, key = strimzi_certificates.authority(f"{role}-ca v0")
        return _kept(api, made, role, Authority({"ca.crt": certificate}, key))
    authority, renew, replace = there
    name = f"{role}-ca v{authority.key_generation + (1 if replace and not renew else 0)}"
    if renew:
        certificate, key = strimzi_certificates.authority(name, authority.key)
        others = {}
    elif replace:
        certificate, key = strimzi_certificates.authority(name)
        ended = strimzi_certificates.ends(authority.certificate)
        others = {f"ca-{ended:%Y-%m-%dT%H-%M-%SZ}.crt": authority.certificate}
    else:
        return authority
    wanted = Authority(
        {"ca.crt": certificate, **others},
        key,
        authority.certificate_generation + 1,
        authority.key_generation + (0 if renew else 1),
    )
    return _kept(api, made, role, wanted)


def forget_former(api: Api, made: Made, role: str, authority: Authority) -> None:
    """Trust the certificate of today alone."""
    of_today = {"ca.crt": authority.certificate}
    generations = (authority.certificate_generation, authority.key_generation)
    _kept(api, made, role, Authority(of_today, authority.key, *generations))


def bundle(made: Made, cluster: Authority, clients: Authority) -> dict[str, Any]:
    """Return the Secret of all that the brokers trust."""
    content = {
        f"{role}-ca.crt": "".join(
            authority.certificates[name] for name in sorted(authority.certificates)
        )
        for role, authority in ((CLUSTER, cluster), (CLIENTS, clients))
    }
    generations = {
        f"strimzi.io/{role}-ca-cert-generation": str(authority.certificate_generation)
        for role, authority in ((CLUSTER, cluster), (CLIENTS, clients))
    }
    return made.secret(f"{made.name}-trustbundle", content, generations)


def held(api: Api, made: Made, name: str) -> tuple[dict[str, str], dict[str, str]] | None:
    """Return what a Secret of this very Kafka resource holds, and its annotations.

    One of a former Kafka resource is about to go. Raises ApiError where the resource is gone: its
    Secrets go after it, and are not to be made again, or its broker would restart for them.
    """
    found = api.get("v1", "secrets", name)
    metadata = found["metadata"] if found is not None else {}
    owners = [owner["uid"] for owner in metadata.get("ownerReferences", [])]
    uid = made.kafka["metadata"]["uid"]
    if found is None or uid not in owners:
        if uid not in [kafka["metadata"]["uid"] for kafka in api.strimzi("Kafka")]:
            raise ApiError(f"Kafka {made.name} is gone, and its Secret {name} as well")
        return None
    data = {key: base64.b64decode(value).decode() for key, value in found["data"].items()}
    return data, metadata.get("annotations", {})


def _read(api: Api, made: Made, role: str) -> tuple[Authority, bool, bool] | None:
    """Return the authority, and whether it is to be renewed and to be replaced."""
    certificate = held(api, made, f"{made.name}-{role}-ca-cert")
    key = held(api, made, f"{made.name}-{role}-ca")
    if certificate is None or key is None:
        return None
    return (
        Authority(
            certificate[0],
            key[0]["ca.key"],
            int(certificate[1].get(_CERTIFICATE, 0)),
            int(key[1].get(_KEY, 0)),
        ),
        certificate[1].get(_RENEW) == "true",
        key[1].get(_REPLACE) == "true",
    )


def _kept(api: Api, made: Made, role: str, authority: Authority) -> Authority:
    """Write an authority; only then take away what asked for it, or it would be left by half."""
    generations = (authority.certificate_generation, authority.key_generation)
    certificate, key = (str(generation) for generation in generations)
    secrets = {
        _REPLACE: made.secret(f"{made.name}-{role}-ca", {"ca.key": authority.key}, {_KEY: key}),
        _RENEW: made.secret(
            f"{made.name}-{role}-ca-cert", authority.certificates, {_CERTIFICATE: certificate}
        ),
    }
    for secret in secrets.values():
        api.apply(secret)
    for asked, secret in secrets.items():
        api.merge(secret, {"metadata": {"annotations": {asked: None}}})
    return authority
