"""Each alert, in Prometheus' own test of rules: when it fires, and when it does not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_command import CommandError, run
from support.chart import go as chart_go
from support.chart.alert_cases import CASES, SERVER, Case
from support.chart.render import CHART, of_kind, render


@pytest.fixture(scope="module")
def promtool() -> Path:
    return chart_go.program("promtool")


def rules() -> dict[str, Any]:
    objects = render("monitoring.rules.enabled=true", "monitoring.rules.labels.release=prom")
    (found,) = of_kind(objects, "PrometheusRule").values()
    spec: dict[str, Any] = found["spec"]
    return spec


def alerts() -> list[dict[str, Any]]:
    return [rule for group in rules()["groups"] for rule in group["rules"]]


def labelled(series: str, namespace: str) -> str:
    """Return a series as it is scraped from the release of that namespace."""
    name, _, rest = series.removesuffix("}").partition("{")
    labels = (f'job="{namespace}/demo-sensorpipe"', f'namespace="{namespace}"', rest)
    return f"{name}{{{','.join(filter(None, labels))}}}"


def as_promtool(name: str, case: Case, namespace: str) -> dict[str, Any]:
    """Return a case as promtool takes it."""
    alert = f'ALERTS{{alertname="Sensorpipe{case.name}",alertstate="firing"}}'
    return {
        "name": name,
        "interval": "1m",
        "input_series": [
            {"series": labelled(series, namespace), "values": values}
            for series, values in case.series.items()
        ],
        "promql_expr_test": [
            {
                "expr": f"count({alert}) or vector(0)",
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": many}],
            }
            for minute, many in case.fires.items()
        ],
    }


def run_tests(promtool: Path, folder: Path, tests: list[dict[str, Any]]) -> None:
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules()))
    content = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}
    (folder / "tests.yaml").write_text(yaml.safe_dump(content))
    run(str(promtool), "test", "rules", str(folder / "tests.yaml"), timeout=120)


def test_the_rules_are_sound(promtool, tmp_path):
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules()))
    run(str(promtool), "check", "rules", "--lint=all", "--lint-fatal", str(tmp_path / "rules.yaml"))


def test_each_alert_fires_when_it_should_and_not_else(promtool, tmp_path):
    run_tests(promtool, tmp_path, [as_promtool(*item, "sensors") for item in CASES.items()])


def test_what_fires_too_often_or_too_seldom_would_be_noticed(promtool, tmp_path):
    for wrong in (0, 2):
        case = Case("ReadingsLost", {f"{SERVER}_lost_readings": "3x60"}, {30: wrong})
        with pytest.raises(CommandError, match=f"exp: {{}} {wrong}E"):
            run_tests(promtool, tmp_path, [as_promtool("wrong", case, "sensors")])


def test_nothing_that_another_release_tells_fires(promtool, tmp_path):
    absent = ("ComponentDown", "AuditStale")
    tests = [
        as_promtool(name, replace(case, fires=dict.fromkeys(case.fires, 0)), "others")
        for name, case in CASES.items()
        if case.name not in absent
    ]
    run_tests(promtool, tmp_path, tests)


def test_each_alert_is_shown_to_fire_and_to_stay_quiet():
    fires = {case.name for case in CASES.values() if any(case.fires.values())}
    stays = {case.name for case in CASES.values() if not all(case.fires.values())}
    names = {alert["alert"].removeprefix("Sensorpipe") for alert in alerts()}
    assert fires == stays == names


def test_each_alert_says_how_bad_it_is_and_what_to_do():
    for alert in alerts():
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert alert["annotations"].keys() == {"summary", "description", "runbook"}
        assert "sensors/demo-sensorpipe" in alert["annotations"]["summary"]
        text = yaml.safe_dump(alert["annotations"])
        assert "NAMESPACE" not in text
        assert "FULLNAME" not in text


def test_the_file_itself_is_what_prometheus_takes(promtool):
    run(str(promtool), "check", "rules", str(CHART / "files/alerts.yaml"))
