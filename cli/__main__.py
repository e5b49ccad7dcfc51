"""`python -m mlx_t2_cli` is `t2`."""

from .start import main

main()
