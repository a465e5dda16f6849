"""Normal density and distribution function in plain NumPy.

The lower tail is written N(-a) = exp(-a²/2) R(a) for a >= 0, with R one rational function on the whole range.
All its coefficients are positive, so no sum cancels. Every step works element by element: a number does not
depend on the array that it stands in, nor on its place there.
"""

import numpy as np

from margrave.kernels.arrays import F64, Real

# R(a) = P(a) / Q(a) on [0, 40], degrees 9 and 10, relative error 5.4e-17 before rounding. Fitted here by
# iteratively reweighted least squares in 60 digits against erfc(a/√2) exp(a²/2) / 2. Lowest power first.
TAIL_NUMERATOR = (
    142819.42400796822436,
    221511.046396631027,
    169939.21760786750561,
    82827.964121043313243,
    27989.052854808440656,
    6772.6454540153259689,
    1173.4139285583507813,
    140.85588101239817396,
    10.711532829405013423,
    0.39894228040036112779,
)
TAIL_DENOMINATOR = (
    285638.84801593646408,
    670928.91959069090246,
    732382.83754542267326,
    490517.36938583625718,
    223899.34222722582367,
    73045.760916300170665,
    17327.578039024539815,
    2968.1623592040754321,
    354.07333404698404793,
    26.849831054261188853,
    1.0,
)
# P and Q side by side, split by the remainder of the power modulo 4: eight short polynomials in a⁴ then need
# few NumPy calls, which is what a small array pays for. Axes of each: (remainder, [P Q], 1).
_COEFFICIENTS = np.zeros((2, 12))
_COEFFICIENTS[0, : len(TAIL_NUMERATOR)] = TAIL_NUMERATOR
_COEFFICIENTS[1, : len(TAIL_DENOMINATOR)] = TAIL_DENOMINATOR
_BY_POWER_0, _BY_POWER_4, _BY_POWER_8 = np.ascontiguousarray(
    _COEFFICIENTS.reshape(2, 3, 4).transpose(1, 2, 0)
)[..., None]

_FURTHEST = np.asarray(
    40.0
)  # an array: quicker beside another than a plain number; N(-40) is below the smallest float64
_BLOCK = 4096  # elements at a time: the eight partial sums stay in the second-level cache
_ZERO, _MINUS_HALF = np.asarray(0.0), np.asarray(-0.5)
_ROOT_TWO_PI = 2.5066282746310005024


def normal_pdf(x: Real) -> F64:
    """Density of the standard normal distribution.

    Parameters
    ----------
    x : (...) ndarray or float
        Standard deviations from the mean; infinity allowed.

    Returns
    -------
    (...) ndarray
        Density, >= 0.

    Notes
    -----
    NaN gives NaN.
    """
    array = np.minimum(np.abs(np.asarray(x, dtype=np.float64)), _FURTHEST)
    return np.asarray(np.exp(-0.5 * array * array) / _ROOT_TWO_PI)


def normal_cdf(x: Real) -> F64:
    """Probability that a standard normal variable is at most x.

    Parameters
    ----------
    x : (...) ndarray or float
        Standard deviations from the mean; infinity allowed.

    Returns
    -------
    (...) ndarray
        Probability in [0, 1].

    Notes
    -----
    Absolute error about 2e-16; relative error in the lower tail below 1e-13 down to 1e-300. N(x) + N(-x) = 1
    but for the rounding of the subtraction. NaN gives NaN.
    """
    array = np.asarray(x, dtype=np.float64)
    flat = array.reshape(-1)
    if flat.size <= _BLOCK:
        return _cdf_block(flat).reshape(array.shape)
    result = np.empty_like(flat)
    for first in range(0, flat.size, _BLOCK):
        result[first : first + _BLOCK] = _cdf_block(flat[first : first + _BLOCK])
    return result.reshape(array.shape)


def _cdf_block(x: F64) -> F64:
    distance = np.abs(x)
    np.minimum(distance, _FURTHEST, out=distance)
    square = distance * distance
    fourth = square * square
    sums = _BY_POWER_8 * fourth
    sums += _BY_POWER_4
    sums *= fourth
    sums += _BY_POWER_0
    halves = sums[2:]
    halves *= square
    halves += sums[:2]
    odd = halves[1]
    odd *= distance
    odd += halves[0]
    square *= _MINUS_HALF
    tail = np.exp(square, out=square)
    tail *= odd[0]
    tail /= odd[1]
    return np.asarray(np.abs((x >= _ZERO) - tail))  # N(x) = 1 - N(-x)


# Wichura's AS 241 (PPND16), relative accuracy about 1e-16. Numerators and denominators, lowest power first.
_CENTRE = (
    (
        3.3871328727963666080e0,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    ),
    (
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    ),
)
_NEAR = (
    (
        1.42343711074968357734e0,
        4.63033784615654529590e0,
        5.76949722146069140550e0,
        3.64784832476320460504e0,
        1.27045825245236838258e0,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    ),
    (
        1.0,
        2.05319162663775882187e0,
        1.67638483018380384940e0,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)
_FAR = (
    (
        6.65790464350110377720e0,
        5.46378491116411436990e0,
        1.78482653991729133580e0,
        2.96560571828504891230e-1,
        2.65321895265761230930e-2,
        1.24266094738807843860e-3,
        2.71155556874348757815e-5,
        2.01033439929228813265e-7,
    ),
    (
        1.0,
        5.99832206555887937690e-1,
        1.36929880922735805310e-1,
        1.48753612908506148525e-2,
        7.86869131145613259100e-4,
        1.84631831751005468180e-5,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ),
)
_SPLIT, _SPLIT_SQUARE, _SPLIT_ROOT, _NEAR_AT = 0.425, 0.180625, 5.0, 1.6


def normal_quantile(probability: Real) -> F64:
    """Value that a standard normal variable stays at or below with a probability.

    Parameters
    ----------
    probability : (...) ndarray or float
        In [0, 1]; 0 and 1 give minus and plus infinity.

    Returns
    -------
    (...) ndarray
        Inverse of `normal_cdf`, relative error about 1e-16.

    Notes
    -----
    NaN, and what is no probability, give NaN.

    References
    ----------
    Wichura 1988, algorithm AS 241.
    """
    p = np.asarray(probability, dtype=np.float64)
    flat = p.reshape(-1)
    q = flat - 0.5
    out = q * _ratio(_CENTRE, _SPLIT_SQUARE - q * q)
    far = np.flatnonzero(~(np.abs(q) <= _SPLIT))
    if far.size:
        tail = np.where(q[far] < 0.0, flat[far], 1.0 - flat[far])
        with np.errstate(invalid="ignore", divide="ignore"):
            r = np.sqrt(-np.log(tail))
        finite = np.where(np.isfinite(r), r, _SPLIT_ROOT)
        near = _ratio(_NEAR, np.minimum(finite, _SPLIT_ROOT) - _NEAR_AT)
        size = np.where(finite <= _SPLIT_ROOT, near, _ratio(_FAR, finite - _SPLIT_ROOT))
        out[far] = np.copysign(np.where(np.isfinite(r), size, r), q[far])
    return out.reshape(p.shape)


def _ratio(terms: tuple[tuple[float, ...], tuple[float, ...]], x: F64) -> F64:
    above, below = np.full_like(x, terms[0][-1]), np.full_like(x, terms[1][-1])
    for up, down in zip(terms[0][-2::-1], terms[1][-2::-1], strict=True):
        above = above * x + up
        below = below * x + down
    return above / below
