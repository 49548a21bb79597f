from pathlib import Path

import pytest

from dockyard import config
from dockyard.config import ClientSettings, ServeSettings, resolve
from dockyard.errors import SettingInvalid


def test_flag_wins_over_environment_over_file_over_default() -> None:
    file = {"serve": {"listen": "127.0.0.1:1", "workers": 1, "log-level": "debug"}}
    environ = {"DOCKYARD_SERVE_LISTEN": "127.0.0.1:2", "DOCKYARD_SERVE_WORKERS": "2", "HOME": "/home/me"}
    settings = resolve(ServeSettings, flags={"listen": "127.0.0.1:3", "workers": None}, environ=environ, file=file)

    assert (settings.listen, settings.workers, settings.log_level, settings.auth) == (
        "127.0.0.1:3", 2, "debug", "accounts",
    )  # fmt: skip
    assert settings.data == "/home/me/.local/share/dockyard/hub"


def test_folders_follow_xdg_and_ignore_relative_ones() -> None:
    assert config.config_file({"XDG_CONFIG_HOME": "/c"}) == Path("/c/dockyard/config.toml")
    assert config.data_home({"XDG_DATA_HOME": "here", "HOME": "/h"}) == Path("/h/.local/share/dockyard")


def test_a_missing_file_is_empty_unless_it_was_named(tmp_path: Path) -> None:
    assert config.load_file(tmp_path / "none.toml") == {}
    with pytest.raises(SettingInvalid, match=r"none\.toml"):
        config.load_file(tmp_path / "none.toml", must_exist=True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a =", "not valid TOML"),
        ("defalt-registry = 'x'", "no setting 'defalt-registry'"),
        ("[serve]\nlisten_on = 'x'", r"serve\.listen_on"),
        ("[sreve]\nlisten = 'x'", r"sreve\.listen"),
        ("[serve]\nlog_level = 'x'", r"serve\.log_level"),
    ],
)
def test_a_file_with_a_mistake_is_refused_and_names_it(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "config.toml").write_text(text)

    with pytest.raises(SettingInvalid, match=says):
        config.load_file(tmp_path / "config.toml")


def test_a_misspelt_key_comes_with_a_suggestion() -> None:
    with pytest.raises(SettingInvalid) as caught:
        config.setting("defalt-registry")

    assert caught.value.hint == "Did you mean 'default-registry'?"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("serve.listen", "5000"), ("serve.listen", "127.0.0.1:x"), ("serve.listen", "127.0.0.1:70000"),
        ("serve.listen", "::1:5000"), ("serve.listen", 5000), ("serve.workers", "-1"), ("serve.workers", True),
        ("serve.workers", "many"), ("serve.workers", "1d"),
        ("serve.upload-expiry", "12x"), ("serve.upload-expiry", True), ("serve.insecure-open", "perhaps"),
        ("serve.auth", "magic"), ("serve.signup", "sometimes"), ("serve.trusted-proxies", "proxy.example"),
        ("serve.trusted-proxies", "10.0.0.1/8"), ("serve.url", "hub.example"), ("serve.url", "ftp://hub.example"),
        ("serve.url", "https://"), ("serve.url", "https://hub.example/registry"), ("serve.url", "https://me@hub.example"),
        ("serve.url", "https://hub.example?a"), ("serve.url", "https://hub.example:x"), ("serve.url", "https://a b"),
        ("serve.url", "https://hub.example:70000"), ("serve.url", "https://hub.example#a"),
        ("serve.url", "//hub.example"),
        ("serve.log-level", "loud"), ("default-registry", "a/b"), ("default-registry", "plain"),
        ("insecure-registries", 3), ("insecure-registries", [1]),
    ],
)  # fmt: skip
def test_a_value_that_a_setting_cannot_have_is_refused_and_names_the_setting(key: str, value: object) -> None:
    with pytest.raises(SettingInvalid, match=key):
        config.parse_value(key, value)


@pytest.mark.parametrize(
    ("key", "value", "parsed"),
    [
        ("serve.listen", "[::1]:0", "[::1]:0"), ("serve.upload-expiry", "12h", 43200), ("serve.upload-expiry", 60, 60),
        ("serve.insecure-open", "yes", True), ("serve.sparse", False, False),
        ("insecure-registries", "a:1, b.c", ("a:1", "b.c")), ("insecure-registries", ["x.y"], ("x.y",)),
        ("default-registry", "localhost:5000", "localhost:5000"), ("serve.url", "HTTPS://Hub.Example/", "https://hub.example"),
        ("serve.url", "http://[::1]:5000", "http://[::1]:5000"), ("serve.url", "", ""),
        ("serve.trusted-proxies", "10.0.0.0/8, ::1", ("10.0.0.0/8", "::1")),
    ],
)  # fmt: skip
def test_values_are_read_from_text_and_from_toml(key: str, value: object, parsed: object) -> None:
    assert config.parse_value(key, value) == parsed


def test_every_setting_has_help_a_key_and_an_environment_variable() -> None:
    from dataclasses import fields

    for section, kind in config.SECTIONS.items():
        for entry in fields(kind):
            key = f"{section}.{entry.name}".lstrip(".").replace("_", "-")
            assert entry.metadata["help"]
            assert config.setting(key) == (section, entry.name)
    assert config.environment_name("serve.log-level") == "DOCKYARD_SERVE_LOG_LEVEL"
    assert config.environment_name("serve.admin") == "DOCKYARD_ADMIN"


def test_the_address_is_read_apart() -> None:
    assert ServeSettings(listen="[::1]:5000").address == ("::1", 5000)
    assert ServeSettings(listen=":80").address == ("127.0.0.1", 80)


def test_client_settings_come_with_a_root(tmp_path: Path) -> None:
    settings = resolve(ClientSettings, environ={"XDG_DATA_HOME": str(tmp_path)}, file={"default-registry": "a.b"})

    assert (settings.root, settings.default_registry) == (str(tmp_path / "dockyard"), "a.b")
