"""Errors of a connection to an MQTT broker."""


class MqttError(Exception):
    """The connection failed or ended; the client reconnects."""


class ProtocolError(MqttError):
    """The broker violated MQTT 5, so the connection cannot be used any longer."""


class NoAnswerError(MqttError):
    """The broker did not answer a request in time, although the connection is open."""


class RefusedError(MqttError):
    """The broker refused a request; `reason` is the name of its reason code, if it gave one."""

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason


class SessionTakenOverError(MqttError):
    """Another client connected with the same client id; reconnecting would disconnect it."""
