import shutil
import ssl
from pathlib import Path

import pytest

from dockyard.content.trust import address, host_of, is_loopback, may_carry_credentials, proxy_for, schemes, tls_context
from dockyard.errors import SettingInvalid


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.10", "::1"])
def test_this_machine_is_known_by_its_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["localhost.evil.example", "128.0.0.1", "hub", "127.0.0.1.nip.io", "0.0.0.0", "::"])
def test_no_other_name_is_this_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("registry", "host"), [("hub:5000", "hub"), ("hub", "hub"), ("[::1]:5000", "::1"), ("[::1]", "::1")]
)
def test_the_host_is_found_beside_its_port(registry: str, host: str) -> None:
    assert host_of(registry) == host


def test_docker_hub_answers_under_another_name() -> None:
    assert address("docker.io") == "registry-1.docker.io"
    assert address("ghcr.io") == "ghcr.io"


def test_plain_http_is_for_loopback_and_for_what_was_named_insecure() -> None:
    assert schemes("hub.example", insecure=False) == ("https",)
    assert schemes("hub.example", insecure=True) == ("https", "http")
    assert "http" in schemes("127.0.0.1:5000", insecure=False)


@pytest.mark.parametrize(
    ("realm", "registry", "allowed"),
    [
        ("https://auth.docker.io", "https://registry-1.docker.io", True),
        ("http://auth.example", "https://hub.example", False),
        ("http://hub.example", "https://hub.example", False),
        ("http://evil.example", "http://hub.example", False),
        ("https://evil.example", "http://hub.example", False),
        ("http://hub.example", "http://hub.example", True),
        ("https://hub.example", "http://hub.example", True),
        ("http://localhost", "http://127.0.0.1", True),
        ("http://127.0.0.2", "http://127.0.0.1", False),
        ("ftp://hub.example", "http://hub.example", False),
    ],
)
def test_credentials_go_only_where_they_are_as_safe_as_at_the_registry(
    realm: str, registry: str, allowed: bool
) -> None:
    realm_scheme, _, realm_host = realm.partition("://")
    registry_scheme, _, registry_host = registry.partition("://")

    assert allowed == may_carry_credentials(
        realm_scheme, realm_host, registry_scheme=registry_scheme, registry_host=registry_host
    )


def test_the_system_is_believed_unless_told_otherwise(tmp_path: Path) -> None:
    assert tls_context("hub.example", folders=[tmp_path]).verify_mode is ssl.CERT_REQUIRED
    assert tls_context("hub.example", insecure=True, folders=[tmp_path]).verify_mode is ssl.CERT_NONE
    assert tls_context("127.0.0.1:5000", folders=[tmp_path]).verify_mode is ssl.CERT_NONE


def test_certificates_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")

    with pytest.raises(SettingInvalid, match=r"ca\.pem"):
        tls_context("hub.example", ca_file=tmp_path / "ca.pem")
    with pytest.raises(SettingInvalid, match=r"absent\.pem"):
        tls_context("hub.example", ca_file=tmp_path / "absent.pem")


def test_loopback_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")

    assert proxy_for("http", "127.0.0.1") is None
    assert proxy_for("https", "inside.example") is None
    assert proxy_for("https", "hub.example") == "http://proxy.example:3128"


def test_dockers_folder_of_certificates_is_read(certificate: Path, tmp_path: Path) -> None:
    own = tmp_path / "127.0.0.1:5000"
    own.mkdir()
    shutil.copy(certificate, own / "ca.crt")
    shutil.copy(certificate, own / "client.cert")
    shutil.copy(certificate.with_suffix(".key"), own / "client.key")
    context = tls_context("127.0.0.1:5000", folders=[tmp_path])

    assert context.verify_mode is ssl.CERT_REQUIRED  # loopback too, once it has certificates
    assert "hub.test" in str(context.get_ca_certs())
    (own / "other.cert").write_bytes(b"no certificate")
    with pytest.raises(SettingInvalid, match=r"other\.cert"):
        tls_context("127.0.0.1:5000", folders=[tmp_path])
