"""Pullback: differentiate, vectorise and compile Python functions of arrays. The public names."""

__version__ = "0.1.0"
