"""`pytest -p pullback.compat.pytest_plugin` runs tests written for JAX on Pullback.

In each of the processes of pytest-xdist, too, which `python -m pullback run -m pytest` would not.
"""

from .alias import install

install(jaxlib=True)
