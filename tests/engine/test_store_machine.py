"""The store against a model of it, and under many processes that are killed."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import images as make
import pytest
from engine.stores import blobs, complete
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dockyard.config import ClientSettings
from dockyard.engine.engine import Engine
from dockyard.engine.naming import full_name
from dockyard.errors import Conflict, ImageUnknown

pytestmark = pytest.mark.slow

WORDS = ("one", "two", "three")
TAGS = ("app:v1", "app:v2", "localhost:5000/app:v1", "other:latest")


def archive(word: str) -> io.BytesIO:
    return io.BytesIO(make.tar([(f"{word}.txt", word.encode())]))


class Store(RuleBasedStateMachine):
    """Names → images, as docker would have them; every rule uses another engine, as every command does."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.names: dict[str, str] = {}  # tag → image ID
        self.nameless: set[str] = set()
        self.now = 1_700_000_000.0

    @property
    def engine(self) -> Engine:
        return Engine.open(ClientSettings(root=self.folder.name), clock=lambda: self.now)

    def teardown(self) -> None:
        self.folder.cleanup()

    def give(self, tag: str, image: str) -> None:
        old = self.names.get(tag)
        self.names[tag] = image
        self.nameless.discard(image)
        if old and old not in self.names.values():
            self.nameless.add(old)

    @rule(word=st.sampled_from(WORDS), tag=st.sampled_from([None, *TAGS]))
    def import_(self, word: str, tag: str | None) -> None:
        image = str(self.engine.import_(archive(word), tag))
        if tag:
            self.give(tag, image)
        elif image not in self.names.values():
            self.nameless.add(image)

    @precondition(lambda self: self.names)
    @rule(data=st.data(), new=st.sampled_from(TAGS))
    def tag(self, data: st.DataObject, new: str) -> None:
        source = data.draw(st.sampled_from(sorted(self.names)))
        self.engine.tag(source, new)
        self.give(new, self.names[source])

    @rule(name=st.sampled_from(TAGS))
    def remove(self, name: str) -> None:
        if name not in self.names:
            with pytest.raises(ImageUnknown):
                self.engine.remove(name)
            return
        image = self.names.pop(name)
        said = [str(record) for record in self.engine.remove(name)]
        last = image not in self.names.values()

        assert said[0] == f"Untagged: {name}"
        assert (f"Deleted: {image}" in said) == last

    @precondition(lambda self: self.names or self.nameless)
    @rule(data=st.data(), force=st.booleans())
    def remove_by_id(self, data: st.DataObject, force: bool) -> None:
        image = data.draw(st.sampled_from(sorted({*self.names.values(), *self.nameless})))
        held = [tag for tag, found in self.names.items() if found == image]
        if len(held) > 1 and not force:
            with pytest.raises(Conflict):
                self.engine.remove(image)
            return
        self.engine.remove(image, force=force)
        self.names = {tag: found for tag, found in self.names.items() if found != image}
        self.nameless.discard(image)

    @rule(everything=st.booleans())
    def prune(self, everything: bool) -> None:
        self.engine.prune(all_unused=everything)
        self.nameless.clear()
        if everything:
            self.names.clear()

    @rule()
    def save_and_load(self) -> None:
        if not self.names:
            return
        out = io.BytesIO()
        self.engine.save(sorted(self.names), out)
        with tempfile.TemporaryFile() as file:
            file.write(out.getvalue())
            file.seek(0)
            loaded = self.engine.load(file)  # type: ignore[arg-type]

        assert {str(found.id) for found in loaded} == set(self.names.values())

    @invariant()
    def names_lead_where_the_model_says(self) -> None:
        rows = self.engine.rows()

        assert {f"{row.repository}:{row.tag}": str(row.id) for row in rows if row.tag != "<none>"} == self.names
        assert {str(row.id) for row in rows if row.tag == "<none>"} == self.nameless

    @invariant()
    def nothing_is_missing_and_nothing_is_left(self) -> None:
        engine = self.engine
        if not engine.images.root.exists():
            return
        layout = make.Layout(engine.images.root)
        needed: set[str] = set()
        for entry in layout._entries():
            fields = json.loads(layout.read(entry["digest"]))
            needed |= {entry["digest"], fields["config"]["digest"], *(layer["digest"] for layer in fields["layers"])}

        assert complete(engine)
        assert blobs(engine) == needed
        assert os.listdir(engine.images.root / "leases") == os.listdir(engine.images.root / "ingest") == []


TestStore = Store.TestCase
TestStore.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)


TAGGER = """
import sys
from dockyard.config import ClientSettings
from dockyard.engine.engine import Engine
engine = Engine.open(ClientSettings(root=sys.argv[1]))
for count in range(15):
    engine.tag("base", f"p{sys.argv[2]}:{count}")
"""


