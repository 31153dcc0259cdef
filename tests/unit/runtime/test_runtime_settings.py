from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_runtime import duration
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_runtime.settings import Environment, SettingsError, exit_on_settings_error


def problems(env: Environment) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        env.check()
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_a_default_stands_in_for_what_is_not_set():
    env = Environment({})
    assert env.text("A", "a") == "a"
    assert env.milliseconds("B", "2s") == 2000
    assert env.whole("C", 5, 1, 9) == 5
    assert env.choice("D", "x", ("x", "y")) == "x"
    assert env.address("E", "0.0.0.0:8080") == ("0.0.0.0", 8080)
    env.check()


def test_what_is_set_wins():
    variables = {"A": "", "B": "1m30s", "C": "9", "D": "y", "E": "[::1]:9090"}
    env = Environment(variables)
    assert env.text("A", "a") == ""
    assert env.milliseconds("B", "2s") == 90_000
    assert env.whole("C", 5, 1, 9) == 9
    assert env.choice("D", "x", ("x", "y")) == "y"
    assert env.address("E", "0.0.0.0:8080") == ("::1", 9090)
    env.check()


def test_a_value_may_be_in_a_file(tmp_path):
    secret = tmp_path / "password"
    secret.write_text(" s3cret \r\n", encoding="utf-8")
    env = Environment({"PASSWORD_FILE": str(secret)})
    assert env.text("PASSWORD", "") == " s3cret "
    env.check()


def test_a_value_and_its_file_are_one_too_many(tmp_path):
    env = Environment({"A": "1", "A_FILE": str(tmp_path / "a")})
    env.text("A")
    assert problems(env) == ["A: set either A or A_FILE, not both"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "value"
    if content is not None:
        path.write_bytes(content)
    env = Environment({"A_FILE": str(path)})
    env.text("A", "default")
    [problem] = problems(env)
    assert problem.startswith("A_FILE: cannot be read: ")


def test_a_folder_is_no_file(tmp_path):
    env = Environment({"A_FILE": str(tmp_path)})
    env.text("A", "default")
    [problem] = problems(env)
    assert problem.startswith("A_FILE: cannot be read: ")


def test_all_problems_come_at_once_each_naming_its_variable():
    env = Environment({"B": "soon", "C": "ten", "D": "z", "E": "8080"})
    env.text("A")
    env.milliseconds("B", "2s")
    env.whole("C", 5, 1, 9)
    env.choice("D", "x", ("x", "y"))
    env.address("E", "0.0.0.0:8080")
    env.problem("F and G: do not go together")
    assert problems(env) == [
        "A: must be set (or A_FILE)",
        "B: must be a duration such as 500ms, 10s, 2m or 1h30m; got 'soon'",
        "C: must be a whole number from 1 to 9; got 'ten'",
        "D: must be one of x, y; got 'z'",
        "E: must be HOST:PORT; got '8080'",
        "F and G: do not go together",
    ]


@pytest.mark.parametrize("text", ["0", "10", "-1", "1.5", "1e1", "", " 5", "²", "9" * 4000])
def test_a_number_out_of_bounds_or_none_at_all(text):
    env = Environment({"N": text})
    env.whole("N", 5, 1, 9)
    assert problems(env) == [f"N: must be a whole number from 1 to 9; got {text!r}"]


@pytest.mark.parametrize(
    "text", ["", ":", "host", "host:", ":80", "host:x", "host:99999", "host:80/x", "[::1", "a b:c"]
)
def test_an_address_is_host_and_port(text):
    env = Environment({"A": text})
    env.address("A", "")
    assert problems(env) == [f"A: must be HOST:PORT; got {text!r}"]


@pytest.mark.parametrize("text", ["0s", "0ms", "0h0m"])
def test_a_duration_setting_is_longer_than_nothing(text):
    env = Environment({"A": text})
    env.milliseconds("A", "1s")
    assert problems(env) == [f"A: must be greater than zero; got {text!r}"]


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("500ms", 500),
        ("10s", 10_000),
        ("2m", 120_000),
        ("1h30m", 5_400_000),
        ("7d", 604_800_000),
        ("1.5s", 1500),
        ("1.001s", 1001),  # floats would make 1000.9999999999999 of it
        ("0.1s0.2s", 300),
        ("1s1ms", 1001),
        ("0s", 0),
    ],
)
def test_a_duration_as_people_write_it(text, milliseconds):
    assert duration.parse_ms(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    ["", "s", "10", "-1s", "+1s", "1 s", " 1s", "1s ", "1S", "1sec", "1e3s", ".5s", "1.s", "1w",
     "0.0005s", "1.5ms", "1s\n", "²s"],
)  # fmt: skip
def test_what_is_no_duration_says_what_is(text):
    with pytest.raises(ValueError, match="must be"):
        duration.parse_ms(text)


@given(st.integers(0, 10**12))
def test_a_formatted_duration_reads_back(milliseconds):
    text = duration.format_ms(milliseconds)
    assert duration.parse_ms(text) == milliseconds


@given(st.integers(0, 10**9), st.integers(0, 999))
def test_decimals_of_a_second_are_exact(seconds, thousandths):
    exact = Fraction(seconds * 1000 + thousandths)
    assert duration.parse_ms(f"{seconds}.{thousandths:03}s") == exact


def test_kafka_without_any_setting():
    env = Environment({})
    settings = KafkaSettings.read(env)
    env.check()
    assert settings.client_options() == {
        "bootstrap_servers": "127.0.0.1:9092",
        "security_protocol": "PLAINTEXT",
    }


def test_kafka_with_a_password_from_a_file(tmp_path):
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    env = Environment(
        {
            "SENSORPIPE_KAFKA_BOOTSTRAP": "kafka:9093",
            "SENSORPIPE_KAFKA_SECURITY": "SASL_SSL",
            "SENSORPIPE_KAFKA_MECHANISM": "SCRAM-SHA-512",
            "SENSORPIPE_KAFKA_USERNAME": "server",
            "SENSORPIPE_KAFKA_PASSWORD_FILE": str(password),
        }
    )
    options = KafkaSettings.read(env).client_options()
    env.check()
    assert options.pop("ssl_context").check_hostname
    assert options == {
        "bootstrap_servers": "kafka:9093",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "server",
        "sasl_plain_password": "s3cret",
    }


def test_kafka_with_half_of_its_credentials():
    variables = {"SENSORPIPE_KAFKA_SECURITY": "SASL_PLAINTEXT", "SENSORPIPE_KAFKA_USERNAME": "u"}
    env = Environment(variables)
    KafkaSettings.read(env)
    [problem] = problems(env)
    assert "SENSORPIPE_KAFKA_USERNAME and SENSORPIPE_KAFKA_PASSWORD" in problem


def test_a_program_ends_with_what_is_wrong_and_nothing_more():
    env = Environment({"A": "x"})
    env.address("A", "")
    env.text("B")
    with pytest.raises(SystemExit) as ended, exit_on_settings_error("sensorpipe-x"):
        env.check()
    assert ended.value.code == (
        "sensorpipe-x: A: must be HOST:PORT; got 'x'\nB: must be set (or B_FILE)"
    )
