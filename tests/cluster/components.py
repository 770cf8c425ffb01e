"""The programs a cluster is made of, and the recipes they are built by."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster import cache

GO = Path(__file__).parent / "go"

KUBERNETES_VERSION = "v1.36.3"
_STAMP = "k8s.io/component-base/version"
_KUBERNETES_STAMPS = (
    f"-X {_STAMP}.gitVersion={KUBERNETES_VERSION} -X {_STAMP}.gitMajor=1 -X {_STAMP}.gitMinor=36"
    f" -X k8s.io/client-go/pkg/version.gitVersion={KUBERNETES_VERSION}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One Go module's programs, built together."""

    name: str
    packages: dict[str, str]
    """Name of the binary -> package."""
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Name of the binary -> the names it is called by."""
    tags: str = ""
    stamps: str = ""
    minutes: float = 1.0
    """CPU minutes from an empty cache, to warn with."""

    @property
    def module(self) -> Path:
        """The directory of its go.mod."""
        return GO / self.name

    @property
    def key(self) -> str:
        """The digest of all that decides what comes out."""
        packages = [f"{binary}={package}" for binary, package in sorted(self.packages.items())]
        return cache.digest(self.module, *packages, repr(sorted(self.aliases.items())), self.tags, self.stamps)

    @property
    def directory(self) -> Path:
        """Where the binaries are once they are built."""
        return cache.entry("bin", self.name, self.key)


KUBERNETES = Component(
    name="kubernetes",
    packages={"kube": "."},
    aliases={
        "kube": (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
            "kubectl",
        )
    },
    stamps=_KUBERNETES_STAMPS,
    minutes=8.0,
)
ETCD = Component(name="etcd", packages={"etcd": "go.etcd.io/etcd/server/v3"}, minutes=0.7)
CONTAINERD = Component(
    name="containerd",
    packages={
        name: f"github.com/containerd/containerd/v2/cmd/{name}"
        for name in ("containerd", "containerd-shim-runc-v2", "ctr")
    },
    tags="no_btrfs,no_zfs",
    minutes=1.7,
)
CONTOUR = Component(name="contour", packages={"contour": "github.com/projectcontour/contour/cmd/contour"}, minutes=2.5)
COREDNS = Component(name="coredns", packages={"coredns": "."}, minutes=4.0)
HELM = Component(name="helm", packages={"helm": "helm.sh/helm/v4/cmd/helm"}, minutes=3.0)
KWOK = Component(name="kwok", packages={"kwok": "sigs.k8s.io/kwok/cmd/kwok"}, minutes=2.7)
VERSITYGW = Component(
    name="versitygw", packages={"versitygw": "github.com/versity/versitygw/cmd/versitygw"}, minutes=1.7
)
STATIC = Component(name="static", packages={"pause": "./pause", "testserver": "./testserver"}, minutes=0.3)

LIGHT = (ETCD, KUBERNETES)
FULL = (ETCD, KUBERNETES, CONTAINERD, CONTOUR, COREDNS, HELM, STATIC)
BY_NAME = {component.name: component for component in (*FULL, KWOK, VERSITYGW)}
