"""What can go wrong between us and a broker."""


class MqttError(Exception):
    """The connection failed or ended; the link reconnects."""


class ProtocolError(MqttError):
    """The broker sent what MQTT 5 does not allow; the connection is of no more use."""


class NoAnswerError(MqttError):
    """The broker did not answer a request in time, on a connection that still stands."""


class RefusedError(MqttError):
    """The broker answered, and said no."""


class SessionTakenOverError(MqttError):
    """Another client with our client id connected. Reconnecting would only fight with it."""
