"""Special functions: `jax.scipy.special`.

They take integers too, which become floats. Where a formula's own derivative would be nan or lose
its digits (at 0, far out in a tail, at a tie), the function states its derivative.
"""

from .combinatorics import bernoulli as bernoulli
from .combinatorics import boxcox as boxcox
from .combinatorics import boxcox1p as boxcox1p
from .combinatorics import comb as comb
from .combinatorics import hyp1f1 as hyp1f1
from .combinatorics import hyp2f1 as hyp2f1
from .combinatorics import loggamma as loggamma
from .combinatorics import poch as poch
from .functions import beta as beta
from .functions import betainc as betainc
from .functions import betaln as betaln
from .functions import digamma as digamma
from .functions import entr as entr
from .functions import erf as erf
from .functions import erfc as erfc
from .functions import erfinv as erfinv
from .functions import expit as expit
from .functions import factorial as factorial
from .functions import gamma as gamma
from .functions import gammainc as gammainc
from .functions import gammaincc as gammaincc
from .functions import gammaln as gammaln
from .functions import gammasgn as gammasgn
from .functions import i0 as i0
from .functions import i0e as i0e
from .functions import i1 as i1
from .functions import i1e as i1e
from .functions import kl_div as kl_div
from .functions import log_ndtr as log_ndtr
from .functions import log_softmax as log_softmax
from .functions import logit as logit
from .functions import logsumexp as logsumexp
from .functions import multigammaln as multigammaln
from .functions import ndtr as ndtr
from .functions import ndtri as ndtri
from .functions import polygamma as polygamma
from .functions import rel_entr as rel_entr
from .functions import softmax as softmax
from .functions import xlog1py as xlog1py
from .functions import xlogy as xlogy
from .functions import zeta as zeta
from .harmonics import bessel_jn as bessel_jn
from .harmonics import lpmn as lpmn
from .harmonics import lpmn_values as lpmn_values
from .harmonics import sph_harm_y as sph_harm_y
from .integrals import dawsn as dawsn
from .integrals import erfcx as erfcx
from .integrals import exp1 as exp1
from .integrals import expi as expi
from .integrals import expn as expn
from .integrals import fresnel as fresnel
from .integrals import owens_t as owens_t
from .integrals import sici as sici
from .integrals import spence as spence
from .integrals import wofz as wofz

__all__ = [
    "bernoulli",
    "bessel_jn",
    "beta",
    "betainc",
    "betaln",
    "boxcox",
    "boxcox1p",
    "comb",
    "dawsn",
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "exp1",
    "expi",
    "expit",
    "expn",
    "factorial",
    "fresnel",
    "gamma",
    "gammainc",
    "gammaincc",
    "gammaln",
    "gammasgn",
    "hyp1f1",
    "hyp2f1",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "kl_div",
    "log_ndtr",
    "log_softmax",
    "loggamma",
    "logit",
    "logsumexp",
    "multigammaln",
    "ndtr",
    "ndtri",
    "owens_t",
    "poch",
    "polygamma",
    "rel_entr",
    "sici",
    "softmax",
    "spence",
    "sph_harm_y",
    "wofz",
    "xlog1py",
    "xlogy",
    "zeta",
]
