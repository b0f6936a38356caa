"""Implicit differentiation: solutions of equations whose derivatives do not go through the solver.

A solution x(a) of ``F(x, a) = 0`` has the derivative ``dx = -(dF/dx)^-1 dF/da da``, whatever has
found it (the implicit function theorem). So memory does not grow with the number of iterations, the
solver may be anything, and a derivative costs one linear system. References: A. Griewank and
A. Walther, Evaluating Derivatives (2008), chapter 15; M. Blondel et al., "Efficient and modular
implicit differentiation" (2022).
"""

from .adjoints import odeint as odeint
from .convergence import ConvergenceError as ConvergenceError
from .convergence import Info as Info
from .decorator import implicit_diff as implicit_diff
from .fixed_points import fixed_point as fixed_point
from .linear_systems import custom_linear_solve as custom_linear_solve
from .minima import argmin as argmin
from .roots import custom_root as custom_root
