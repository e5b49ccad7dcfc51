"""The socket that a server listens on. Knows no HTTP.

It is opened before a model is loaded: an address that is taken is known at once.
"""

import socket

from mlx_t2.errors import ConfigError

from .settings import HTTPConfig

_SEND_BUFFER = 64 * 2**10
"""Bytes on their way to a client: one that does not read is noticed when they are full."""


def open_socket(config: HTTPConfig) -> socket.socket:
    """A socket bound to the address; nobody is answered yet.

    Raises: ConfigError for an address that is taken, or not one of this machine.
    """
    where = f"{config.host}, port {config.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            config.host or None, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{where}: {name_reason(error)}, expected an address") from None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        found.bind(address)
    except OSError as error:
        found.close()
        raise ConfigError(
            f"{where}: {name_reason(error)}, expected one that is free. Give another --port"
        ) from None
    return found


def name_reason(error: Exception) -> str:
    """The system's word on why an address cannot be used."""
    return (error.strerror if isinstance(error, OSError) else None) or "not usable"
