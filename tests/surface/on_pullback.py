"""The pytest plugin under which suites.py runs libraries' tests on Pullback.

As pullback.compat.pytest_plugin, but for one thing: a test of chex runs all exit handlers in the
middle of its session, and optree's would forget what containers there are. JAX's trees do not do
that, so the handler is left out.
"""

import atexit

register, atexit.register = atexit.register, lambda function, *args, **kwargs: function
import optree  # noqa: E402, F401

atexit.register = register
import pullback.compat.pytest_plugin  # noqa: E402, F401
