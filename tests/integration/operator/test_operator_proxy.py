"""The proxy of these tests leaves no connection behind, even to a server that closes slowly."""

import gc
import socket
import ssl
import subprocess
import threading
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.kube.operator_proxy import spoilable

_CHUNK = b"3\r\n{}\n\r\n"
_ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + _CHUNK


@pytest.fixture
def expired() -> threading.Event:
    """Set when the watch has been made to expire."""
    return threading.Event()


@pytest.fixture
def silent(tmp_path: Path, expired: threading.Event) -> Iterator[Path]:
    """A kubeconfig of a server that tells of two events and then neither reads nor closes."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=api"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "tls.key", "-out", "tls.crt"]
    command += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            accepted, _ = listener.accept()
            with context.wrap_socket(accepted, server_side=True) as client:
                client.recv(65_536)
                client.sendall(_ANSWER)
                expired.wait()
                client.sendall(_CHUNK)
                ended.wait()

        thread = threading.Thread(target=answer, name="silent API server")
        thread.start()
        server = f"https://127.0.0.1:{listener.getsockname()[1]}"
        cluster = {"server": server, "certificate-authority": str(tmp_path / "tls.crt")}
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump({"clusters": [{"name": "silent", "cluster": cluster}]}))
        yield path
        ended.set()
        thread.join()


def test_an_expired_watch_leaves_no_connection(
    silent: Path, expired: threading.Event, tmp_path: Path
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        with spoilable(silent, tmp_path) as (proxy, _):
            url = f"http://127.0.0.1:{proxy.port}/api/v1/pods?watch=true"
            with urllib.request.urlopen(url, timeout=10) as watch:
                assert watch.read(3) == b"{}\n"
                proxy.expire_watches()
                expired.set()
                assert b"Expired" in watch.read()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
