"""Whatever goes wrong: one line on stderr, a hint, docker's exit code, and never a traceback."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from images import busybox
from servers import DOCKYARD

from dockyard.cli.failures import plain, report
from dockyard.errors import Full, Invalid

if TYPE_CHECKING:
    from pathlib import Path

    from servers import DockerRegistry, Machine


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("push", "UPPER/Case"), "must be lowercase"),
        (("pull", "a:b:c"), "invalid reference format"),
        (("pull", "a@sha256:123"), "invalid reference format"),
        (("tags", "team/app:1"), "names an image, not a repository"),
        (("copy", "team/app", "engine:app"), "does not say what kind of place it is"),
        (("copy", "docker:team/app", "engine:app"), "does not say what kind of place it is"),
        (("copy", "oci:", "engine:app"), "names no file or folder"),
        (("copy", "oci:/nonexistent", "engine:app"), "/nonexistent is not an OCI image layout"),
        (("pull", "--platform", "linux/amd64", "--all-platforms", "x"), "cannot specify both"),
        (("push", "-a", "team/app:1"), "tag can't be used with --all-tags/-a"),
        (("pull", "-a", "team/app:1"), "tag can't be used with --all-tags/-a"),
        (("push", "team/app@sha256:" + "a" * 64), "cannot push a digest reference"),
        (("images", "--format", "{{.Nope}}"), "template parsing error"),
        (("system", "df", "-v", "--format", "json"), "the verbose and the format options conflict"),
        (("pull", "127.0.0.1:1/team/app"), "127.0.0.1:1"),
        (("load", "-i", "/nonexistent"), "no such file or directory: /nonexistent"),
        (("import", "/nonexistent"), "no such file or directory: /nonexistent"),
    ],
    ids=" ".join,
)
def test_what_goes_wrong_is_said_in_a_line(
    words: tuple[str, ...], says: str, dockyard: Machine, tmp_path: Path
) -> None:
    dockyard.ok("copy", f"oci:{busybox(tmp_path / 'made')}:latest", "engine:app")
    done = dockyard(*words)

    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "dockyard failed" not in done.stderr


def test_an_image_that_the_registry_does_not_have_is_named(docker_registry: DockerRegistry, dockyard: Machine) -> None:
    done = dockyard("pull", f"{docker_registry.host}/team/none:1")

    assert done.returncode == 1
    assert f"manifest for {docker_registry.host}/team/none:1 not found" in done.stderr
    assert "Pulling from" not in done.stdout


def test_a_missing_right_has_dockers_words(
    docker_registry_with_login: DockerRegistry, dockyard: Machine, tmp_path: Path
) -> None:
    source = f"oci:{busybox(tmp_path / 'made')}:latest"
    done = dockyard("copy", source, f"docker://{docker_registry_with_login.host}/team/app:1")

    assert done.returncode == 1
    assert "unauthorized: authentication required" in done.stderr
    assert "Log in first: dockyard login" in done.stderr


def test_streams_that_are_closed_are_no_reason_to_break(dockyard: Machine) -> None:
    def shell(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", "-c", script], env=dockyard.env, capture_output=True, text=True, check=False)

    unseen, deaf, mute = (shell(f"{DOCKYARD} {rest}") for rest in ("images >&-", "load <&-", "load <&- >&- 2>&-"))

    assert (unseen.returncode, unseen.stderr) == (1, "Error: bad file descriptor\n")
    assert (deaf.returncode, deaf.stderr) == (1, "Error: the archive is not a tar archive\n")
    assert (mute.returncode, mute.stdout, mute.stderr) == (1, "", "")


def test_a_reader_that_goes_away_is_no_error(dockyard: Machine) -> None:
    script = f"{DOCKYARD} config ls --format '{{{{json .}}}}' | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], env=dockyard.env, capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.stdout.strip() in {"0", "141"}


def test_a_full_disk_behind_stdout_is_said(dockyard: Machine) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [DOCKYARD, "config", "ls"], env=dockyard.env, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.returncode == 1
    assert "no space left on device" in done.stderr


def test_ctrl_c_ends_with_130_and_without_a_traceback(dockyard: Machine) -> None:
    listener = subprocess.Popen(
        ["python3", "-c", "import socket,time; s=socket.create_server(('127.0.0.1',0)); print(s.getsockname()[1],"
         " flush=True); c,_=s.accept(); print('asked', flush=True); time.sleep(60)"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert listener.stdout
    port = listener.stdout.readline().strip()
    try:
        with dockyard.start("tags", f"127.0.0.1:{port}/team/app") as process:
            assert listener.stdout.readline() == "asked\n"
            process.send_signal(signal.SIGINT)
            code = process.wait(30)
            said = process.stderr.read() if process.stderr else ""
    finally:
        listener.kill()
        listener.communicate()

    assert code == 130
    assert "Traceback" not in said


def test_debug_shows_where_an_error_came_from(dockyard: Machine) -> None:
    quiet, loud = dockyard("config", "get", "nope"), dockyard("--debug", "config", "get", "nope")

    assert quiet.returncode == loud.returncode == 1
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in loud.stderr
    assert loud.stderr.endswith(quiet.stderr)


def test_text_of_others_can_not_steer_the_terminal() -> None:
    assert plain("a\x1b]0;title\x07b\u202ec\x9b1m") == "a\\x1b]0;title\\x07b\\u202ec\\x9b1m"
    assert plain("日本 café") == "日本 café"


def test_of_several_errors_at_once_the_one_that_says_most_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    errors = ExceptionGroup("", [ValueError("inner"), ExceptionGroup("", [Full("no space left", hint="Free some.")])])

    assert report(errors) == 1
    assert capsys.readouterr().err == "Error: no space left\nFree some.\n"


def test_an_error_of_ours_that_nobody_thought_of_is_named_as_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(KeyError("x")) == 1
    assert "dockyard failed: KeyError: 'x'" in capsys.readouterr().err
    assert report(Invalid("plain")) == 1
    assert report(PermissionError(13, "Permission denied", "/root/x")) == 1
    assert "permission denied: /root/x" in capsys.readouterr().err
