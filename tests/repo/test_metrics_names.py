"""Each metric that a rule or the dashboard asks for is told by a program, really scraped."""

import json
import os
import re
import shutil
import sys
import time
from contextlib import AsyncExitStack, suppress
from urllib.request import urlopen

import pytest
import pytest_asyncio
import yaml
from cluster_command import run
from prometheus_client.parser import text_string_to_metric_families
from sensorpipe_cli.runner.child import Child, free_port
from support import services
from support.chart import go as chart_go
from support.chart.render import CHART
from support.pipeline import monitoring_url, own_monitoring
from support.services import ROOT, running
from support.waiting import eventually, in_thread

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "nowhere",
    "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nobody"}}],
    "clusters": [{"name": "nowhere", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "nobody", "user": {}}],
}


def asked() -> set[str]:
    """Return the names in all expressions of rules and dashboard, and those in the README."""
    groups = yaml.safe_load((CHART / "files/alerts.yaml").read_text())["groups"]
    found = [rule["expr"] for group in groups for rule in group["rules"]]
    for panel in json.loads((CHART / "files/dashboard.json").read_text())["panels"]:
        found += [target["expr"] for target in panel.get("targets", [])]
    named = re.findall(r"`(sensorpipe_[a-z]+_\w+)`", (CHART / "README.md").read_text())
    return set(re.findall(r"\b((?:sensorpipe|process)_\w+)\{", "\n".join(found))) | set(named)


def documented() -> set[str]:
    """Return the names of all samples of the metrics in the reference."""
    rows = re.findall(r"(?m)^\| `(\w+)` \| (\w+) \|", (ROOT / "docs/metrics.md").read_text())
    return {
        f"{name.removesuffix('_total')}{suffix}" for name, kind in rows for suffix in SUFFIXES[kind]
    }


def told(text: str) -> set[str]:
    """Return the names of all samples that a scrape has, or will have once there is something."""
    return {
        family.name + suffix
        for family in text_string_to_metric_families(text)
        for suffix in SUFFIXES.get(family.type, ("",))
    }


def scrape(port: int | None) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


async def scraped(port: int | None, wanted: str) -> str:
    """Return a scrape that has a name."""
    text = ""

    def has_it() -> bool:
        nonlocal text
        with suppress(OSError):  # it does not listen there yet
            text = scrape(port)
        return wanted in told(text)

    await eventually(in_thread(has_it), state=lambda: text)
    return text


def program(name: str, folder, **settings: str) -> Child:
    port = free_port()
    environ = {**os.environ, "SENSORPIPE_HTTP": f"127.0.0.1:{port}", **settings}
    argv = [sys.executable, "-m", f"sensorpipe_{name}"]
    return Child(name, argv, folder / f"{name}.log", environ=environ, port=port)


def metrics_port(child: Child) -> int:
    """Return the port of a program's metrics: the server's API has another one."""
    return int(monitoring_url(child).rpartition(":")[2])


def programs(folder, mqtt: Child, kafka: Child, mongod: Child) -> dict[str, Child]:
    """Return the four programs, the operator with a cluster that is not there."""
    (folder / "kubeconfig").write_text(yaml.safe_dump(KUBECONFIG))
    broker = {"SENSORPIPE_MQTT_URL": f"mqtt://127.0.0.1:{mqtt.port}"}
    bootstrap = {"SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{kafka.port}"}
    database = f"mongodb://127.0.0.1:{mongod.port}/names_{time.time_ns()}"
    sensor = str(ROOT / "manifests/samples/facility-1.yaml")
    feeds = folder / "feeds"
    shutil.copytree(ROOT / "manifests/feeds", feeds, ignore=lambda _, names: names[1:])
    given: dict[str, dict[str, str]] = {
        "operator": {
            "KUBECONFIG": str(folder / "kubeconfig"),
            "SENSORPIPE_GENERATOR_IMAGE": "generator",
            "SENSORPIPE_FEEDS_CONFIG_MAP": "sensorpipe/feeds",
            "SENSORPIPE_CLUSTER_ISSUER_CONFIG_MAP": "sensorpipe/keys",
        },
        "generator": {**broker, "SENSORPIPE_SENSOR": sensor},
        "compactor": {
            **broker,
            **bootstrap,
            "SENSORPIPE_WINDOW": "1s",
            "SENSORPIPE_FEEDS": str(feeds),
        },
        "server": {**bootstrap, **own_monitoring(), "SENSORPIPE_MONGODB_URI": database},
    }
    return {name: program(name, folder, **settings) for name, settings in given.items()}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scrapes(
    tmp_path_factory: pytest.TempPathFactory, tansu: Child, mongod: Child
) -> dict[str, str]:
    """What each program tells once something has flowed through all of them."""
    folder = tmp_path_factory.mktemp("programs")
    broker = services.mosquitto(folder, f"{services.MOSQUITTO_TUNED}sys_interval 1\n")
    children = programs(folder, broker, tansu, mongod)
    last = {
        "operator": "sensorpipe_operator_queue",
        "generator": "sensorpipe_generator_published_total",
        "compactor": "sensorpipe_compactor_broker_dropped_total",
        "server": "sensorpipe_server_facility_silence_seconds",
    }
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(broker))
        for child in children.values():
            await stack.enter_async_context(running(child))
        return {
            name: await scraped(metrics_port(child), last[name]) for name, child in children.items()
        }


def test_whatever_is_asked_for_is_in_the_reference():
    ours = {name for name in asked() if name.startswith("sensorpipe_") and "process_" not in name}
    assert len(ours) > 30
    assert ours - documented() == set()


def test_the_reference_has_what_the_programs_tell(scrapes):
    found = {name for text in scrapes.values() for name in told(text)}
    ours = {name for name in found if name.startswith("sensorpipe_") and "process_" not in name}
    assert {name for name in ours if not name.endswith("_created")} == documented()


def test_whatever_is_asked_for_some_program_tells(scrapes):
    found = {name: told(text) for name, text in scrapes.items()}
    assert len(asked()) > 30
    assert asked() - {one for names in found.values() for one in names} == set()


def test_each_program_puts_its_name_before_its_own_metrics(scrapes):
    for name, text in scrapes.items():
        ours = {one for one in told(text) if one.startswith("sensorpipe_")}
        assert ours
        assert all(one.startswith(f"sensorpipe_{name}_") for one in ours)


def test_prometheus_finds_no_fault_with_them(scrapes):
    promtool = chart_go.program("promtool")
    for text in scrapes.values():
        run(str(promtool), "check", "metrics", stdin=text, timeout=60)
