"""What is wrong is said, clearly and on stderr, with docker's exit code; nothing is lost and nothing is half there."""

from __future__ import annotations

import io
import json
import os
import ssl
import subprocess
import tarfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from images import GZIP, INDEX, MANIFEST, Layout, docker_archive, sha256, small
from servers import DOCKYARD, free_port, must
from wire import Wire, finished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers import Hub, Machine

pytestmark = pytest.mark.slow


@pytest.fixture
def refused(dockyard: Machine) -> Callable[..., str]:
    """Run a command that has to fail with exit code 1 (or ``code``); return what it said."""

    def run(*arguments: str | Path, code: int = 1) -> str:
        done = dockyard(*arguments)
        assert done.returncode == code, done.stdout + done.stderr
        assert done.stderr.strip()
        assert "Traceback" not in done.stderr
        assert "dockyard failed" not in done.stderr, done.stderr
        return done.stderr

    return run


@contextmanager
def answering(status: int, body: dict[str, object], *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server on loopback that gives every request the same answer; its host."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that does not trust us hangs up
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("verb", ["pull", "push", "tag"])
@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("Team/App", "must be lowercase"),
        ("app:", "invalid reference format"),
        ("app@sha256:123", "invalid reference format"),
        ("../app", "invalid reference format"),
        ("app:" + "x" * 129, "invalid reference format"),
        ("", "invalid reference format"),
    ],
)
def test_a_reference_that_is_none_is_refused(refused: Callable[..., str], verb: str, reference: str, said: str) -> None:
    arguments = (verb, reference, "app") if verb == "tag" else (verb, reference)

    assert said in refused(*arguments)


def test_an_unknown_image_is_named(refused: Callable[..., str]) -> None:
    assert "absent" in refused("tag", "absent", "app")
    assert "absent" in refused("push", "127.0.0.1:1/absent")
    assert "No such image: absent" in refused("image", "rm", "absent")
    assert "No such image: absent" in refused("image", "inspect", "absent")
    assert "absent" in refused("save", "-o", os.devnull, "absent")


def test_a_tag_that_does_not_exist_is_named(
    hub: Hub, dockyard: Machine, refused: Callable[..., str], tmp_path: Path
) -> None:
    dockyard.ok("copy", f"oci:{small(tmp_path / 'made')}:latest", f"docker://{hub.host}/bad/app:v1")

    said = refused("pull", f"{hub.host}/bad/app:v2")
    assert f"{hub.host}/bad/app:v2" in said
    assert "not found" in said or "unknown" in said
    assert "bad/nothing" in refused("pull", f"{hub.host}/bad/nothing")


