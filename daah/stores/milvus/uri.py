"""Address and options of a Milvus gallery, read from a URI and the environment."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from daah.errors import ConfigError

#: Environment variables for what should not be on a command line.
TOKEN, TLS, CA = "DAAH_MILVUS_TOKEN", "DAAH_MILVUS_TLS", "DAAH_MILVUS_CA"

SHAPE = "milvus://[TOKEN@]HOST[:PORT]/COLLECTION[?OPTION=VALUE&...]"


@dataclass(frozen=True)
class MilvusOptions:
    """Options after the `?` of a URI.

    Attributes:
        tls: whether the connection is encrypted.
        ca: file of the certificate authority to trust; "" trusts the system's.
        database: database of the server; "" is the default one.
        timeout: seconds of retries before a call fails.
        consistency: "bounded" (writes of other processes are visible within seconds, own writes at
            once) or "strong".
        lengths: prefixes that are indexed from the start; others are at their first search.
        rows: expected number of faces, which selects the index: BIN_FLAT (exact), or BIN_IVF_FLAT
            from `ivf_from` on.
        ivf_from: number of faces from which BIN_IVF_FLAT (approximate) is used.
        shards: number of shards of a new gallery.
        replicas: number of replicas of a new gallery.
        nprobe: share of the clusters that BIN_IVF_FLAT visits, in (0, 1]; 1 is exact.

    Raises:
        ConfigError: a value is out of range.
    """

    tls: bool = False
    ca: str = ""
    database: str = ""
    timeout: float = 10.0
    consistency: str = "bounded"
    lengths: tuple[int, ...] = ()
    rows: int = 0
    ivf_from: int = 20_000_000
    shards: int = 1
    replicas: int = 1
    nprobe: float = 0.25

    def __post_init__(self) -> None:
        if self.consistency not in ("bounded", "strong"):
            raise ConfigError(
                f"consistency: expected 'bounded' or 'strong', got {self.consistency!r}"
            )
        if not 0 < self.nprobe <= 1:
            raise ConfigError(f"nprobe: expected a share in (0, 1], got {self.nprobe}")
        for name, least in (
            ("timeout", 0.1),
            ("rows", 0),
            ("ivf_from", 1),
            ("shards", 1),
            ("replicas", 1),
        ):
            if getattr(self, name) < least:
                raise ConfigError(f"{name}: expected {least} or more, got {getattr(self, name)}")


@dataclass(frozen=True)
class Address:
    """Address of a gallery. The token is in no message.

    Attributes:
        host: name or address of the server.
        port: its port.
        collection: name of the collection.
        options: the options.
        token: `user:password` or API key; "" without authentication.
    """

    host: str
    port: int
    collection: str
    options: MilvusOptions
    token: str = field(repr=False, default="")

    @property
    def server(self) -> str:
        """As pymilvus wants it."""
        return f"{'https' if self.options.tls else 'http'}://{self.host}:{self.port}"

    @property
    def name(self) -> str:
        """For messages."""
        return f"Milvus gallery {self.collection} at {self.host}:{self.port}"


def parse(uri: str) -> Address:
    """Parse `milvus://[TOKEN@]HOST[:PORT]/COLLECTION[?OPTION=VALUE&...]`.

    TOKEN is `user:password` or an API key, percent-encoded. The environment variable
    DAAH_MILVUS_TOKEN is the better place for it. DAAH_MILVUS_TLS and DAAH_MILVUS_CA set defaults of
    `tls` and `ca`.

    Args:
        uri: the URI; the port defaults to 19530.

    Returns:
        The address.

    Raises:
        ConfigError: the URI or one of its options is invalid.
    """
    try:
        parts = urlsplit(uri)
        port = parts.port or 19530
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ConfigError(f"a Milvus address is written {SHAPE}") from None
    collection = parts.path.strip("/")
    if parts.scheme != "milvus" or not parts.hostname:
        raise ConfigError(f"a Milvus address is written {SHAPE}")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", collection):
        raise ConfigError(
            "the collection of a Milvus address is a letter followed by letters, digits and _, "
            f"got {collection!r}"
        )
    environment = {}
    if os.environ.get(TLS):
        environment["tls"] = os.environ[TLS]
    if os.environ.get(CA):
        environment["ca"] = os.environ[CA]
    options = _options({**environment, **dict(pairs)})
    token = unquote(parts.netloc.rpartition("@")[0]) or os.environ.get(TOKEN, "")
    return Address(parts.hostname, port, collection, options, token)


def _options(texts: dict[str, str]) -> MilvusOptions:
    read = {
        "tls": _flag,
        "ca": str,
        "database": str,
        "timeout": float,
        "consistency": str,
        "lengths": lambda text: tuple(int(part) for part in text.split(",") if part),
        "rows": lambda text: int(float(text)),
        "ivf_from": lambda text: int(float(text)),
        "shards": int,
        "replicas": int,
        "nprobe": float,
    }
    unknown = sorted(set(texts) - set(read))
    if unknown:
        raise ConfigError(f"unknown Milvus options {unknown}; valid options are {sorted(read)}")
    values = {}
    for key, text in texts.items():
        try:
            values[key] = read[key](text)
        except (ValueError, OverflowError):
            raise ConfigError(f"{key}: {text!r} is not a value for this Milvus option") from None
    return MilvusOptions(**values)


def _flag(text: str) -> bool:
    if text.lower() not in ("0", "1", "false", "true"):
        raise ValueError(text)
    return text.lower() in ("1", "true")
