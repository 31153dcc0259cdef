"""Builds the pipeline of a run from Sensors and options, without starting it."""

import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from sensorpipe_schema.manifest_files import Manifests

from sensorpipe_cli.runner import embedded, programs
from sensorpipe_cli.runner.child import Child
from sensorpipe_cli.runner.options import DEVICE_PORT, Options, device_address
from sensorpipe_cli.runner.pipeline import Part, Pipeline
from sensorpipe_cli.runner.ports import LOOPBACK, free_ports
from sensorpipe_cli.runner.workspace import Workspace

if TYPE_CHECKING:
    from sensorpipe_schema.sensor import Sensor


def assemble(found: Manifests, options: Options, workspace: Workspace) -> Pipeline:
    """Return the pipeline for these manifests, not started; raise NotEmbeddedError.

    The compactor reads Feeds in the workspace's folder for them, if there are any.
    """
    running = [sensor for sensor in found.sensors if sensor.spec.runs]
    feeds = workspace.feeds if found.feeds else None
    ports = free_ports(7 + len(running))
    mqtt, mqtt_3, kafka, mongodb, api, monitoring, compactor, *generators = ports
    services = programs.Services(
        mqtt=options.mqtt or f"mqtt://{LOOPBACK}:{mqtt}",
        kafka=options.kafka or f"{LOOPBACK}:{kafka}",
        mongodb=options.mongodb or f"mongodb://{LOOPBACK}:{mongodb}/sensorpipe",
    )
    shared = programs.shared_environment(os.environ, _external(options))
    client_id = None if options.mqtt else f"compactor-{secrets.token_hex(16)}"
    devices = None
    if options.mqtt is None:
        devices = embedded.DeviceAddress(*device_address(options.listen), mqtt_3)
    pipeline = Pipeline(
        devices=devices.url if devices else None,
        services=_embedded(options, (mqtt, kafka, mongodb), services, workspace, devices),
        server=_part(programs.server(services, options.port or api, monitoring, shared), workspace),
        compactor=_part(
            programs.compactor(services, compactor, shared, client_id, feeds), workspace
        ),
        generators=[
            _part(
                programs.generator(
                    _label(sensor), _write_manifest(sensor, workspace), services, port, shared
                ),
                workspace,
            )
            for sensor, port in zip(running, generators, strict=True)
        ],
    )
    if devices is not None and devices.port != DEVICE_PORT and ":" not in (options.listen or ""):
        pipeline.devices_note = f"port {DEVICE_PORT}, the usual one, is in use"
    return pipeline


def _external(options: Options) -> frozenset[str]:
    urls = {"MQTT": options.mqtt, "KAFKA": options.kafka, "MONGODB": options.mongodb}
    return frozenset(name for name, value in urls.items() if value is not None)


def _embedded(
    options: Options,
    ports: tuple[int, int, int],
    at: programs.Services,
    workspace: Workspace,
    devices: embedded.DeviceAddress | None,
) -> list[Part]:
    mqtt, kafka, mongodb = ports
    parts: list[Part] = []
    if options.mqtt is None:
        broker = embedded.mqtt_broker(mqtt, workspace.folder, workspace.logs, devices)
        parts.append(Part(broker, devices.url if devices else at.mqtt))
    if options.kafka is None:
        kafka_broker = embedded.kafka_broker(kafka, workspace.folder, workspace.logs)
        parts.append(Part(kafka_broker, at.kafka))
    if options.mongodb is None:
        mongod = embedded.mongod_replica_set(mongodb, workspace.folder, workspace.logs)
        parts.append(Part(mongod, at.mongodb))
    return parts


def _part(program: programs.Program, workspace: Workspace) -> Part:
    log = workspace.logs / f"{program.name.replace(' ', '-').replace('/', '.')}.log"
    child = Child(program.name, program.argv, log, environ=program.environ, port=program.port)
    at = program.monitoring_url
    return Part(child, program.url, f"{at}/readyz", f"{at}/metrics")


def _label(sensor: "Sensor") -> str:
    namespace = sensor.metadata.namespace
    return f"{namespace}/{sensor.name}" if namespace else sensor.name


def _write_manifest(sensor: "Sensor", workspace: Workspace) -> Path:
    path = workspace.sensors / f"{'.'.join(sensor.key)}.json"
    path.write_text(json.dumps(sensor.to_manifest(), indent=2), encoding="utf-8")
    return path
