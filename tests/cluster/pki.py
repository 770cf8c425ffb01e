"""Keys and certificates of one cluster, made with openssl, valid for a week."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import host
from tests.cluster.errors import StartError

DAYS = "7"


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority in a directory: `ca.crt`, `ca.key`, and what it has signed."""

    directory: Path

    @classmethod
    def create(cls, directory: Path) -> "Authority":
        """Makes the authority, and `service-accounts.key` for tokens."""
        directory.mkdir(mode=0o700)
        authority = cls(directory)
        new_key(authority.key("ca"))
        new_key(authority.key("service-accounts"))
        _openssl(
            *("req", "-x509", "-new", "-key", str(authority.key("ca")), "-out", str(authority.certificate("ca"))),
            *("-days", DAYS, "-subj", "/CN=tidegate-cluster"),
            *("-addext", "keyUsage=critical,keyCertSign,digitalSignature"),
        )
        return authority

    def key(self, name: str) -> Path:
        """The file of a private key."""
        return self.directory / f"{name}.key"

    def certificate(self, name: str) -> Path:
        """The file of a certificate."""
        return self.directory / f"{name}.crt"

    def issue(self, name: str, *, subject: str, hosts: Sequence[str] = ()) -> None:
        """Makes a key and a certificate; with `hosts` (`DNS:...`, `IP:...`) for a server, else for a client."""
        new_key(self.key(name))
        request, extensions = self.directory / f"{name}.csr", self.directory / f"{name}.ext"
        usage = "serverAuth" if hosts else "clientAuth"
        names = f"subjectAltName={','.join(hosts)}\n" if hosts else ""
        extensions.write_text(f"extendedKeyUsage={usage}\nkeyUsage=digitalSignature\n{names}")
        _openssl("req", "-new", "-key", str(self.key(name)), "-subj", subject, "-out", str(request))
        _openssl(
            *("x509", "-req", "-in", str(request), "-out", str(self.certificate(name)), "-days", DAYS),
            *("-CA", str(self.certificate("ca")), "-CAkey", str(self.key("ca")), "-CAcreateserial"),
            *("-extfile", str(extensions)),
        )


def new_key(file: Path) -> None:
    """Writes a P-256 private key."""
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(file))


def _openssl(*arguments: str) -> None:
    program = host.which("openssl") or "openssl"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StartError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
