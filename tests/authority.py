"""Certificates for the tests, made with the openssl command."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ssl import SSLContext

CONFIGURATION: Final = """
[ca]
default_ca = authority
[authority]
database = {folder}/index.txt
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
policy = policy
unique_subject = no
[policy]
commonName = supplied
[req]
distinguished_name = name
x509_extensions = authority_extensions
[name]
[authority_extensions]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
"""
LEAF: Final = "basicConstraints = critical, CA:false\nextendedKeyUsage = serverAuth\n"
HERE: Final = "subjectAltName = IP:127.0.0.1\n"
NOW: Final = ("20200101000000Z", "20491231000000Z")


@dataclass(frozen=True)
class Authority:
    """A certificate authority for the tests."""

    folder: Path
    bundle: Path

    def openssl(self, *arguments: str) -> None:
        """Run the openssl command. If it fails, the test fails."""
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def issue(self, name: str, extensions: str = LEAF + HERE, valid: tuple[str, str] = NOW) -> Path:
        """A file with a new certificate and its key."""
        (self.folder / f"{name}.ext").write_text(extensions)
        self.openssl("req", "-new", "-config", "ca.cnf", "-key", "key.pem", "-subj", f"/CN={name}",
                     "-out", f"{name}.csr")  # fmt: skip
        self.openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "key.pem",
                     "-startdate", valid[0], "-enddate", valid[1], "-extfile", f"{name}.ext",
                     "-in", f"{name}.csr", "-out", f"{name}.crt")  # fmt: skip
        file = self.folder / f"{name}.pem"
        file.write_text((self.folder / f"{name}.crt").read_text() + (self.folder / "key.pem").read_text())
        return file


def found(folder: Path) -> Authority:
    """A new authority. Its key is also used for its certificates."""
    authority = Authority(folder, folder / "ca.pem")
    (folder / "ca.cnf").write_text(CONFIGURATION.format(folder=folder))
    (folder / "index.txt").write_text("")
    (folder / "serial").write_text("1000\n")
    authority.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem")
    authority.openssl("req", "-x509", "-new", "-config", "ca.cnf", "-key", "key.pem", "-days", "30",
                      "-subj", "/CN=Authority", "-out", "ca.pem")  # fmt: skip
    return authority


def serving(certificate: Path) -> "SSLContext":
    """The TLS context of a server with this certificate."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
