"""What in an expert's file is its maker's own: questions, answers, paths. Knows its bytes.

The file is changed in its header alone, and only where there is something to leave out, so that
what is shared is otherwise the same, byte for byte, keys of later versions included.
"""

import json
import struct
from typing import Any

_PATHS = {"task_file": "the path of its task file"}
"""Settings that are paths of the maker's machine, and what each is called."""
_SAID = ("user", "assistant")


def own_texts(content: bytes) -> list[str]:
    """The questions and answers in an expert's file, as its maker wrote them: the examples that
    say what it is for, and the worked examples of the prompt that it was trained behind.
    """
    metadata = _split(content)[0].get("__metadata__", {})
    examples = _read_json(metadata.get("examples"), list)
    prompt = _read_json(metadata.get("config"), dict).get("prompt", ())
    turns = [m["content"] for m in prompt if m["role"] in _SAID]
    return [*(one if isinstance(one, str) else json.dumps(one) for one in examples), *turns]


def without_private(content: bytes, with_examples: bool = True) -> tuple[bytes, list[str]]:
    """The file without its maker's paths and, where asked, without the texts of `own_texts`;
    and the names of what was left out. The same bytes where there is nothing of the kind.
    """
    header, data = _split(content)
    metadata = dict(header.get("__metadata__", {}))
    config = _read_json(metadata.get("config"), dict)
    left_out = [name for key, name in _PATHS.items() if config.pop(key, None) is not None]
    if not with_examples:
        if metadata.pop("examples", None) is not None:
            left_out.append("examples")
        prompt = config.get("prompt", ())
        kept = [message for message in prompt if message["role"] not in _SAID]
        if len(kept) < len(prompt):
            config["prompt"] = kept
            left_out.append("the worked examples of its prompt")
    if not left_out:
        return content, []
    metadata["config"] = json.dumps(config, sort_keys=True)
    return _join(header | {"__metadata__": metadata}, data), left_out


def _split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the data of a safetensors file that was checked before."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _join(header: dict[str, Any], data: bytes) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def _read_json(text: str | None, kind: type) -> Any:
    try:
        value = json.loads(text or "")
    except ValueError:
        return kind()
    return value if isinstance(value, kind) else kind()
