"""How a server shares a model out. Knows numbers alone."""

from dataclasses import dataclass

from mlx_t2.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ServingConfig:
    """The limits of one server."""

    max_rows: int = 32
    """Completions that are decoded together."""
    max_queue: int = 256
    """Orders that wait; one more is refused."""
    chunk_tokens: int = 512
    """The most that is read of one prompt between two token steps."""
    wait_s: float = 0.25
    """How long reading may keep the rows that are decoded waiting [s], as far as it can be
    foreseen.
    """
    cache_bytes: int = 1 << 30
    """Keys and values of prompts that are kept for later ones."""
    batch_bytes: int | None = None
    """Keys and values of what is read and decoded; a share of the memory that is left where
    None.
    """
    context: int | None = None
    """Tokens of a prompt and its completion; what the model was made for where None."""
    step_limit_s: float = 60.0
    """A step that takes longer means that the server is not ready [s]."""

    def __post_init__(self):
        least = {
            **dict.fromkeys(("max_rows", "max_queue", "chunk_tokens"), 1),
            **dict.fromkeys(("cache_bytes", "batch_bytes"), 0),
            "context": 2,
        }
        for name, number in least.items():
            got = getattr(self, name)
            if got is not None and got < number:
                raise ConfigError(f"{name}: got {got}, expected {number} or more")
        for name in ("wait_s", "step_limit_s"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected more than 0")
