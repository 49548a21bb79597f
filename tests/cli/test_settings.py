from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from servers import DOCKYARD

from dockyard.config import all_keys, config_file

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Machine

WRITTEN = """# My settings, in my order.
insecure-registries = ["a:1"]   # the old hub

[serve]
# Only while we try it out.
listen = "127.0.0.1:5001"
"""


@pytest.fixture
def file(dockyard: Machine) -> Path:
    path = config_file(dockyard.env)
    path.parent.mkdir(parents=True)
    path.write_text(WRITTEN)
    return path


def test_a_setting_is_written_read_and_taken_out_again(dockyard: Machine) -> None:
    dockyard.ok("config", "set", "default-registry", "localhost:5000")
    dockyard.ok("config", "set", "serve.upload-expiry", "12h")
    dockyard.ok("config", "set", "serve.workers", "3")
    dockyard.ok("config", "set", "serve.sparse", "yes")
    dockyard.ok("config", "set", "insecure-registries", "a:1, b.c")

    assert dockyard.ok("config", "get", "default-registry") == "localhost:5000\n"
    assert dockyard.ok("config", "get", "serve.upload-expiry") == "43200\n"
    assert dockyard.ok("config", "get", "serve.sparse") == "true\n"
    assert dockyard.ok("config", "get", "insecure-registries") == "a:1,b.c\n"
    assert config_file(dockyard.env).read_text() == (
        'default-registry = "localhost:5000"\ninsecure-registries = ["a:1", "b.c"]\n\n'
        '[serve]\nupload-expiry = "12h"\nworkers = 3\nsparse = true\n'
    )
    dockyard.ok("config", "unset", "default-registry")
    dockyard.ok("config", "unset", "default-registry")
    assert dockyard.ok("config", "get", "default-registry") == "docker.io\n"


def test_comments_order_mode_and_a_link_stay(dockyard: Machine, file: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    file.rename(real)
    real.chmod(0o600)
    file.symlink_to(real)
    dockyard.ok("config", "set", "serve.workers", "2")
    dockyard.ok("config", "set", "serve.listen", "127.0.0.1:5002")

    assert file.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600
    assert real.read_text() == WRITTEN.replace("5001", "5002") + "workers = 2\n"


def test_the_list_says_where_each_value_comes_from(dockyard: Machine, file: Path) -> None:
    env = {"DOCKYARD_SERVE_WORKERS": "4"}
    text = dockyard.ok("--context", "win", "config", "ls", "--format", "{{.Key}} {{.Value}} {{.Source}}", env=env)
    rows = dict(line.split(" ", 1) for line in text.splitlines())

    assert list(rows) == all_keys()
    assert rows["serve.workers"] == "4 environment"
    assert rows["serve.listen"] == "127.0.0.1:5001 file"
    assert rows["context"] == "win flag"
    assert rows["serve.auth"] == "accounts default"
    assert dockyard.ok("config", "ls", "-q").split() == all_keys()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("set", "serve.lisen", "x"), "Did you mean 'serve.listen'?"),
        (("set", "serve.listen", "x"), "serve.listen: 'x' is not an address and port"),
        (("set", "default-registry", "plain"), "is not a registry's host"),
        (("get", "nonsense"), "there is no setting 'nonsense'"),
        (("unset", "nonsense"), "there is no setting 'nonsense'"),
    ],
)
def test_a_wrong_setting_is_refused_and_changes_nothing(
    words: tuple[str, ...], says: str, dockyard: Machine, file: Path
) -> None:
    done = dockyard("config", *words)

    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert file.read_text() == WRITTEN


def test_a_broken_file_is_named_and_left_as_it_is(dockyard: Machine, file: Path) -> None:
    file.write_text("this is not TOML")
    done = dockyard("config", "set", "serve.workers", "2")

    assert done.returncode == 1
    assert str(file) in done.stderr
    assert file.read_text() == "this is not TOML"
    assert dockyard("image", "ls").returncode == 1


def test_many_writers_lose_nothing(dockyard: Machine, file: Path) -> None:
    keys = {"serve.workers": "2", "serve.sparse": "true", "serve.log-level": "debug", "context": "win"}
    writers = [
        subprocess.Popen([DOCKYARD, "config", "set", key, value], env=dockyard.env) for key, value in keys.items()
    ]

    assert [writer.wait(60) for writer in writers] == [0] * len(keys)
    for key, value in keys.items():
        assert dockyard.ok("config", "get", key) == f"{value}\n"
    assert [path.name for path in file.parent.iterdir()] == ["config.toml"]
