"""Contexts from everywhere, Dockerfiles inside and outside of them, and what .dockerignore hides."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from web_files import WebFiles

from dockyard.engine.build_context import BuildContext, open_context, open_tree
from dockyard.engine.build_events import BuildEvent, BuildRequest
from dockyard.engine.fetching import Fetcher
from dockyard.engine.vertices import Vertices
from dockyard.errors import ArchiveInvalid, BuildFailed, DockerfileInvalid, NotFound

Open = Callable[..., BuildContext]


@pytest.fixture
def events() -> list[BuildEvent]:
    return []


@pytest.fixture
def opens(tmp_path: Path, events: list[BuildEvent]) -> Iterator[Open]:
    """``opens(context, dockerfile, stdin=b"")``."""
    opened: list[BuildContext] = []
    work = tmp_path / "store/ingest"
    work.mkdir(parents=True)

    def opener(context: str | Path, dockerfile: str = "", stdin: bytes = b"") -> BuildContext:
        vertices = Vertices(events.append, lambda: 0.0)
        request = BuildRequest(str(context), dockerfile)
        fetcher = Fetcher(tmp_path / "store/fetched", protocols="file")
        opened.append(open_context(request, vertices, io.BytesIO(stdin), work, fetcher=fetcher))
        return opened[-1]

    yield opener
    for context in opened:
        context.__exit__(None, None, None)
    assert list(work.iterdir()) == []
    assert not list((tmp_path / "store").glob("fetched/git-*"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    (root / "sub").mkdir(parents=True)
    (root / "Dockerfile").write_text("FROM scratch\n")
    (root / "sub/Other").write_text("FROM other\n")
    (root / "a").write_text("a")
    (root / "b").write_text("b")
    return root


def names(context: BuildContext) -> list[str]:
    return [found.path for found in context.tree.walk("")]


def packed(root: Path) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.add(root, ".")
    return out.getvalue()


def test_a_folder_with_a_dockerfile(root: Path, opens: Open, events: list[BuildEvent]) -> None:
    context = opens(root)

    assert context.dockerfile == "FROM scratch\n"
    assert names(context) == ["Dockerfile", "a", "b", "sub", "sub/Other"]
    assert context.place == root
    assert [event.name for event in events if event.progress.value == "started"] == [
        "[internal] load build definition from Dockerfile", "[internal] load .dockerignore",
    ]  # fmt: skip


def test_a_missing_dockerfile_is_told_in_dockers_words(root: Path, opens: Open) -> None:
    (root / "Dockerfile").unlink()

    with pytest.raises(BuildFailed, match=r"^failed to read dockerfile: open Dockerfile: no such file or directory$"):
        opens(root)
    with pytest.raises(BuildFailed, match=r"^failed to read dockerfile: open Nope: no such file or directory$"):
        opens(root, str(root / "Nope"))
    (root / "dockerfile").write_text("FROM lower\n")
    assert opens(root).dockerfile == "FROM lower\n"


def test_a_missing_context_and_one_that_is_a_file_are_told(root: Path, opens: Open) -> None:
    with pytest.raises(BuildFailed, match=r"unable to prepare context: path .* not found"):
        opens(root / "none")
    with pytest.raises(BuildFailed, match="context must be a directory"):
        opens(root / "a")


def test_the_dockerfile_may_be_elsewhere(
    root: Path, tmp_path: Path, opens: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Outside").write_text("FROM outside\n")
    monkeypatch.chdir(tmp_path)

    assert opens(root, str(root / "sub/Other")).dockerfile == "FROM other\n"
    assert opens("context", "context/sub/Other").dockerfile == "FROM other\n"
    assert opens("context", "sub/Other").dockerfile == "FROM other\n"
    assert opens("context", "Outside").dockerfile == "FROM outside\n"
    assert opens("context", "Outside").dockerfile_name == "Outside"
    assert opens("context", "-", b"FROM stdin\n").dockerfile == "FROM stdin\n"


def test_a_dockerfile_that_is_a_link_is_followed_inside_the_context_only(root: Path, opens: Open) -> None:
    (root / "Dockerfile").unlink()
    (root / "Dockerfile").symlink_to("sub/Other")
    assert opens(root).dockerfile == "FROM other\n"

    (root / "Dockerfile").unlink()
    (root / "Dockerfile").symlink_to("/etc/passwd")
    with pytest.raises(BuildFailed, match="no such file"):
        opens(root)


def test_dockerignore_hides_files_from_copy_but_not_from_the_build(root: Path, opens: Open) -> None:
    (root / ".dockerignore").write_text("# comment\nDockerfile\n.dockerignore\na\nsub\n")
    context = opens(root)

    assert context.dockerfile == "FROM scratch\n"
    assert names(context) == ["b"]
    with pytest.raises(NotFound):
        context.tree.open("a")


def test_the_ignore_file_of_a_dockerfile_comes_before_that_of_the_context(
    root: Path, tmp_path: Path, opens: Open
) -> None:
    (root / ".dockerignore").write_text("a\n")
    (root / "sub/Other.dockerignore").write_text("b\nsub\n")
    (tmp_path / "Outside").write_text("FROM outside\n")
    (tmp_path / "Outside.dockerignore").write_text("*\n!a\n")

    assert names(opens(root, str(root / "sub/Other"))) == [".dockerignore", "Dockerfile", "a"]
    assert names(opens(root, str(tmp_path / "Outside"))) == ["a"]
    (root / ".dockerignore").write_text("[\n")
    with pytest.raises(DockerfileInvalid, match="dockerignore:1"):
        opens(root)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress])
def test_an_archive_on_standard_input(root: Path, opens: Open, compress: Callable[[bytes], bytes]) -> None:
    (root / ".dockerignore").write_text("b\n")
    context = opens("-", "", compress(packed(root)))

    assert context.dockerfile == "FROM scratch\n"
    assert names(context) == [".dockerignore", "Dockerfile", "a", "sub", "sub/Other"]
    assert opens("-", "sub/Other", compress(packed(root))).dockerfile == "FROM other\n"
    with context.tree.open("a") as file:
        assert file.read() == b"a"


def test_a_dockerfile_on_standard_input_without_anything_around(opens: Open) -> None:
    context = opens("-", "", b"FROM alone\n")

    assert context.dockerfile == "FROM alone\n"
    assert names(context) == []
    with pytest.raises(BuildFailed, match="empty"):
        opens("-", "", b"")
    with pytest.raises(BuildFailed, match="can't use stdin for both"):
        opens("-", "-", b"FROM x\n")


def test_a_broken_archive_on_standard_input_is_refused(root: Path, opens: Open) -> None:
    with pytest.raises(ArchiveInvalid):
        opens("-", "", packed(root)[:3000])


def test_an_archive_or_a_dockerfile_from_the_web(root: Path, opens: Open, web: WebFiles) -> None:
    web.files["/c.tar.gz"] = gzip.compress(packed(root))
    web.files["/just/Dockerfile"] = b"FROM web\n"

    assert names(opens(f"{web.url}/c.tar.gz")) == ["Dockerfile", "a", "b", "sub", "sub/Other"]
    assert opens(f"{web.url}/just/Dockerfile").dockerfile == "FROM web\n"


def git(folder: Path, *words: str) -> str:
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_DATE": "2001-02-03T04:05:06Z", "GIT_COMMITTER_DATE": "2001-02-03T04:05:06Z",
    }  # fmt: skip
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", *identity, "-C", folder, *words], env=environment, check=True, capture_output=True)
    return done.stdout.decode().strip()


@pytest.fixture
def repository(root: Path, tmp_path: Path) -> str:
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")
    git(root, "checkout", "-qb", "feature")
    (root / "sub/Dockerfile").write_text("FROM feature\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "two")
    git(root, "tag", "-am", "annotated", "v1")
    git(root, "checkout", "-q", "main")
    git(tmp_path, "clone", "-q", "--bare", str(root), "repo.git")
    return f"file://{tmp_path}/repo.git"


@pytest.fixture
def local_git(monkeypatch: pytest.MonkeyPatch, repository: str) -> str:
    """A name that is read as a git URL, and the repository on this machine behind it."""
    from dockyard.engine import git as module

    url = "https://example.test/repo.git"
    parse = module.parse_git

    def redirected(text: str) -> module.GitSource:
        found = parse(text)
        return module.GitSource(found.remote.replace(url, repository), found.ref, found.folder)

    monkeypatch.setattr("dockyard.engine.fetching.parse_git", redirected)
    return url


def test_a_git_repository_at_a_branch_a_tag_or_a_commit_and_a_folder_of_it(
    root: Path, opens: Open, local_git: str
) -> None:
    commit = git(root, "rev-parse", "feature")

    assert opens(local_git).dockerfile == "FROM scratch\n"
    assert names(opens(f"{local_git}#main")) == ["Dockerfile", "a", "b", "sub", "sub/Other"]
    for ref in ("feature", "v1", "refs/heads/feature", commit):
        context = opens(f"{local_git}#{ref}:sub")
        assert context.place and not (context.place.parent / ".git").exists()
        assert (context.dockerfile, names(context)) == ("FROM feature\n", ["Dockerfile", "Other"])
    found = context.tree.look("Other")
    assert found is not None and found.status.st_mtime_ns == 981_173_106 * 10**9
    with pytest.raises(BuildFailed, match="does not contain ref nope"):
        opens(f"{local_git}#nope")
    with pytest.raises(BuildFailed, match="subdir not found"):
        opens(f"{local_git}#main:none")


def test_a_named_context_is_a_folder_with_its_own_ignore_file(root: Path, tmp_path: Path) -> None:
    from contextlib import ExitStack

    (root / ".dockerignore").write_text("a\nsub\n.dockerignore\n")
    with ExitStack() as stack:
        tree = open_tree(str(root), tmp_path, stack)

        assert [found.path for found in tree.walk("")] == ["Dockerfile", "b"]
