"""What the Job makes of a plan: each password once, and nothing that is there is another."""

import json
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.names import Body
from sensorpipe_operator.passwords.__main__ import Settings
from sensorpipe_operator.passwords.content import KEPT, MADE_ANNOTATION, RefusedError, digest
from sensorpipe_operator.passwords.keeper import PAUSES, keep, keep_patiently, password
from sensorpipe_operator.passwords.plan import Plan
from sensorpipe_runtime.settings import SettingsError
from support.kube.secret_store import SecretStore, encoded

OWN = {"app.kubernetes.io/part-of": "sensorpipe", "app.kubernetes.io/instance": "demo"}
HELM = {"meta.helm.sh/release-namespace": "plant", "meta.helm.sh/release-name": "demo"}
BROKER: dict[str, Any] = {
    "namespace": "plant",
    "name": "broker",
    "labels": OWN,
    "made": ["generator", "session"],
    "inherited": {"session": "plant-7"},
    "texts": {
        "own-url": {"before": "mqtt://g:", "secret": "broker", "key": "generator", "after": "@h"}
    },
}
URL: dict[str, Any] = {
    "namespace": "annex",
    "name": "url",
    "labels": OWN,
    "texts": {"url": {"before": "mqtt://", "secret": "broker", "key": "generator", "after": "@h"}},
}
PLAN: dict[str, Any] = {
    "release": "demo",
    "namespace": "plant",
    "token": "revision 3",
    "secrets": [BROKER, URL],
}


def plan(**changes: Any) -> Plan:
    return Plan.parse(json.dumps(PLAN | changes))


def secret(
    values: dict[str, str | bytes], namespace: str = "plant", name: str = "broker", **metadata: Any
) -> Body:
    """Return a Secret as a chart before made it."""
    named = {"namespace": namespace, "name": name, "labels": OWN, "annotations": HELM}
    return {"metadata": {**named, "resourceVersion": "7", **metadata}, "data": encoded(values)}


def numbered() -> Iterator[str]:
    return (f"made-{number}" for number in count(1))


async def kept(api: SecretStore, **changes: Any) -> SecretStore:
    await keep(api, plan(**changes), numbered().__next__)
    return api


async def test_a_first_run_makes_all_and_a_second_one_changes_nothing():
    api = await kept(SecretStore())
    assert api.values("plant", "broker") == {
        "generator": "made-1",
        "session": "made-2",
        "own-url": "mqtt://g:made-1@h",
    }
    assert api.values("annex", "url") == {"url": "mqtt://made-1@h"}
    assert api.writes == 2

    await kept(api, token="revision 4")
    assert api.values("plant", "broker")["generator"] == "made-1"
    assert api.writes == 2


async def test_what_is_made_is_marked_and_belongs_to_the_release():
    api = await kept(SecretStore())
    body = api.held["plant", "broker"]
    assert body["metadata"]["labels"] == OWN
    assert body["type"] == "Opaque"
    annotations = api.annotations("plant", "broker")
    assert annotations.items() >= KEPT.items()
    assert json.loads(annotations[MADE_ANNOTATION]) == {
        "generator": {"as": "revision 3", "sha256": digest("plant", "broker", b"made-1")},
        "session": {"as": "revision 3", "sha256": digest("plant", "broker", b"made-2")},
    }


async def test_passwords_of_a_chart_before_stay_and_helm_is_told_to_leave_them():
    old: dict[str, str | bytes] = {"generator": "old", "session": "s", "own-url": "mqtt://g:old@h"}
    api = await kept(SecretStore(secret(old), secret({"url": "mqtt://old@h"}, "annex", "url")))
    assert api.values("plant", "broker") == old
    assert api.values("annex", "url") == {"url": "mqtt://old@h"}
    annotations = api.annotations("plant", "broker")
    assert annotations.items() >= (KEPT | HELM).items()
    assert MADE_ANNOTATION not in annotations


async def test_an_annotation_that_somebody_else_set_stays():
    mine = KEPT | HELM | {"argocd.argoproj.io/sync-options": "Prune=confirm"}
    api = await kept(
        SecretStore(
            secret({"generator": "a", "session": "b", "own-url": "mqtt://g:a@h"}, annotations=mine)
        )
    )
    assert api.annotations("plant", "broker") == mine


