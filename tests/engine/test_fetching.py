"""What ADD fetches: files of web servers and git repositories, with nothing of the user's in the questions."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from web_files import WebFiles

from dockyard.engine import git
from dockyard.engine.fetching import Fetcher, file_name, is_remote, refuse_remote
from dockyard.engine.git import Git, GitSource, is_git, parse_git
from dockyard.errors import BuildFailed, DigestInvalid, Invalid, NotFound, Unavailable

CONTENT = b"content"
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
SHA512 = f"sha512:{hashlib.sha512(CONTENT).hexdigest()}"


@pytest.fixture
def fetcher(tmp_path: Path) -> Fetcher:
    return Fetcher(tmp_path / "fetched")


async def test_a_file_has_its_name_from_the_url_and_its_time_from_the_server(fetcher: Fetcher, web: WebFiles) -> None:
    web.files["/dir/f%20x.txt"] = CONTENT
    found = await fetcher.file(f"{web.url}/dir/f%20x.txt?token=1")

    assert (found.name, found.size, found.mtime, str(found.digest)) == ("f x.txt", 7, 981_173_106, SHA256)
    with found.open() as file:
        assert file.read() == CONTENT
    assert not {name.lower() for name in web.requests[0][1]} & {"authorization", "cookie", "proxy-authorization"}


async def test_a_file_that_did_not_change_is_not_sent_again(fetcher: Fetcher, web: WebFiles) -> None:
    web.files["/f"] = CONTENT
    first = await fetcher.file(f"{web.url}/f")
    again = await fetcher.file(f"{web.url}/f")
    web.files["/f"] = b"other"
    other = await fetcher.file(f"{web.url}/f")

    assert again == first
    assert other.digest != first.digest
    assert web.sent == [200, 304, 200]


async def test_a_kept_file_that_was_damaged_is_fetched_again(fetcher: Fetcher, web: WebFiles) -> None:
    web.files["/f"] = CONTENT
    first = await fetcher.file(f"{web.url}/f")
    first.path.write_bytes(b"damaged"[:7])
    again = await fetcher.file(f"{web.url}/f")

    assert again.path.read_bytes() == CONTENT
    assert web.sent == [200, 200]


@pytest.mark.parametrize("checksum", [SHA256, SHA512])
async def test_a_checksum_is_checked_and_saves_the_question(fetcher: Fetcher, web: WebFiles, checksum: str) -> None:
    web.files["/f"] = CONTENT
    await fetcher.file(f"{web.url}/f", checksum=checksum)
    found = await fetcher.file(f"{web.url}/f", checksum=checksum)

    assert str(found.digest) in (SHA256, checksum)
    assert web.sent == [200]


async def test_another_checksum_is_refused_and_leaves_nothing(fetcher: Fetcher, web: WebFiles, tmp_path: Path) -> None:
    web.files["/f"] = CONTENT

    with pytest.raises(DigestInvalid, match="digest mismatch sha256:ed7002"):
        await fetcher.file(f"{web.url}/f", checksum=f"sha256:{'0' * 64}")
    assert list((tmp_path / "fetched").iterdir()) == []


async def test_redirects_are_followed_but_not_anywhere(fetcher: Fetcher, web: WebFiles) -> None:
    web.files["/there"] = CONTENT
    web.redirects |= {"/f": "/there", "/file": "file:///etc/passwd", "/loop": "/loop", "/user": "http://u:p@localhost/"}
    found = await fetcher.file(f"{web.url}/f")

    assert (found.name, found.path.read_bytes()) == ("f", CONTENT)
    for path in ("/file", "/user"):
        with pytest.raises(Invalid):
            await fetcher.file(web.url + path)
    with pytest.raises(Unavailable, match="redirects"):
        await fetcher.file(f"{web.url}/loop")


async def test_failures_are_told_without_what_may_be_secret(fetcher: Fetcher, web: WebFiles) -> None:
    with pytest.raises(NotFound, match="404") as missing:
        await fetcher.file(f"{web.url}/none?token=secret")
    with pytest.raises(Invalid) as refused:
        await fetcher.file("http://user:secret@localhost/f")
    web.files["/f"], web.cut = CONTENT, True
    with pytest.raises(Unavailable):
        await fetcher.file(f"{web.url}/f")

    assert "secret" not in missing.value.message + refused.value.message


def test_names_of_files_come_from_the_last_part_of_the_path() -> None:
    assert file_name("http://h/a/b.tar.gz?x=/y#z") == "b.tar.gz"
    for url in ("http://h", "http://h/", "http://h/a/", "http://h/..", "http://h/a%2Fb", "http://h/%00"):
        assert file_name(url) == "__unnamed__"


@pytest.mark.parametrize(
    ("text", "is_repository"),
    [
        ("https://h/r.git", True), ("https://h/r.git#v1:sub", True), ("git@h:r", True), ("git://h/r", True),
        ("ssh://git@h/r", True), ("https://h/r", False), ("https://h/r.git/x", False), ("./r.git", False),
        ("-oProxyCommand=x@h:r", False), ("ext::sh -c x", False), ("file:///r.git", False), ("a:b", False),
    ],
)  # fmt: skip
def test_what_a_git_repository_looks_like(text: str, is_repository: bool) -> None:
    assert is_git(text) == is_repository


@pytest.mark.parametrize(
    "text",
    ["https://h/r.git#--upload-pack=x", "https://h/r.git#a b", "https://h/r.git#a..b", "https://u:p@h/r.git", "-x@h:r"],
)
def test_refs_and_remotes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_git(text)


def test_only_add_fetches() -> None:
    refuse_remote(False, "file")
    refuse_remote(True, "https://h/f")

    assert is_remote("https://h/f") and is_remote("git@h:r") and not is_remote("file")
    for source in ("https://h/f", "git@h:r"):
        with pytest.raises(BuildFailed, match="can't be a"):
            refuse_remote(False, source)


def make_repository(folder: Path) -> str:
    """A repository that tries to run programs, with a hook, a filter and a submodule; its commit."""
    import subprocess

    folder.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder.parent)}

    def run(*words: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder), *words]
        return subprocess.run(command, env=environment, check=True, capture_output=True).stdout.decode().strip()

    run("init", "-q", "-b", "main")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("/etc/passwd")
    (folder / ".gitattributes").write_text("* filter=evil\n")
    run("add", ".")
    run("commit", "-qm", "one")
    return run("rev-parse", "HEAD")


def test_nothing_of_the_users_configuration_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = make_repository(tmp_path / "repo")
    home = tmp_path / "home"
    (home / "hooks").mkdir(parents=True)
    (home / "hooks/post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (home / "hooks/post-checkout").chmod(0o755)
    (home / ".gitconfig").write_text(
        f'[core]\nhooksPath = {home}/hooks\n[filter "evil"]\nsmudge = touch {tmp_path}/ran\n'
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.hooksPath")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(home / "hooks"))
    (tmp_path / "work").mkdir()
    runner = Git(tmp_path / "work", protocols="file")
    source = GitSource(f"file://{tmp_path}/repo", "main")
    folder, seconds = runner.checkout(source, runner.commit(source))
    kept, _ = runner.checkout(source, commit, keep_git_dir=True)

    assert runner.commit(source) == commit
    assert not (tmp_path / "ran").exists()
    assert sorted(path.name for path in folder.iterdir()) == [".gitattributes", "link", "run.sh"]
    assert ((folder / "run.sh").stat().st_mode & 0o777, seconds > 0) == (0o755, True)
    assert (kept / ".git/HEAD").read_text().strip() == commit


@pytest.mark.parametrize("remote", ["ext::sh -c touch% {}/ran", "file://{}/repo", "--upload-pack=touch {}/ran"])
def test_other_protocols_are_not_spoken(tmp_path: Path, remote: str) -> None:
    make_repository(tmp_path / "repo")
    (tmp_path / "work").mkdir()

    with pytest.raises(BuildFailed):
        Git(tmp_path / "work").commit(GitSource(remote.format(tmp_path)))
    assert not (tmp_path / "ran").exists()


def test_a_git_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(git, "_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        with pytest.raises(BuildFailed, match="did not end"):
            Git(tmp_path).commit(GitSource(f"git://127.0.0.1:{port}/r"))
