"""Examples of pullback/ops/fft.py."""

from __future__ import annotations

from pullback.ops.fft import FftType, fft

from .base import COMPLEX, WIDE, C, Example, F

BOTH = (FftType.FFT, FftType.IFFT)


def _example(spec, kind, lengths, dtypes, **options):
    params = {"fft_type": kind, "fft_lengths": lengths}
    shape = "x".join(map(str, spec.shape))
    return Example(
        fft,
        [spec],
        params,
        dtypes=dtypes,
        linear_in=(0,),
        id=f"{kind.name}-{shape}-{'x'.join(map(str, lengths))}",
        **options,
    )


def _half(shape):
    return (*shape[:-1], shape[-1] // 2 + 1)


EXAMPLES = [
    *(_example(F(*shape), kind, shape, COMPLEX) for kind in BOTH for shape in ((4,), (5,), (2, 3))),
    *(_example(F(*s), FftType.RFFT, s, WIDE) for s in ((1,), (4,), (5,), (3, 4), (2, 2, 3))),
    *(
        _example(C(*_half(s)), FftType.IRFFT, s, WIDE)
        for s in ((1,), (4,), (5,), (3, 4), (2, 2, 3))
    ),
    _example(F(3, 2, 4), FftType.FFT, (4,), COMPLEX),
    _example(F(3, 2, 4), FftType.RFFT, (4,), WIDE),
    _example(C(2, 3, 3), FftType.IRFFT, (3, 4), WIDE),
    _example(F(0, 4), FftType.RFFT, (4,), WIDE),
    _example(C(0, 3), FftType.IRFFT, (5,), WIDE),
    _example(C(1), FftType.IRFFT, (0,), WIDE, order=0),
    _example(F(2, 0), FftType.FFT, (0,), COMPLEX, order=0),
    _example(
        F(2, 1, 2, 3),
        FftType.FFT,
        (2, 1, 2, 3),
        COMPLEX,
        skip={"jax": "XLA transforms at most three axes at once; test_fft compares with NumPy"},
    ),
]
