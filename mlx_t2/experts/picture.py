"""A picture of what experts change. Knows experts; needs matplotlib (extra `plots`)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlx_t2.errors import ConfigError
from mlx_t2.files import fill_whole

from .expert import Expert
from .likeness import deviation_map, kinds_of


def draw_deviations(experts: Sequence[Expert], path: Path) -> None:
    """Draw z − 1 as a picture: a row of panels per expert, one for each kind of matrix; layers
    downwards, singular values to the right, the largest first.

    All panels have one scale, so that experts can be compared.
    Raises: ConfigError without matplotlib; FileError where the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "plot: matplotlib is not installed. pip install 'mlx_t2[plots]'"
        ) from error
    kinds = sorted({kind for expert in experts for kind in kinds_of(expert)})
    size = (1 + 3.2 * len(kinds), 0.6 + 2.2 * len(experts))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(experts), len(kinds), squeeze=False)
    maps = {
        (i, kind): deviation_map(expert, kind)
        for i, expert in enumerate(experts)
        for kind in kinds_of(expert)
    }
    largest = max(float(np.nanmax(np.abs(one))) for one in maps.values()) or 1.0
    image = None
    for (i, kind), one in maps.items():
        axes = panels[i, kinds.index(kind)]
        image = axes.imshow(
            one, aspect="auto", cmap="RdBu_r", vmin=-largest, vmax=largest, rasterized=True
        )
        axes.set_title(f"{experts[i].name}: {kind}", fontsize=8)
        axes.set_xlabel("singular value", fontsize=7)
        axes.set_ylabel("layer", fontsize=7)
    if image is not None:
        figure.colorbar(image, ax=panels, label="z − 1")
    kind_of_file = path.suffix.removeprefix(".") or "png"
    fill_whole(path, lambda file: figure.savefig(file, dpi=120, format=kind_of_file))
