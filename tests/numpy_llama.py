"""A tiny llama in NumPy's float64, written out: what finite differences need. MLX's own float64
computes exponentials and square roots to float32's digits.
"""

import numpy as np
from mlx.utils import tree_flatten


class NumpyLlama:
    """Reads mlx-lm's weights once; wears scales by the definition U diag(s z) Vᵀ."""

    def __init__(self, model):
        """model: an SVFModel whose network is `helpers.tiny_network`."""
        args = model.network.args
        self._layers, self._heads = args.num_hidden_layers, args.num_attention_heads
        self._groups, self._eps = self._heads // args.num_key_value_heads, args.rms_norm_eps
        self._theta = args.rope_theta
        self._weights = {
            path.replace(".base.", "."): np.array(array, dtype=np.float64)
            for path, array in tree_flatten(model.network.parameters())
        }
        self._svd = {
            path: np.linalg.svd(self._weights[f"{path}.weight"], full_matrices=False)
            for path in model.shapes
        }

    def logits(self, tokens, scales):
        """Scores of the next token after each of the tokens, float64."""
        embedding = self._weights["model.embed_tokens.weight"]
        x = embedding[np.array(tokens)]
        for i in range(self._layers):
            at = f"model.layers.{i}"
            x = x + self._attend(self._norm(x, f"{at}.input_layernorm"), at)
            h = self._norm(x, f"{at}.post_attention_layernorm")
            gate = h @ self._worn(f"{at}.mlp.gate_proj", scales).T
            up = h @ self._worn(f"{at}.mlp.up_proj", scales).T
            x = (
                x
                + (gate / (1 + np.exp(-gate)) * up)
                @ self._worn(f"{at}.mlp.down_proj", scales).T
            )
        head = self._weights.get("lm_head.weight", embedding)
        return self._norm(x, "model.norm") @ head.T

    def _worn(self, path, scales):
        u, s, vt = self._svd[path]
        return (u * (s * scales[path])) @ vt

    def _norm(self, x, path):
        mean = (x**2).mean(axis=-1, keepdims=True)
        return x / np.sqrt(mean + self._eps) * self._weights[f"{path}.weight"]

    def _attend(self, x, at):
        q, k, v = (
            (x @ self._weights[f"{at}.self_attn.{name}_proj.weight"].T)
            .reshape(len(x), heads, -1)
            .swapaxes(0, 1)
            for name, heads in (
                ("q", self._heads),
                ("k", self._heads // self._groups),
                ("v", self._heads // self._groups),
            )
        )
        q, k = self._turn(q), np.repeat(self._turn(k), self._groups, axis=0)
        scores = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])
        scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed = weights @ np.repeat(v, self._groups, axis=0)
        flat = mixed.swapaxes(0, 1).reshape(len(x), -1)
        return flat @ self._weights[f"{at}.self_attn.o_proj.weight"].T

    def _turn(self, x):
        """Rotary positions, the two halves of a head as pairs."""
        half = x.shape[-1] // 2
        angle = np.arange(x.shape[1])[:, None] * self._theta ** (-np.arange(half) / half)
        one, two = x[..., :half], x[..., half:]
        return np.concatenate(
            [
                one * np.cos(angle) - two * np.sin(angle),
                two * np.cos(angle) + one * np.sin(angle),
            ],
            axis=-1,
        )
