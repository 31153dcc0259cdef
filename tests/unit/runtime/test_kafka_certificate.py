"""How Kafka's certificate is judged."""

import ssl

import pytest
from aiokafka.errors import KafkaConnectionError
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_runtime.kafka.errors import explain


@pytest.mark.parametrize(("ca_file", "strict"), [("ca.crt", False), (None, True)])
def test_an_authority_of_ones_own_need_not_be_strict(monkeypatch, ca_file, strict):
    def as_of_python_3_13(cafile: str | None = None) -> ssl.SSLContext:
        assert cafile == ca_file
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", as_of_python_3_13)
    settings = KafkaSettings("kafka:9093", "SASL_SSL", "SCRAM-SHA-512", "u", "p", ca_file)
    context = settings.client_options()["ssl_context"]

    assert bool(context.verify_flags & ssl.VERIFY_X509_STRICT) is strict
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


async def test_what_is_wrong_can_be_said_when_the_authority_has_gone(tmp_path):
    gone = str(tmp_path / "ca.crt")
    settings = KafkaSettings("127.0.0.1:1", "SASL_SSL", "SCRAM-SHA-512", "u", "secret", gone)
    said = await explain(settings, KafkaConnectionError("no"))
    assert "Kafka at 127.0.0.1:1 cannot be reached" in said
    assert "secret" not in said + repr(settings)
