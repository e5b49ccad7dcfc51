"""How the server listens, whom it answers, and its limits."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from mlx_t2.errors import ConfigError

_LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class HTTPConfig:
    """Everything about the server but the model."""

    host: str = "127.0.0.1"
    """Address or name to listen on. Beyond this machine a key is needed."""
    port: int = 8080
    """0 is any that is free."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """{another name: the name of a model that is served}."""
    api_key: str | None = field(default=None, repr=False)
    """What clients send as `Authorization: Bearer KEY`."""
    is_admin: bool = False
    """Whether experts can be added and removed over HTTP."""
    max_tokens: int | None = None
    """Longest completion where a request names none [tokens]; until the end token or the end of
    the context where None.
    """
    splits_thoughts: bool = True
    """Whether what a model thinks before it answers is a field of its own, and no part of the
    message's content.
    """
    most_body_bytes: int = 8 * 2**20
    body_s: float = 15.0
    """For a head to arrive, from the connection's beginning or the first byte after an answer
    to its last, and then as long again for its body [s].
    """
    stall_s: float = 30.0
    """A client that reads nothing for so long is dropped [s]."""
    silence_s: float = 10.0
    """Longest time without a byte in a stream [s]."""
    drain_s: float = 30.0
    """For answers to be finished, once the server is told to end [s]."""

    def __post_init__(self):
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port: got {self.port}, expected 0 to 65535")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ConfigError(f"max_tokens: got {self.max_tokens}, expected 1 or more")
        if self.api_key is not None and not self.api_key.strip():
            raise ConfigError("api key: got an empty one, expected some text, or no key at all")
        if self.api_key is None and not is_loopback(self.host):
            raise ConfigError(
                f"host {self.host!r} can be reached from other machines, expected an api key "
                "with it: --api-key, or MLX_T2_API_KEY in the environment"
            )

    @property
    def hosts(self) -> frozenset[str] | None:
        """Names by which a client may call the server; None where any will do, because a key
        is needed anyway.

        A page of a stranger can make its own name lead to 127.0.0.1, and would then read
        answers from here as its own (DNS rebinding). Its requests bear its name.
        """
        if is_wildcard(self.host):
            return None
        return frozenset({*_LOCAL, self.host.lower()})


def is_wildcard(host: str) -> bool:
    """Whether it is every address of this machine.

    >>> is_wildcard("0.0.0.0"), is_wildcard("::"), is_wildcard("127.0.0.1")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return not host


def is_loopback(host: str) -> bool:
    """Whether nobody else can reach it.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("192.168.1.7")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
