"""What is said of an engine that cannot be reached, with real sockets and real TLS."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from microscaling.clients.docker.client import connect
from microscaling.clients.docker.unreachable import Unreachable
from tests.metric.faulty import Server, answers

WANTS_TLS = b"Client sent an HTTP request to an HTTPS server.\n"


def told(host: str, certificates: Path | None = None) -> tuple[str, bool]:
    """The cause, and whether it is hopeless."""
    folder = str(certificates) if certificates else ""
    with pytest.raises(Unreachable) as caught:
        connect(host, bool(folder), folder, timeout_s=20, chosen="the reason")
    text = str(caught.value)
    start = f"cannot connect to the Docker daemon at {host} (the reason): "
    assert text.startswith(start)
    return text.removeprefix(start), caught.value.hopeless


@contextlib.contextmanager
def tls(certificate: tuple[Path, Path], asks_for: Path | None = None) -> Iterator[str]:
    """A port with this certificate, at which nothing answers; `asks_for`: the authority of its clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if asks_for:
        # With 1.3 a client may see a reset in place of the alert.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(asks_for)
    with one_connection(lambda sock: context.wrap_socket(sock, server_side=True).close()) as host:
        yield host


@contextlib.contextmanager
def one_connection(handle: Callable[[socket.socket], object]) -> Iterator[str]:
    """A port where one connection is handled so."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):  # the client refuses, or the listener is closed
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                handle(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def made(folder: Path, name: str, *options: str) -> tuple[Path, Path]:
    """A new certificate and its key."""
    cert, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
    request = f"req -x509 -newkey rsa:2048 -nodes -subj /CN={name} -keyout {key} -out {cert}"
    subprocess.run(["openssl", *request.split(), *options], check=True, capture_output=True)
    return cert, key


def trusting(folder: Path, authority: Path, client: tuple[Path, Path] | None = None) -> Path:
    """A folder for DOCKER_CERT_PATH."""
    folder.mkdir()
    shutil.copy(authority, folder / "ca.pem")
    for name, path in zip(("cert.pem", "key.pem"), client or (), strict=False):
        shutil.copy(path, folder / name)
    return folder


def test_a_certificate_of_another_authority(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    folder = trusting(tmp_path / "certs", made(tmp_path, "other")[0])
    with tls(certificate) as host:
        why, hopeless = told(host, folder)
    assert why.startswith("its certificate is not one of the authority in DOCKER_CERT_PATH (ca.pem): ")
    assert hopeless


def test_a_certificate_of_another_host(tmp_path: Path) -> None:
    theirs = made(tmp_path, "theirs", "-addext", "subjectAltName=DNS:elsewhere.example")
    with tls(theirs) as host:
        why, hopeless = told(host, trusting(tmp_path / "certs", theirs[0]))
    assert why.startswith("its certificate is for another host: ")
    assert hopeless


def test_a_certificate_that_has_expired_may_be_renewed(tmp_path: Path) -> None:
    cert, key = old = made(tmp_path, "old", "-addext", "subjectAltName=IP:127.0.0.1")
    anew = f"x509 -in {cert} -signkey {key} -days -1 -out {cert}"
    subprocess.run(["openssl", *anew.split()], check=True, capture_output=True)
    with tls(old) as host:
        why, hopeless = told(host, trusting(tmp_path / "certs", old[0]))
    assert why == "its certificate: certificate has expired"
    assert not hopeless


def test_a_client_that_the_engine_does_not_know(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    folder = trusting(tmp_path / "certs", certificate[0], made(tmp_path, "stranger"))
    with tls(certificate, asks_for=certificate[0]) as host:
        why, hopeless = told(host, folder)
    assert why.startswith("it refuses this client's certificate (")
    assert hopeless


def test_tls_with_an_engine_without_it(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    folder = trusting(tmp_path / "certs", certificate[0])

    def handle(sock: socket.socket) -> None:
        sock.recv(4096)
        sock.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\nno TLS here")
        sock.recv(4096)  # until the client has seen that

    with one_connection(handle) as host:
        why, hopeless = told(host, folder)
    assert why.startswith("it gave an HTTP response to an HTTPS client; use its port with TLS")
    assert hopeless


def test_no_tls_with_an_engine_that_has_it() -> None:
    """As the server of Go's library answers."""
    with Server(answers(WANTS_TLS, "400 Bad Request")) as server:
        why, hopeless = told(f"tcp://{server.endpoint}")
    assert why == "it talks TLS: set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH"
    assert hopeless


def test_a_host_that_is_not_found() -> None:
    why, hopeless = told("tcp://none.invalid:2375")
    assert why.startswith("the host none.invalid is not found (")
    assert not hopeless