def test_a_registry_that_is_down_is_named(refused: Callable[..., str]) -> None:
    host = f"127.0.0.1:{free_port()}"
    said = refused("pull", f"{host}/app")

    assert host in said
    assert "refused" in said


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key beside it."""
    folder.mkdir()
    must(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key", "-out", folder / "cert",
    )  # fmt: skip
    return folder / "cert"


def test_a_certificate_that_is_not_trusted_is_said_with_the_remedy(
    dockyard: Machine, refused: Callable[..., str], tmp_path: Path
) -> None:
    own, other = certificate(tmp_path / "own"), certificate(tmp_path / "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, own.with_name("key"))
    with answering(404, {}, tls=context) as host:
        # On loopback any certificate is taken, until certificates are named.
        dockyard.ok("config", "set", "ca-file", other)
        said = refused("pull", f"{host}/app")
        dockyard.ok("config", "set", "ca-file", own)
        trusted = refused("pull", f"{host}/app")

    assert "certificate is not trusted" in said
    assert "ca-file" in said
    assert "not found" in trusted


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "DENIED", "denied: requested access to the resource is denied"),
        (401, "UNAUTHORIZED", "unauthorized"),
        (404, "NAME_UNKNOWN", "not found"),
    ],
)
def test_what_a_registry_refuses_is_said_in_dockers_words(
    refused: Callable[..., str], status: int, code: str, said: str
) -> None:
    body = {"errors": [{"code": code, "message": "requested access to the resource is denied"}]}
    with answering(status, body) as host:
        text = refused("pull", f"{host}/team/app")

    assert said in text.lower()


@pytest.mark.parametrize(
    ("manifest", "media_type", "status", "code"),
    [
        ({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [], "manifests": []}, MANIFEST, 400, "MANIFEST_INVALID"),
        ({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}, MANIFEST, 400, "MANIFEST_INVALID"),
        ({"schemaVersion": 1, "name": "x", "fsLayers": []}, "application/vnd.docker.distribution.manifest.v1+prettyjws",
         400, "MANIFEST_INVALID"),
        ({"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "annotations": {"x": "y" * (4 << 20)}}, INDEX, 413,
         "SIZE_INVALID"),
    ],
    ids=["layers and manifests", "another media type", "schema 1", "over 4 MiB"],
)  # fmt: skip
def test_a_manifest_that_is_none_is_refused_by_the_hub(
    hub: Hub, manifest: dict[str, object], media_type: str, status: int, code: str
) -> None:
    with Wire(hub.host) as wire:
        raw = json.dumps(manifest).encode()
        answer = wire.ask("PUT", "/v2/bad/manifest/manifests/v1", raw, {"Content-Type": media_type})
    with Wire(hub.host) as wire:
        after = wire.ask("GET", "/v2/bad/manifest/manifests/v1")

    assert (answer.status, json.loads(answer.body)["errors"][0]["code"]) == (status, code)
    assert after.status == 404


def test_wrong_bytes_leave_nothing_in_the_hub(start_hub: Callable[..., Hub]) -> None:
    hub = start_hub()
    with Wire(hub.host) as wire:
        answer = wire.ask("PUT", finished(wire.begin("bad/bytes"), sha256(b"right")), b"wrong")

        assert (answer.status, json.loads(answer.body)["errors"][0]["code"]) == (400, "DIGEST_INVALID")
        assert wire.ask("GET", f"/v2/bad/bytes/blobs/{sha256(b'right')}").status == 404
        assert wire.ask("GET", f"/v2/bad/bytes/blobs/{sha256(b'wrong')}").status == 404
    assert not [path for path in (hub.data / "blobs").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "digest", ["sha256:../../x", "sha256:" + "A" * 64, "sha256:short", "md5:" + "0" * 32, "sha256:" + "0" * 63 + "%00"]
)
def test_a_digest_that_is_none_is_refused_by_the_hub(hub: Hub, digest: str) -> None:
    with Wire(hub.host) as wire:
        answers = [
            wire.ask("GET", f"/v2/bad/digest/blobs/{digest}"),
            wire.ask("GET", f"/v2/bad/digest/manifests/{digest}"),
            wire.ask("PUT", finished(wire.begin("bad/digest"), digest), b""),
        ]

    assert {answer.status for answer in answers} <= {400, 404}
    assert answers[-1].status == 400


def archive(target: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(target, "w") as writer:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            writer.addfile(member, io.BytesIO(data))
    return target


def test_an_archive_that_is_cut_short_is_refused_and_leaves_nothing(
    dockyard: Machine, refused: Callable[..., str], tmp_path: Path
) -> None:
    whole = docker_archive(small(tmp_path / "made"), tmp_path / "whole.tar", "app:v1")
    # Cut inside the first member's bytes, which is a layer or the config.
    for length in (700, whole.stat().st_size // 3, 100):
        (tmp_path / "cut.tar").write_bytes(whole.read_bytes()[:length])
        refused("load", "-i", tmp_path / "cut.tar")

    assert dockyard.ok("images", "-aq") == ""


def test_an_archive_that_lies_about_its_content_is_refused(
    dockyard: Machine, refused: Callable[..., str], tmp_path: Path
) -> None:
    layout = Layout(small(tmp_path / "made"))
    layer = json.loads(layout.manifest())["layers"][0]["digest"]
    layout.path(layer).write_bytes(os.urandom(layout.path(layer).stat().st_size))

    assert layer in refused("copy", f"oci:{layout.folder}:latest", "engine:app:v1")
    assert dockyard.ok("images", "-aq") == ""


def test_an_archive_whose_members_climb_out_writes_nothing_outside(
    dockyard: Machine, refused: Callable[..., str], tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    canary.write_text("canary")
    config = b'{"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}'
    for path in ("../../../../../../.." + str(canary), str(canary)):
        legacy = json.dumps([{"Config": path, "RepoTags": ["app:v1"], "Layers": []}]).encode()
        bad = archive(tmp_path / "bad.tar", {path: config, "manifest.json": legacy})
        if path.startswith(".."):
            assert "climbs out" in refused("load", "-i", bad)
        else:
            dockyard.ok("load", "-i", bad)  # a leading slash means the archive's own root, as tar has it

        assert canary.read_text() == "canary"


def test_a_file_that_is_no_archive_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no archive at all")

    assert "not a tar archive" in refused("load", "-i", tmp_path / "text")
    assert "absent.tar" in refused("load", "-i", tmp_path / "absent.tar")


def test_a_layer_that_arrives_wrong_is_never_shown(
    dockyard: Machine, refused: Callable[..., str], tmp_path: Path
) -> None:
    layer = {"mediaType": GZIP, "digest": sha256(b"never these bytes"), "size": 2}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": layer, "layers": [layer]}
    # Every answer is this manifest: right as the manifest, wrong as each blob.
    with answering(200, manifest) as host:
        refused("pull", f"{host}/team/app")

    assert dockyard.ok("images", "-aq") == ""


def test_a_taken_port_is_said(hub: Hub, dockyard: Machine) -> None:
    done = dockyard("serve", "--listen", hub.host)

    assert done.returncode == 1
    assert f"port {hub.port} of 127.0.0.1 is taken by another program" in done.stderr


def test_an_open_hub_is_refused_where_other_machines_reach_it(dockyard: Machine) -> None:
    done = dockyard("serve", "--auth", "none", "--listen", f"0.0.0.0:{free_port()}", timeout=60)

    assert done.returncode == 1
    assert "--insecure-open" in done.stderr


def test_a_closed_pipe_ends_a_listing_quietly(dockyard: Machine) -> None:
    with subprocess.Popen(
        ["sh", "-c", '"$0" images --help | head -n 1', str(DOCKYARD)], env=dockyard.env,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        _, err = process.communicate(timeout=60)

    assert err == ""