def test_processes_that_tag_at_once_lose_nothing(engine: Engine, tmp_path: Path) -> None:
    engine.import_(archive("base"), "base")
    command = [sys.executable, "-c", TAGGER, str(tmp_path / "here")]
    processes = [subprocess.Popen([*command, str(number)]) for number in range(4)]

    assert [process.wait(120) for process in processes] == [0] * 4
    assert len(engine.rows()) == 61


WORKER = """
import sys, io, random, itertools
sys.path.insert(0, sys.argv[2])
import images as make
from dockyard.config import ClientSettings
from dockyard.engine.engine import Engine
from dockyard.errors import DockyardError
rng = random.Random(int(sys.argv[3]))
names = ["app:v1", "app:v2", "x:1", "y:1"]
print("ready", flush=True)
for _ in itertools.count():
    engine = Engine.open(ClientSettings(root=sys.argv[1]))
    name = rng.choice(names)
    verb = rng.randrange(5)
    try:
        if verb <= 1:
            word = f"word{rng.randrange(6)}"
            engine.import_(io.BytesIO(make.tar([(word, word.encode() * 20_000)])), name)
        elif verb == 2:
            engine.tag(name, rng.choice(names))
        elif verb == 3:
            engine.remove(name)
        else:
            engine.prune(all_unused=rng.random() < 0.3)
    except DockyardError as error:
        assert "damaged" not in str(error) and "needs" not in str(error), error
"""


@pytest.mark.slow
def test_processes_that_are_killed_leave_every_name_complete(engine: Engine, tmp_path: Path) -> None:
    root, tests = str(tmp_path / "here"), str(Path(make.__file__).parent)
    engine.import_(archive("base"), "base")
    engine.import_(archive("base"), None)
    rng = random.Random(1)
    log = (tmp_path / "log").open("w+b")

    def start(seed: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", WORKER, root, tests, str(seed)], stdout=subprocess.PIPE, stderr=log
        )

    workers = [start(number) for number in range(3)]
    try:
        for round_ in range(40):
            victim = rng.randrange(3)
            stdout = workers[victim].stdout
            assert stdout and stdout.readline() == b"ready\n"
            time.sleep(rng.random() * 0.15)  # the moment of the kill is what is tried
            workers[victim].send_signal(signal.SIGKILL)
            workers[victim].wait()
            stdout.close()
            with engine.images.locked():
                assert complete(engine)
            workers[victim] = start(100 + round_)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
            if worker.stdout:
                worker.stdout.close()
        log.seek(0)
        said = log.read().decode()
        log.close()
    image = engine.import_(archive("base"), "still:works")
    works = engine.resolve_id("still:works") == image
    engine.prune(all_unused=True)

    assert said == ""
    assert works
    assert blobs(engine) == set()
    assert os.listdir(engine.images.root / "leases") == os.listdir(engine.images.root / "ingest") == []


PULLER = """
import sys, asyncio
from dockyard.config import ClientSettings
from dockyard.content.credentials import FixedLogin
from dockyard.content.http import RegistryClient
from dockyard.engine.engine import Engine
from dockyard.oci.reference import parse_reference
engine = Engine.open(ClientSettings(root=sys.argv[1]))
connect = lambda host: RegistryClient(host, credentials=FixedLogin())
print("ready", flush=True)
asyncio.run(engine.pull(parse_reference(sys.argv[2]), connect))
"""


@pytest.mark.slow
async def test_pulls_that_are_killed_beside_removals_go_on_and_end_complete(
    open_engine: Callable[..., Engine], docker_registry: object, tmp_path: Path
) -> None:
    from engine.test_push_and_pull import connect, put

    from dockyard.oci.reference import parse_reference

    source, target = open_engine("source"), open_engine("target")
    name = f"{docker_registry.host}/engine/killed{os.getpid()}:v1"  # type: ignore[attr-defined]
    words = [os.urandom(40_000).hex() for _ in range(12)]
    layout = make.Layout(tmp_path / "made")
    tars = [make.tar([("file", word.encode() * 8)]) for word in words]
    layers = [layout.blob(make.gzipped(data), make.GZIP) for data in tars]
    layout.name(layout.image(layers, [*map(make.sha256, tars)]))
    await put(source, layout.folder, name)
    await source.push(parse_reference(name), connect)
    rng = random.Random(7)
    for _ in range(25):
        target.import_(archive("x"), "x")
        command = [sys.executable, "-c", PULLER, str(tmp_path / "target"), name]
        puller = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert puller.stdout and puller.stdout.readline() == b"ready\n"
        time.sleep(rng.random() * 0.25)
        target.remove("x")
        target.prune()
        if rng.random() < 0.3:
            target.prune(all_unused=True)
        puller.kill()
        puller.wait()
        puller.stdout.close()
        assert complete(target)
    await target.pull(parse_reference(name), connect)

    assert complete(target)
    assert target.resolve_id(name) == source.resolve_id(name)
    assert {full_name(entry) for entry in target.images.entries.read()} >= {name}
