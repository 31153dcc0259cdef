"""The Secrets of a release: made by the operator's own code, from the plan that was rendered."""

from support.chart.render import Object
from support.kube.secret_store import SecretStore


def job(objects: list[Object]) -> Object:
    """Return the Job that makes the passwords."""
    (found,) = (found for found in objects if found["kind"] == "Job")
    return found


def plan(objects: list[Object]) -> str:
    """Return what the Job is told."""
    (container,) = job(objects)["spec"]["template"]["spec"]["containers"]
    (found,) = (one["value"] for one in container["env"] if one["name"] == "SENSORPIPE_PASSWORDS")
    assert isinstance(found, str)
    return found


def made(objects: list[Object], *held: Object) -> SecretStore:
    """Return the Secrets after the Job has run where these were before."""
    store = SecretStore(*held)
    store.run(plan(objects))
    return store
