"""Functions of SciPy, with derivatives: `jax.scipy`. A part is imported when it is first used."""

from ..core.lazy import submodules

__getattr__, __dir__ = submodules(
    __name__,
    [
        "cluster",
        "fft",
        "integrate",
        "interpolate",
        "linalg",
        "ndimage",
        "optimize",
        "signal",
        "sparse",
        "spatial",
        "special",
        "stats",
    ],
)
