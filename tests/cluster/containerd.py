"""containerd in a run, and the store of images that all runs share.

Importing an image means unpacking it, a minute for the large ones. So it is done
once, into a store in the cache to which images are only ever added. A run's
containerd starts with a copy of the store's databases; the unpacked layers are
mounted below its root, read-only, and never copied.
"""

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import cache, host, remains
from tests.cluster.build import Toolbox
from tests.cluster.errors import BuildError
from tests.cluster.progress import Progress
from tests.cluster.sandbox import Run

PAUSE_IMAGE = "localhost/pause:1"
POD_CIDR = "10.244.0.0/16"
POD_GATEWAY = "10.244.0.1"
CNI_PLUGINS = "/usr/lib/cni"
SOCKET_SECONDS = 30.0
STOP_SECONDS = 20.0
# Below containerd's root.
DATABASES = ("io.containerd.metadata.v1.bolt/meta.db", "io.containerd.snapshotter.v1.overlayfs/metadata.db")
LAYERS = "io.containerd.snapshotter.v1.overlayfs/snapshots"
BLOBS = "io.containerd.content.v1.content/blobs/sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Containerd:
    """containerd with its state in a run, and its images in `root`."""

    run: Run
    tools: Toolbox
    root: Path
    collect_garbage: bool = True

    @property
    def base(self) -> Path:
        """Where its state and configuration are."""
        return self.run.directory / "containerd"

    @property
    def socket(self) -> Path:
        """Its socket, as seen inside the run and outside."""
        return socket_of(self.run.id)

    def start(self) -> None:
        """Starts it and waits for its socket."""
        for name in ("run", "cni"):
            (self.base / name).mkdir(parents=True)
        (self.base / "cni" / "10-bridge.conflist").write_text(json.dumps(_network(self.base)))
        (self.base / "config.toml").write_text(_config(self.base, self.root, garbage=self.collect_garbage))
        shims = Path(self.tools["containerd-shim-runc-v2"]).parent
        path = {"PATH": f"{shims}:{self.run.environment()['PATH']}"}
        self.run.spawn("containerd", [self.tools["containerd"], "--config", str(self.base / "config.toml")], path)
        self.run.wait_for("containerd", self.socket.exists, seconds=SOCKET_SECONDS)


def socket_of(run: str) -> Path:
    """The socket of a run's containerd."""
    return remains.ROOT / run / "containerd" / "run" / "containerd.sock"


def load(ctr: str, run: str, archive: Path) -> None:
    """Imports the images of an archive into a run's containerd.

    Raises:
        BuildError: containerd refused it.
    """
    command = [ctr, f"--address={socket_of(run)}", "--namespace=k8s.io", "images", "import", "-"]
    with archive.open("rb") as content:
        done = subprocess.run(command, stdin=content, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{archive} could not be imported: {done.stderr.strip()[-1000:]}")


class ImageStore:
    """The images that were imported once, for all runs. Nothing is ever removed from it while runs may use it."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        # Another containerd may keep its images otherwise.
        self._base = cache.root() / "nodes" / Path(tools["containerd"]).parent.name
        self._root = self._base / "root"

    def attach(self, run: Run, root: Path, archives: Iterable[Path], progress: Progress) -> None:
        """Gives a run's containerd, which is not started yet, everything that is in the store.

        Args:
            run: the run.
            root: its containerd's root, which is not there yet.
            archives: entries of the cache that are imported first, if another one of their name was the last.
            progress: where to show that.
        """
        self._forget_others()
        with cache.locked(self._lock):
            missing = [archive for archive in archives if not self._is_latest(archive)]
            if missing:
                progress.expect(1)
                with progress.step(f"importing {len(missing)} images, once"):
                    self._import(missing)
            for name in DATABASES:
                (root / name).parent.mkdir(parents=True)
                shutil.copy2(self._root / name, root / name)
            (root / BLOBS).mkdir(parents=True)
            for blob in (self._root / BLOBS).iterdir():
                cache.link_or_copy(str(blob), str(root / BLOBS / blob.name))
            layers = sorted((self._root / LAYERS).iterdir())
        commands = []
        for layer in layers:
            place = root / LAYERS / layer.name
            place.mkdir(parents=True)
            commands.append(f"mount --bind -o ro {layer} {place}")
        run.call(["sh", "-ec", "\n".join(commands)])

    def _forget_others(self) -> None:
        """Removes the stores of other versions, unless a run that may use one is alive beside this one."""
        with remains.creating():
            using = [found for found in remains.found() if found.alive and found.kind != "light"]
            others = [path for path in self._base.parent.glob("*") if path != self._base]
            if len(using) == 1:
                for other in others:
                    shutil.rmtree(other)

    def _import(self, archives: list[Path]) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            run = Run("import", sealed=True)
            stack.callback(run.close)
            Containerd(run=run, tools=self._tools, root=self._root, collect_garbage=False).start()
            for archive in archives:
                load(self._tools["ctr"], run.id, archive)
            run.finish("containerd", seconds=STOP_SECONDS)
        for archive in archives:
            mark, key = self._mark(archive)
            mark.parent.mkdir(exist_ok=True)
            mark.write_text(key)

    @property
    def _lock(self) -> Path:
        return self._base / ".lock"

    def _is_latest(self, archive: Path) -> bool:
        # Two checkouts may have images of one name in turn, and the name is the last one's.
        mark, key = self._mark(archive)
        return mark.exists() and mark.read_text() == key

    def _mark(self, archive: Path) -> tuple[Path, str]:
        name, _, key = archive.parent.name.rpartition("-")
        return self._base / "imported" / name, key


def _network(base: Path) -> Mapping[str, Any]:
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "ipMasq": False,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(base / "addresses"),
                    "ranges": [[{"subnet": POD_CIDR, "gateway": POD_GATEWAY}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _config(base: Path, root: Path, *, garbage: bool) -> str:
    # Layers of the store may be in use by runs that its containerd knows nothing of.
    never = 'startup_delay = "9999h"\n  mutation_threshold = 0\n  deletion_threshold = 0'
    return f"""
version = 3
root = "{root}"
state = "{base}/run/state"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = "{base}/run/containerd.sock"

[plugins."io.containerd.gc.v1.scheduler"]
  {"pause_threshold = 0.02" if garbage else never}

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{PAUSE_IMAGE}"

[plugins."io.containerd.cri.v1.runtime"]
  # Lowering a sandbox's oom_score_adj is refused where this machine is itself a guest of somebody's limits.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true

[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["{CNI_PLUGINS}"]
  conf_dir = "{base}/cni"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
    BinaryName = "{host.which("runc")}"
    SystemdCgroup = false
"""