async def test_a_password_that_was_removed_is_made_and_the_urls_follow_it():
    api = await kept(SecretStore())
    del api.held["plant", "broker"]["data"]["generator"]
    await keep(api, plan(token="revision 9"), iter(["new"]).__next__)
    assert api.values("plant", "broker") == {
        "generator": "new",
        "session": "made-2",
        "own-url": "mqtt://g:new@h",
    }
    assert api.values("annex", "url") == {"url": "mqtt://new@h"}
    record = json.loads(api.annotations("plant", "broker")[MADE_ANNOTATION])
    assert {key: entry["as"] for key, entry in record.items()} == {
        "generator": "revision 9",
        "session": "revision 3",
    }


async def test_a_secret_from_before_there_was_a_session_inherits_it():
    api = await kept(SecretStore(secret({"generator": "old"})))
    assert api.values("plant", "broker")["session"] == "plant-7"


async def test_a_password_of_ones_own_is_escaped_in_urls():
    api = await kept(SecretStore(secret({"generator": "p@ss/ü", "session": "s"})))
    assert api.values("annex", "url") == {"url": "mqtt://p%40ss%2F%C3%BC@h"}
    assert api.values("plant", "broker")["generator"] == "p@ss/ü"


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {}},
        {"labels": OWN | {"app.kubernetes.io/instance": "other"}},
        {"annotations": {"meta.helm.sh/release-namespace": "elsewhere"}},
        {"annotations": {"sensorpipe.dev/release-namespace": "elsewhere"}},
    ],
)
async def test_a_secret_of_another_owner_is_refused_and_left_alone(metadata: dict[str, Any]):
    api = SecretStore(secret({"generator": "theirs"}, **metadata))
    with pytest.raises(RefusedError, match=r"Secret broker in namespace plant exists and does not"):
        await kept(api)
    assert api.writes == 0


async def test_two_releases_of_one_name_do_not_share_a_secret_in_a_third_namespace():
    api = await kept(SecretStore())
    other = [{**BROKER, "namespace": "site"}, URL]
    with pytest.raises(RefusedError, match="Secret url in namespace annex"):
        await kept(api, namespace="site", secrets=other)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"generator": ""}, "generator is empty; remove the key"),
        ({"generator": b"\xff"}, "generator is not UTF-8"),
    ],
)
async def test_a_password_that_cannot_be_used_is_refused(values: dict[str, str | bytes], said: str):
    with pytest.raises(RefusedError, match=said):
        await kept(SecretStore(secret(values)))


async def test_what_another_run_created_meanwhile_is_kept():
    api = SecretStore()
    theirs: dict[str, str | bytes] = {"generator": "first", "session": "s"}
    api.meanwhile.append(secret(theirs))
    await kept(api)
    assert api.values("plant", "broker")["generator"] == "first"
    assert api.values("annex", "url") == {"url": "mqtt://first@h"}


async def test_a_secret_that_always_changes_is_given_up():
    class Racing(SecretStore):
        async def find_secret(self, namespace: str, name: str) -> Body | None:
            found = await super().find_secret(namespace, name)
            self.held[namespace, name]["metadata"]["resourceVersion"] += "0"
            return found

    with pytest.raises(ApiError, match="changes all the time"):
        await kept(Racing(secret({"generator": "a"})))


async def test_an_api_server_that_does_not_answer_yet_is_asked_again():
    api = SecretStore()
    api.failures = [ApiError(0, "Unreachable", "no"), ApiError(403, "Forbidden", "not yet")]
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    await keep_patiently(api, plan(), numbered().__next__, pause)
    assert waited == list(PAUSES[:2])
    assert api.values("annex", "url") == {"url": "mqtt://made-1@h"}


async def test_after_two_minutes_the_last_error_is_told():
    api = SecretStore()
    api.failures = [ApiError(403, "Forbidden", f"no {number}") for number in range(20)]
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    with pytest.raises(ApiError, match=f"no {len(PAUSES)}$"):
        await keep_patiently(api, plan(), pause=pause)
    assert sum(waited) == 120


def test_passwords_are_long_and_different_and_need_no_escapes():
    made = {password() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch("[A-Za-z0-9]{32}", one) for one in made)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "SENSORPIPE_PASSWORDS: "),
        (json.dumps(PLAN | {"more": 1}), "unknown field `more`"),
        (
            json.dumps(PLAN | {"secrets": [URL, BROKER]}),
            "url: url needs generator of broker, which no Secret before it has",
        ),
    ],
)
def test_a_wrong_plan_names_its_variable(text: str, said: str):
    with pytest.raises(SettingsError, match=r"^SENSORPIPE_PASSWORDS: ") as error:
        Settings.read({"SENSORPIPE_PASSWORDS": text})
    assert said in str(error.value)
