"""The standard image pushed and pulled by installed commands, and the list of a hundred images."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from running import DOCKYARD, REGISTRIES, environment
from samples import Samples, Work, must, timed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from running import Running

PUSH = {name: Work(f"push the standard image to {name}", note="a fresh registry") for name in REGISTRIES}
PULL = {name: Work(f"pull the standard image from {name}", note="into a fresh store") for name in REGISTRIES}
LS = Work("list 100 images, cold process", note="median of 15")
START = Work("start python and do nothing")

REPOSITORY = "bench/standard:1"
LS_RUNS = 15


class Dockyard:
    """Our command with a store of its own."""

    name = "dockyard"

    def __init__(self, folder: Path, layout: Path) -> None:
        self.folder, self.layout = folder, layout
        self.env = environment(folder / "home")

    def run(self, *arguments: str | Path, store: str = "store") -> str:
        """Run the installed command."""
        return must([DOCKYARD, *arguments], env=self.env | {"DOCKYARD_ROOT": str(self.folder / store)})

    def hold(self, host: str) -> None:
        """Have the standard image in the store, named for a registry. Names from earlier rounds share its bytes."""
        self.run("copy", f"oci:{self.layout}:standard", f"engine:{host}/{REPOSITORY}")

    def push(self, host: str) -> None:
        """Push it as a user would."""
        self.run("push", "--quiet", f"{host}/{REPOSITORY}")

    def pull(self, host: str) -> None:
        """Pull it into an empty store."""
        self.run("pull", "--quiet", f"{host}/{REPOSITORY}", store="fresh")

    def forget(self) -> None:
        """Remove what was pulled."""
        shutil.rmtree(self.folder / "fresh", ignore_errors=True)

    def load(self, archive: Path) -> Sequence[str | Path]:
        """Load an archive; return the command that lists what is there."""
        self.run("load", "--input", archive, store="many")
        return [DOCKYARD, "image", "ls"]

    @property
    def list_env(self) -> Mapping[str, str]:
        """The environment that the list is made in."""
        return self.env | {"DOCKYARD_ROOT": str(self.folder / "many")}


class Skopeo:
    """skopeo between an OCI layout and a registry."""

    name = "skopeo"

    def __init__(self, folder: Path, layout: Path) -> None:
        self.folder, self.layout = folder, layout
        self.env = environment(folder / "home")

    def hold(self, host: str) -> None:
        """Nothing: skopeo reads the layout itself."""

    def push(self, host: str) -> None:
        """Copy from the layout."""
        self._copy("--dest-tls-verify=false", f"oci:{self.layout}:standard", f"docker://{host}/{REPOSITORY}")

    def pull(self, host: str) -> None:
        """Copy into an empty layout."""
        self._copy("--src-tls-verify=false", f"docker://{host}/{REPOSITORY}", f"oci:{self.folder}/fresh:1")

    def forget(self) -> None:
        """Remove what was pulled."""
        shutil.rmtree(self.folder / "fresh", ignore_errors=True)

    def _copy(self, *arguments: str) -> None:
        must(["skopeo", "--insecure-policy", "copy", "--quiet", *arguments], env=self.env)


class Podman:
    """podman with an overlay store of its own; it unpacks what it pulls, and compresses what it pushes."""

    name = "podman"

    def __init__(self, folder: Path, layout: Path) -> None:
        self.folder, self.layout = folder, layout
        self.env = environment(folder / "home")
        # podman refuses a run folder with a path of more than 50 bytes.
        self.runs = Path(tempfile.mkdtemp(prefix="podman.", dir="/tmp"))
        settings = folder / "home/.config/containers"
        settings.mkdir(parents=True)
        (settings / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')

    def command(self, *arguments: str | Path, store: str = "store") -> list[str | Path]:
        """The command line, with the folders that are ours."""
        folders = [f"--root={self.folder}/{store}", f"--runroot={self.runs}/{store}"]
        return ["podman", *folders, "--storage-driver=overlay", "--events-backend=file", *arguments]

    def hold(self, host: str) -> None:
        """Have the standard image unpacked in the store, named for a registry."""
        store = f"containers-storage:[overlay@{self.folder}/store+{self.runs}/store]{host}/{REPOSITORY}"
        must(["skopeo", "copy", "--quiet", f"oci:{self.layout}:standard", store], env=self.env)

    def push(self, host: str) -> None:
        """Push it as a user would."""
        must(self.command("push", "--quiet", "--tls-verify=false", f"{host}/{REPOSITORY}"), env=self.env)

    def pull(self, host: str) -> None:
        """Pull it into an empty store."""
        reference = f"{host}/{REPOSITORY}"
        must(self.command("pull", "--quiet", "--tls-verify=false", reference, store="fresh"), env=self.env)

    def forget(self) -> None:
        """Remove what was pulled."""
        must(self.command("rmi", "--all", "--force", store="fresh"), env=self.env)

    def close(self) -> None:
        """Unmount the stores, which podman mounts onto themselves, and remove its run folder."""
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for store in self.folder.glob("*/overlay"):
            if str(store) in mounts:
                must(["umount", store])
        shutil.rmtree(self.runs)

    def load(self, archive: Path) -> Sequence[str | Path]:
        """Load an archive; return the command that lists what is there."""
        must(self.command("load", "--quiet", "--input", archive, store="many"), env=self.env)
        return self.command("images", store="many")

    @property
    def list_env(self) -> Mapping[str, str]:
        """The environment that the list is made in."""
        return self.env


Client = Dockyard | Skopeo | Podman
CLIENTS: tuple[type[Client], ...] = (Dockyard, Skopeo, Podman)


@contextlib.contextmanager
def clients(work: Path, layout: Path, *, podman: bool) -> Iterator[dict[str, Client]]:
    """The commands side by side, each with a folder of its own."""
    made = {kind.name: kind(work / f"client-{kind.name}", layout) for kind in CLIENTS if podman or kind is not Podman}
    try:
        yield made
    finally:
        for client in made.values():
            if isinstance(client, Podman):
                client.close()


def transfers(samples: Samples, rounds: int, work: Path, clients: dict[str, Client]) -> None:
    """Every client against every registry. Process start included, as a user waits for it too."""
    for registry, kind in REGISTRIES.items():

        def push(name: str, kind: type[Running] = kind) -> float:
            with kind(work / "registry") as server:
                clients[name].hold(server.host)
                return timed(lambda: clients[name].push(server.host))

        samples.alternate(PUSH[registry], rounds, clients, push)
        with kind(work / "registry") as server:
            clients["skopeo"].push(server.host)

            def pull(name: str, host: str = server.host) -> float:
                seconds = timed(lambda: clients[name].pull(host))
                clients[name].forget()
                return seconds

            samples.alternate(PULL[registry], rounds, clients, pull)


def lists(samples: Samples, work: Path, clients: dict[str, Client]) -> None:
    """A hundred small images in one store; each list is a new process."""
    archive = work / "hundred.tar"
    hundred(archive)
    commands = {}
    for client in clients.values():
        if not isinstance(client, Skopeo):
            command, env = client.load(archive), client.list_env
            printed = must(command, env=env)
            if printed.count("bench/image") != 100:
                raise SystemExit(f"{client.name} does not list the hundred images:\n{printed}")
            commands[client.name] = command, env

    def measure(name: str) -> float:
        command, env = commands[name]
        return timed(lambda: must(command, env=env))

    samples.alternate(LS, LS_RUNS, commands, measure)
    python = DOCKYARD.with_name("python")
    samples.alternate(START, LS_RUNS, ["this machine"], lambda _: timed(lambda: must([python, "-c", "pass"])))


def hundred(path: Path) -> None:
    """Write a hundred images that share a layer as one archive, in docker's form."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("hello"), io.BytesIO(b""))
    diff_id = hashlib.sha256(layer.getvalue()).hexdigest()
    with tarfile.open(path, "w") as archive:
        add(archive, f"{diff_id}/layer.tar", layer.getvalue())
        entries = []
        for number in range(100):
            config = json.dumps(
                {
                    "architecture": "amd64",
                    "os": "linux",
                    "created": f"2026-01-{number % 28 + 1:02}T00:00:00Z",
                    "config": {"Cmd": [f"/image{number}"]},
                    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
                }
            ).encode()
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            add(archive, name, config)
            tags = [f"localhost/bench/image{number}:1"]
            entries.append({"Config": name, "RepoTags": tags, "Layers": [f"{diff_id}/layer.tar"]})
        add(archive, "manifest.json", json.dumps(entries).encode())


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Put one file into an archive."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
