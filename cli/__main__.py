"""`python -m mlx_t2_cli` is `t2`."""

from .main import main

main()
