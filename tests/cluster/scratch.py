"""Container images of a few static files, written without any tool.

The archive is an OCI image layout (image-spec 1.0) in a tar file, as
`ctr images import` takes it.
"""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.cluster import cache

MEDIA = "application/vnd.oci.image"
# Whoever runs as nobody gets the user that "distroless" images give.
NONROOT = 65532
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def ensure(image: str, program: Path) -> Path:
    """The archive of an image that holds one program and runs it, made once."""
    key = cache.digest(image, str(program), Path(__file__))
    return cache.obtain("images", program.name, key, partial(_write_program, image, program)) / "image.tar"


def _write_program(image: str, program: Path, work: Path) -> None:
    path = f"/{program.name}"
    write(work / "image.tar", name=image, files={path: program}, entrypoint=[path])


def write(
    archive: Path, *, name: str, files: Mapping[str, Path], entrypoint: Sequence[str], user: int = NONROOT
) -> None:
    """Writes an image that holds `files` (path in the image -> file) and runs `entrypoint`."""
    layer = _layer(files)
    blobs = {_digest(layer): layer}
    config = {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {"Entrypoint": list(entrypoint), "User": str(user), "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{MEDIA}.manifest.v1+json",
        "config": _add(blobs, config, f"{MEDIA}.config.v1+json"),
        "layers": [{"mediaType": f"{MEDIA}.layer.v1.tar", "digest": _digest(layer), "size": len(layer)}],
    }
    entry = _add(blobs, manifest, f"{MEDIA}.manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    index = {"schemaVersion": 2, "mediaType": f"{MEDIA}.index.v1+json", "manifests": [entry]}
    with tarfile.open(archive, "w") as tar:
        _put(tar, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        _put(tar, "index.json", json.dumps(index).encode())
        for digest, content in blobs.items():
            _put(tar, f"blobs/sha256/{digest.removeprefix('sha256:')}", content)


def _layer(files: Mapping[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, file in sorted(files.items()):
            _put(tar, path.lstrip("/"), file.read_bytes(), mode=file.stat().st_mode & 0o777)
    return buffer.getvalue()


def _put(tar: tarfile.TarFile, path: str, content: bytes, *, mode: int = 0o644) -> None:
    # No time stamps and owners: the same files make the same image.
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _add(blobs: dict[str, bytes], document: Mapping[str, Any], media: str) -> dict[str, Any]:
    content = json.dumps(document, sort_keys=True).encode()
    blobs[_digest(content)] = content
    return {"mediaType": media, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
