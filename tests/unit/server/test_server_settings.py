"""The server's settings that name web pages: what browsers never send is refused at the start."""

import pytest
from sensorpipe_runtime.settings import SettingsError
from sensorpipe_server.settings import Settings


def origins(text):
    return Settings.read({"SENSORPIPE_CORS_ORIGINS": text}).cors_origins


def test_no_other_origin_may_read_the_api_by_default():
    assert Settings.read({}).cors_origins == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("*", ("*",)),
        ("https://dash.example.com", ("https://dash.example.com",)),
        (
            " http://localhost:3000 ,https://a-b.example:8443,http://localhost:3000,",
            ("http://localhost:3000", "https://a-b.example:8443"),
        ),
        ("https://a:443,http://a:80,https://a", ("https://a", "http://a")),
        ("http://127.0.0.1:443,http://[::1]:8080", ("http://127.0.0.1:443", "http://[::1]:8080")),
    ],
)
def test_origins(text, expected):
    assert origins(text) == expected


@pytest.mark.parametrize(
    "wrong",
    ["dash.example.com", "https://dash.example.com/", "https://dash.example.com/x", "https://",
     "https://Dash.example.com", "http://a:0", "ftp://a", "null", "https://a:65536x",
     "https://*.example.com", "http://a b", "https://user@a"],
)  # fmt: skip
def test_what_is_no_origin_is_named(wrong):
    with pytest.raises(SettingsError) as caught:
        origins(f"https://fine.example,{wrong}")
    (problem,) = caught.value.problems
    assert problem.startswith("SENSORPIPE_CORS_ORIGINS: must be origins separated by commas")
    assert problem.endswith(f"; got {wrong!r}")


def test_all_origins_and_some_are_not_given_together():
    with pytest.raises(SettingsError, match=r"SENSORPIPE_CORS_ORIGINS: .* got '\*'"):
        origins("*,https://a")
