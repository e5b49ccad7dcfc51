"""The checker of shapes and types in tests: an int may stand for a float, as Python's type
system has it.
"""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
