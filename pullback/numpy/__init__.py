"""The NumPy-style functions: `import pullback.numpy as jnp`. Every public name, and nothing else."""

from __future__ import annotations

from . import linalg as linalg
from . import operators as _operators
from .arithmetic import (
    abs as abs,
)
from .arithmetic import (
    absolute as absolute,
)
from .arithmetic import (
    add as add,
)
from .arithmetic import (
    angle as angle,
)
from .arithmetic import (
    clip as clip,
)
from .arithmetic import (
    conj as conj,
)
from .arithmetic import (
    conjugate as conjugate,
)
from .arithmetic import (
    divide as divide,
)
from .arithmetic import (
    divmod as divmod,
)
from .arithmetic import (
    fabs as fabs,
)
from .arithmetic import (
    float_power as float_power,
)
from .arithmetic import (
    floor_divide as floor_divide,
)
from .logic import (
    fmax as fmax,
)
from .logic import (
    fmin as fmin,
)
from .arithmetic import (
    fmod as fmod,
)
from .arithmetic import (
    gcd as gcd,
)
from .arithmetic import (
    heaviside as heaviside,
)
from .arithmetic import (
    imag as imag,
)
from .arithmetic import (
    lcm as lcm,
)
from .arithmetic import (
    maximum as maximum,
)
from .arithmetic import (
    minimum as minimum,
)
from .arithmetic import (
    mod as mod,
)
from .arithmetic import (
    multiply as multiply,
)
from .arithmetic import (
    negative as negative,
)
from .arithmetic import (
    positive as positive,
)
from .arithmetic import (
    pow as pow,
)
from .arithmetic import (
    power as power,
)
from .arithmetic import (
    real as real,
)
from .arithmetic import (
    reciprocal as reciprocal,
)
from .arithmetic import (
    remainder as remainder,
)
from .arithmetic import (
    sign as sign,
)
from .arithmetic import (
    square as square,
)
from .arithmetic import (
    subtract as subtract,
)
from .arithmetic import (
    true_divide as true_divide,
)
from .averages import (
    average as average,
)
from .averages import (
    mean as mean,
)
from .averages import (
    std as std,
)
from .averages import (
    var as var,
)
from .contraction import (
    cross as cross,
)
from .contraction import (
    dot as dot,
)
from .contraction import (
    inner as inner,
)
from .contraction import (
    kron as kron,
)
from .contraction import (
    matmul as matmul,
)
from .contraction import (
    matvec as matvec,
)
from .contraction import (
    outer as outer,
)
from .contraction import (
    tensordot as tensordot,
)
from .contraction import (
    trace as trace,
)
from .contraction import (
    vdot as vdot,
)
from .contraction import (
    vecdot as vecdot,
)
from .contraction import (
    vecmat as vecmat,
)
from .conversion import (
    array as array,
)
from .conversion import (
    array_repr as array_repr,
)
from .conversion import (
    array_str as array_str,
)
from .conversion import (
    asarray as asarray,
)
from .conversion import (
    astype as astype,
)
from .conversion import (
    copy as copy,
)
from .conversion import (
    from_dlpack as from_dlpack,
)
from .conversion import (
    frombuffer as frombuffer,
)
from .conversion import (
    fromfile as fromfile,
)
from .conversion import (
    fromiter as fromiter,
)
from .conversion import (
    fromstring as fromstring,
)
from .conversion import (
    load as load,
)
from .conversion import (
    save as save,
)
from .conversion import (
    savez as savez,
)
from .creation import (
    arange as arange,
)
from .creation import (
    empty as empty,
)
from .creation import (
    empty_like as empty_like,
)
from .creation import (
    fromfunction as fromfunction,
)
from .creation import (
    full as full,
)
from .creation import (
    full_like as full_like,
)
from .creation import (
    geomspace as geomspace,
)
from .creation import (
    indices as indices,
)
from .creation import (
    linspace as linspace,
)
from .creation import (
    logspace as logspace,
)
from .creation import (
    meshgrid as meshgrid,
)
from .creation import (
    ones as ones,
)
from .creation import (
    ones_like as ones_like,
)
from .creation import (
    zeros as zeros,
)
from .creation import (
    zeros_like as zeros_like,
)
from .cumulative import (
    cumprod as cumprod,
)
from .cumulative import (
    cumsum as cumsum,
)
from .cumulative import (
    cumulative_prod as cumulative_prod,
)
from .cumulative import (
    cumulative_sum as cumulative_sum,
)
from .cumulative import (
    diff as diff,
)
from .cumulative import (
    ediff1d as ediff1d,
)
from .cumulative import (
    gradient as gradient,
)
from .cumulative import (
    nancumprod as nancumprod,
)
from .cumulative import (
    nancumsum as nancumsum,
)
from .cumulative import (
    trapezoid as trapezoid,
)
from .cumulative import (
    unwrap as unwrap,
)
from .diagonals import (
    diag as diag,
)
from .diagonals import (
    diagflat as diagflat,
)
from .diagonals import (
    diagonal as diagonal,
)
from .diagonals import (
    eye as eye,
)
from .diagonals import (
    identity as identity,
)
from .diagonals import (
    tri as tri,
)
from .diagonals import (
    tril as tril,
)
from .diagonals import (
    triu as triu,
)
from .diagonals import (
    vander as vander,
)
from .editing import (
    delete as delete,
)
from .editing import (
    insert as insert,
)
from .editing import (
    packbits as packbits,
)
from .editing import (
    resize as resize,
)
from .editing import (
    trim_zeros as trim_zeros,
)
from .editing import (
    unpackbits as unpackbits,
)
from .einsum import (
    einsum as einsum,
)
from .einsum import (
    einsum_path as einsum_path,
)
from .floats import (
    ceil as ceil,
)
from .floats import (
    copysign as copysign,
)
from .floats import (
    fix as fix,
)
from .floats import (
    floor as floor,
)
from .floats import (
    frexp as frexp,
)
from .floats import (
    ldexp as ldexp,
)
from .floats import (
    modf as modf,
)
from .floats import (
    nan_to_num as nan_to_num,
)
from .floats import (
    nextafter as nextafter,
)
from .floats import (
    rint as rint,
)
from .floats import (
    round as around,
)
from .floats import (
    round as round,
)
from .floats import (
    signbit as signbit,
)
from .floats import (
    spacing as spacing,
)
from .floats import (
    trunc as trunc,
)
from .functional import (
    apply_along_axis as apply_along_axis,
)
from .functional import (
    apply_over_axes as apply_over_axes,
)
from .functional import (
    piecewise as piecewise,
)
from .functional import (
    vectorize as vectorize,
)
from .functions import (
    acos as acos,
)
from .functions import (
    acosh as acosh,
)
from .functions import (
    arccos as arccos,
)
from .functions import (
    arccosh as arccosh,
)
from .functions import (
    arcsin as arcsin,
)
from .functions import (
    arcsinh as arcsinh,
)
from .functions import (
    arctan as arctan,
)
from .functions import (
    arctan2 as arctan2,
)
from .functions import (
    arctanh as arctanh,
)
from .functions import (
    asin as asin,
)
from .functions import (
    asinh as asinh,
)
from .functions import (
    atan as atan,
)
from .functions import (
    atan2 as atan2,
)
from .functions import (
    atanh as atanh,
)
from .functions import (
    cbrt as cbrt,
)
from .functions import (
    cos as cos,
)
from .functions import (
    cosh as cosh,
)
from .functions import (
    deg2rad as deg2rad,
)
from .functions import (
    degrees as degrees,
)
from .functions import (
    exp as exp,
)
from .functions import (
    exp2 as exp2,
)
from .functions import (
    expm1 as expm1,
)
from .functions import (
    hypot as hypot,
)
from .functions import (
    i0 as i0,
)
from .functions import (
    log as log,
)
from .functions import (
    log1p as log1p,
)
from .functions import (
    log2 as log2,
)
from .functions import (
    log10 as log10,
)
from .functions import (
    logaddexp as logaddexp,
)
from .functions import (
    logaddexp2 as logaddexp2,
)
from .functions import (
    rad2deg as rad2deg,
)
from .functions import (
    radians as radians,
)
from .functions import (
    sin as sin,
)
from .functions import (
    sinc as sinc,
)
from .functions import (
    sinh as sinh,
)
from .functions import (
    sqrt as sqrt,
)
from .functions import (
    tan as tan,
)
from .functions import (
    tanh as tanh,
)
from .grids import (
    c_ as c_,
)
from .grids import (
    index_exp as index_exp,
)
from .grids import (
    mgrid as mgrid,
)
from .grids import (
    ogrid as ogrid,
)
from .grids import (
    r_ as r_,
)
from .grids import (
    s_ as s_,
)
from .histograms import (
    bincount as bincount,
)
from .histograms import (
    histogram as histogram,
)
from .histograms import (
    histogram2d as histogram2d,
)
from .histograms import (
    histogram_bin_edges as histogram_bin_edges,
)
from .histograms import (
    histogramdd as histogramdd,
)
from .joining import (
    append as append,
)
from .joining import (
    array_split as array_split,
)
from .joining import (
    block as block,
)
from .joining import (
    column_stack as column_stack,
)
from .joining import (
    concat as concat,
)
from .joining import (
    concatenate as concatenate,
)
from .joining import (
    dsplit as dsplit,
)
from .joining import (
    dstack as dstack,
)
from .joining import (
    hsplit as hsplit,
)
from .joining import (
    hstack as hstack,
)
from .joining import (
    repeat as repeat,
)
from .joining import (
    split as split,
)
from .joining import (
    stack as stack,
)
from .joining import (
    tile as tile,
)
from .joining import (
    unstack as unstack,
)
from .joining import (
    vsplit as vsplit,
)
from .joining import (
    vstack as vstack,
)
from .logic import (
    allclose as allclose,
)
from .logic import (
    array_equal as array_equal,
)
from .logic import (
    array_equiv as array_equiv,
)
from .logic import (
    bitwise_and as bitwise_and,
)
from .logic import (
    bitwise_count as bitwise_count,
)
from .logic import (
    bitwise_invert as bitwise_invert,
)
from .logic import (
    bitwise_left_shift as bitwise_left_shift,
)
from .logic import (
    bitwise_not as bitwise_not,
)
from .logic import (
    bitwise_or as bitwise_or,
)
from .logic import (
    bitwise_right_shift as bitwise_right_shift,
)
from .logic import (
    bitwise_xor as bitwise_xor,
)
from .logic import (
    equal as equal,
)
from .logic import (
    greater as greater,
)
from .logic import (
    greater_equal as greater_equal,
)
from .logic import (
    invert as invert,
)
from .logic import (
    isclose as isclose,
)
from .logic import (
    iscomplex as iscomplex,
)
from .logic import (
    isfinite as isfinite,
)
from .logic import (
    isinf as isinf,
)
from .logic import (
    isnan as isnan,
)
from .logic import (
    isneginf as isneginf,
)
from .logic import (
    isposinf as isposinf,
)
from .logic import (
    isreal as isreal,
)
from .logic import (
    left_shift as left_shift,
)
from .logic import (
    less as less,
)
from .logic import (
    less_equal as less_equal,
)
from .logic import (
    logical_and as logical_and,
)
from .logic import (
    logical_not as logical_not,
)
from .logic import (
    logical_or as logical_or,
)
from .logic import (
    logical_xor as logical_xor,
)
from .logic import (
    not_equal as not_equal,
)
from .logic import (
    right_shift as right_shift,
)
from .nan_reductions import (
    nanargmax as nanargmax,
)
from .nan_reductions import (
    nanargmin as nanargmin,
)
from .nan_reductions import (
    nanmax as nanmax,
)
from .nan_reductions import (
    nanmean as nanmean,
)
from .nan_reductions import (
    nanmin as nanmin,
)
from .nan_reductions import (
    nanprod as nanprod,
)
from .nan_reductions import (
    nanstd as nanstd,
)
from .nan_reductions import (
    nansum as nansum,
)
from .nan_reductions import (
    nanvar as nanvar,
)
from .ordering import (
    argpartition as argpartition,
)
from .ordering import (
    argsort as argsort,
)
from .ordering import (
    digitize as digitize,
)
from .ordering import (
    interp as interp,
)
from .ordering import (
    lexsort as lexsort,
)
from .ordering import (
    partition as partition,
)
from .ordering import (
    searchsorted as searchsorted,
)
from .ordering import (
    sort as sort,
)
from .ordering import (
    sort_complex as sort_complex,
)
from .padding import (
    pad as pad,
)
from .polynomials import (
    poly as poly,
)
from .polynomials import (
    polyadd as polyadd,
)
from .polynomials import (
    polyder as polyder,
)
from .polynomials import (
    polydiv as polydiv,
)
from .polynomials import (
    polyint as polyint,
)
from .polynomials import (
    polymul as polymul,
)
from .polynomials import (
    polysub as polysub,
)
from .polynomials import (
    polyval as polyval,
)
from .positions import (
    diag_indices as diag_indices,
)
from .positions import (
    diag_indices_from as diag_indices_from,
)
from .positions import (
    ix_ as ix_,
)
from .positions import (
    mask_indices as mask_indices,
)
from .positions import (
    ravel_multi_index as ravel_multi_index,
)
from .positions import (
    tril_indices as tril_indices,
)
from .positions import (
    tril_indices_from as tril_indices_from,
)
from .positions import (
    triu_indices as triu_indices,
)
from .positions import (
    triu_indices_from as triu_indices_from,
)
from .positions import (
    unravel_index as unravel_index,
)
from .reductions import (
    all as all,
)
from .reductions import (
    amax as amax,
)
from .reductions import (
    amin as amin,
)
from .reductions import (
    any as any,
)
from .reductions import (
    argmax as argmax,
)
from .reductions import (
    argmin as argmin,
)
from .reductions import (
    count_nonzero as count_nonzero,
)
from .reductions import (
    max as max,
)
from .reductions import (
    min as min,
)
from .reductions import (
    prod as prod,
)
from .reductions import (
    ptp as ptp,
)
from .reductions import (
    sum as sum,
)
from .selecting import (
    argwhere as argwhere,
)
from .selecting import (
    choose as choose,
)
from .selecting import (
    compress as compress,
)
from .selecting import (
    extract as extract,
)
from .selecting import (
    flatnonzero as flatnonzero,
)
from .selecting import (
    nonzero as nonzero,
)
from .selecting import (
    place as place,
)
from .selecting import (
    select as select,
)
from .selecting import (
    where as where,
)
from .sets import (
    intersect1d as intersect1d,
)
from .sets import (
    isin as isin,
)
from .sets import (
    setdiff1d as setdiff1d,
)
from .sets import (
    setxor1d as setxor1d,
)
from .sets import (
    union1d as union1d,
)
from .sets import (
    unique as unique,
)
from .sets import (
    unique_all as unique_all,
)
from .sets import (
    unique_counts as unique_counts,
)
from .sets import (
    unique_inverse as unique_inverse,
)
from .sets import (
    unique_values as unique_values,
)
from .shaping import (
    atleast_1d as atleast_1d,
)
from .shaping import (
    atleast_2d as atleast_2d,
)
from .shaping import (
    atleast_3d as atleast_3d,
)
from .shaping import (
    broadcast_arrays as broadcast_arrays,
)
from .shaping import (
    broadcast_shapes as broadcast_shapes,
)
from .shaping import (
    broadcast_to as broadcast_to,
)
from .shaping import (
    expand_dims as expand_dims,
)
from .shaping import (
    flip as flip,
)
from .shaping import (
    fliplr as fliplr,
)
from .shaping import (
    flipud as flipud,
)
from .shaping import (
    matrix_transpose as matrix_transpose,
)
from .shaping import (
    moveaxis as moveaxis,
)
from .shaping import (
    permute_dims as permute_dims,
)
from .shaping import (
    ravel as ravel,
)
from .shaping import (
    reshape as reshape,
)
from .shaping import (
    roll as roll,
)
from .shaping import (
    rollaxis as rollaxis,
)
from .shaping import (
    rot90 as rot90,
)
from .shaping import (
    squeeze as squeeze,
)
from .shaping import (
    swapaxes as swapaxes,
)
from .shaping import (
    transpose as transpose,
)
from .signals import (
    bartlett as bartlett,
)
from .signals import (
    blackman as blackman,
)
from .signals import (
    convolve as convolve,
)
from .signals import (
    correlate as correlate,
)
from .signals import (
    hamming as hamming,
)
from .signals import (
    hanning as hanning,
)
from .signals import (
    kaiser as kaiser,
)
from .statistics import (
    corrcoef as corrcoef,
)
from .statistics import (
    cov as cov,
)
from .statistics import (
    median as median,
)
from .statistics import (
    nanmedian as nanmedian,
)
from .statistics import (
    nanpercentile as nanpercentile,
)
from .statistics import (
    nanquantile as nanquantile,
)
from .statistics import (
    percentile as percentile,
)
from .statistics import (
    quantile as quantile,
)
from .taking import (
    fill_diagonal as fill_diagonal,
)
from .taking import (
    put as put,
)
from .taking import (
    put_along_axis as put_along_axis,
)
from .taking import (
    take as take,
)
from .taking import (
    take_along_axis as take_along_axis,
)
from .types import (
    bfloat16 as bfloat16,
)
from .types import (
    bool as bool,
)
from .types import (
    bool_ as bool_,
)
from .types import (
    can_cast as can_cast,
)
from .types import (
    cdouble as cdouble,
)
from .types import (
    character as character,
)
from .types import (
    complex64 as complex64,
)
from .types import (
    complex128 as complex128,
)
from .types import (
    complex_ as complex_,
)
from .types import (
    complexfloating as complexfloating,
)
from .types import (
    csingle as csingle,
)
from .types import (
    double as double,
)
from .types import (
    dtype as dtype,
)
from .types import (
    e as e,
)
from .types import (
    euler_gamma as euler_gamma,
)
from .types import (
    finfo as finfo,
)
from .types import (
    flexible as flexible,
)
from .types import (
    float8_e3m4 as float8_e3m4,
)
from .types import (
    float8_e4m3 as float8_e4m3,
)
from .types import (
    float8_e4m3b11fnuz as float8_e4m3b11fnuz,
)
from .types import (
    float8_e4m3fn as float8_e4m3fn,
)
from .types import (
    float8_e4m3fnuz as float8_e4m3fnuz,
)
from .types import (
    float8_e5m2 as float8_e5m2,
)
from .types import (
    float8_e5m2fnuz as float8_e5m2fnuz,
)
from .types import (
    float8_e8m0fnu as float8_e8m0fnu,
)
from .types import (
    float16 as float16,
)
from .types import (
    float32 as float32,
)
from .types import (
    float64 as float64,
)
from .types import (
    float_ as float_,
)
from .types import (
    floating as floating,
)
from .types import (
    generic as generic,
)
from .types import (
    get_printoptions as get_printoptions,
)
from .types import (
    iinfo as iinfo,
)
from .types import (
    inexact as inexact,
)
from .types import (
    inf as inf,
)
from .types import (
    int2 as int2,
)
from .types import (
    int4 as int4,
)
from .types import (
    int8 as int8,
)
from .types import (
    int16 as int16,
)
from .types import (
    int32 as int32,
)
from .types import (
    int64 as int64,
)
from .types import (
    int_ as int_,
)
from .types import (
    integer as integer,
)
from .types import (
    iscomplexobj as iscomplexobj,
)
from .types import (
    isdtype as isdtype,
)
from .types import (
    isrealobj as isrealobj,
)
from .types import (
    isscalar as isscalar,
)
from .types import (
    issubdtype as issubdtype,
)
from .types import (
    nan as nan,
)
from .types import (
    ndarray as ndarray,
)
from .types import (
    ndim as ndim,
)
from .types import (
    newaxis as newaxis,
)
from .types import (
    number as number,
)
from .types import (
    object_ as object_,
)
from .types import (
    pi as pi,
)
from .types import (
    printoptions as printoptions,
)
from .types import (
    promote_types as promote_types,
)
from .types import (
    result_type as result_type,
)
from .types import (
    set_printoptions as set_printoptions,
)
from .types import (
    shape as shape,
)
from .types import (
    signedinteger as signedinteger,
)
from .types import (
    single as single,
)
from .types import (
    size as size,
)
from .types import (
    uint as uint,
)
from .types import (
    uint2 as uint2,
)
from .types import (
    uint4 as uint4,
)
from .types import (
    uint8 as uint8,
)
from .types import (
    uint16 as uint16,
)
from .types import (
    uint32 as uint32,
)
from .types import (
    uint64 as uint64,
)
from .types import (
    unsignedinteger as unsignedinteger,
)
