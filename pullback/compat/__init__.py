"""Programs written for JAX run on Pullback: the name `jax` is made to mean it.

`python -m pullback run script.py` does so for a whole program; a program or a test that wants it
for itself calls `install()`, or says `with aliased():`.
"""

from pullback.compat.alias import aliased as aliased
from pullback.compat.alias import install as install
from pullback.compat.alias import uninstall as uninstall
