"""`t2 serve`: the model over HTTP, until it is told to end."""

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import (
    DEFAULT_MODEL,
    WEIGHTS,
    AllowTransfer,
    BasisBits,
    ExpertsFolder,
    Model,
)
from .render import facts, note, say, spinner
from .session import open_model, show_preparation

if TYPE_CHECKING:
    from mlx_t2.serving import Engine, HTTPConfig, Server, ServingConfig

WHO, LOAD = "Who is answered", "Load"

Host = Annotated[
    str,
    typer.Option(
        help="Address to listen on. Beyond this machine a key is needed.", rich_help_panel=WHO
    ),
]
Port = Annotated[
    int,
    typer.Option(
        "--port",
        "-p",
        min=0,
        max=65535,
        help="Port to listen on; 0 is any that is free.",
        rich_help_panel=WHO,
    ),
]
Aliases = Annotated[
    list[str] | None,
    typer.Option(
        "--alias",
        metavar="A=B",
        help="Another name for a model that is served: gpt-4o=base:auto. Can be repeated.",
        rich_help_panel=WHO,
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        envvar="MLX_T2_API_KEY",
        help="Clients send it as `Authorization: Bearer KEY`. In the environment it is not "
        "seen by others on this machine.",
        rich_help_panel=WHO,
    ),
]
Admin = Annotated[
    bool,
    typer.Option(
        "--admin", help="Let clients add, replace and remove experts.", rich_help_panel=WHO
    ),
]
AutoRouter = Annotated[
    Path | None,
    typer.Option(
        "--router",
        help="File of the router that base:auto asks, instead of the one beside the experts.",
        rich_help_panel=WEIGHTS,
    ),
]
SplitThoughts = Annotated[
    bool,
    typer.Option(
        "--split-thoughts/--no-split-thoughts",
        help="Give what a model thinks (<think>) as `reasoning_content`, and not within its "
        "answer.",
        rich_help_panel=WHO,
    ),
]
MostTokens = Annotated[
    int | None,
    typer.Option(
        "--max-tokens",
        min=1,
        help="Longest completion of a request that names none [tokens]; by default until it "
        "ends, or the model's context does.",
        rich_help_panel=LOAD,
    ),
]
MaxRows = Annotated[
    int,
    typer.Option(min=1, help="Completions decoded together.", rich_help_panel=LOAD),
]
MaxQueue = Annotated[
    int,
    typer.Option(
        min=1, help="Requests that wait; one more is told to come back.", rich_help_panel=LOAD
    ),
]
CacheGb = Annotated[
    float,
    typer.Option(
        min=0.0,
        help="Keys and values of prompts that are kept for later ones [GB].",
        rich_help_panel=LOAD,
    ),
]
DrainS = Annotated[
    float,
    typer.Option(
        min=0.0,
        help="Time for answers to be finished, once told to end [s].",
        rich_help_panel=LOAD,
    ),
]


def serve(
    model: Model = DEFAULT_MODEL,
    experts: ExpertsFolder = None,
    router: AutoRouter = None,
    allow_transfer: AllowTransfer = False,
    basis_bits: BasisBits = None,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    alias: Aliases = None,
    api_key: ApiKey = None,
    admin: Admin = False,
    split_thoughts: SplitThoughts = True,
    max_tokens: MostTokens = None,
    max_rows: MaxRows = 32,
    max_queue: MaxQueue = 256,
    cache_gb: CacheGb = 1.0,
    drain_s: DrainS = 30.0,
) -> None:
    """Serve the model over HTTP, as OpenAI's API: every request with an expert of its own.

    `base` is the model as it is, `base:EXPERT` wears an expert, `base:auto` what the question
    asks for. Ctrl-C ends it when what has been asked is answered.
    """
    aliases = dict(map(_split_alias, alias or ()))
    from mlx_t2.serving import HTTPConfig, ServingConfig, open_socket

    config = HTTPConfig(
        host=host,
        port=port,
        aliases=aliases,
        api_key=api_key,
        is_admin=admin,
        max_tokens=max_tokens,
        splits_thoughts=split_thoughts,
        drain_s=drain_s,
    )
    limits = ServingConfig(
        max_rows=max_rows, max_queue=max_queue, cache_bytes=int(cache_gb * 1e9)
    )
    with open_socket(config) as listening:
        engine = _open_engine(model, experts, router, allow_transfer, basis_bits, limits)
        try:
            from mlx_t2.serving import Server

            server = Server(engine, config, listening)
            _log_requests()
            server.start()
            _announce(server, engine, config)
            _wait_for_end(server)
            note("finishing what has been asked; Ctrl-C again ends at once")
            server.stop()
        finally:
            engine.stop(0)


def _split_alias(text: str) -> tuple[str, str]:
    name, sign, stands_for = text.partition("=")
    if not name or not sign or not stands_for:
        raise typer.BadParameter(f"--alias: got {text!r}, expected A=B, as in gpt-4o=base")
    return name, stands_for


def _open_engine(
    model: str,
    folder: Path | None,
    router: Path | None,
    allow_transfer: bool,
    basis_bits: int | None,
    limits: "ServingConfig",
) -> "Engine":
    """The model with every expert of it, and a thread that owns them."""
    worn = open_model(model)
    from mlx_t2.adaptation import prepare_every
    from mlx_t2.experts import open_library
    from mlx_t2.serving import Engine

    library = open_library(folder)
    preparation, wearable = prepare_every(worn, library, allow_transfer, basis_bits)
    show_preparation(preparation)
    with spinner("getting ready"):
        return Engine(worn, wearable, library, limits, router, allow_transfer)


def _log_requests() -> None:
    """A line on stderr for each request: method, endpoint, status and time."""
    import logging

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("mlx_t2.serving")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _announce(server: "Server", engine: "Engine", config: "HTTPConfig") -> None:
    """What is served, where, and how it is asked for."""
    names = [expert.name for expert in engine.experts()]
    choices = ["base", *(["base:auto"] if engine.has_auto else [])]
    served = [*choices, *(f"base:{name}" for name in names)]
    aliases = [f"{name} = {stands_for}" for name, stands_for in config.aliases.items()]
    facts(
        f"serving {engine.model_id} at {server.url}",
        [
            ("models", ", ".join(served)),
            *([("aliases", ", ".join(aliases))] if aliases else []),
            ("key", "asked for" if config.api_key else "none; this machine alone"),
            ("experts over HTTP", "can be changed" if config.is_admin else "fixed"),
        ],
    )
    key = '-H "authorization: Bearer $MLX_T2_API_KEY" ' if config.api_key else ""
    json = f"{key}-H 'content-type: application/json'"
    messages = '"messages": [{"role": "user", "content": "36, 73, 80"}]'
    say()
    say(f"curl {key}{server.url}/models")
    for url, stream, name in (
        (f"{server.url}/chat/completions", "", choices[-1]),
        (f"-N {server.url}/chat/completions", '"stream": true, ', (served or ["base"])[-1]),
    ):
        say(f"curl {url} {json} \\")
        say(f"""  -d '{{"model": "{name}", {stream}{messages}}}'""")
    sys.stdout.flush()


def _wait_for_end(server: "Server") -> None:
    """Return when the process is told to end, or the server has ended by itself; a second
    signal interrupts whatever goes on.
    """
    told = threading.Event()

    def tell(*_: object) -> None:
        if told.is_set():
            raise KeyboardInterrupt
        told.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, tell)
    while server.is_running and not told.wait(0.5):
        pass
