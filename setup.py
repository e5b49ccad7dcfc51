"""The packages: every room of the library, and cli/ under the name mlx_t2_cli. All else is in
pyproject.toml.
"""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["mlx_t2", "mlx_t2.*"]), "mlx_t2_cli"])
