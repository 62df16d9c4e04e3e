"""Tells whether differences between paired scores mean anything: Wilcoxon's signed-rank test."""

import numpy as np

_INSTALL = 'pip install "scipy>=1.14,<2"'
_EXACT_UP_TO = 50  # differences; above, the normal approximation is as good
_PERMUTED_UP_TO = 13  # differences with ties, whose 2^13 signs can be tried one by one


def signed_rank_test(differences):
    """Tests whether paired differences lie on both sides of zero alike: Wilcoxon's signed ranks.

    Differences of zero are left out, as Wilcoxon did. The distribution under "neither is better" is
    exact up to 50 differences without ties among their sizes, or 13 with; above, it is taken for
    normal, with the correction for ties.

    Args:
        differences: Array ``(n,)``, one for each image; infinite ones rank highest.

    Returns:
        ``(p, method)``: the two-sided p-value, or None where no difference is other than zero, and
        how it was found: ``"exact"``, ``"normal approximation"`` or ``"not defined"``.

    Raises:
        ValueError: If a difference is NaN.
        ImportError: If SciPy is missing.

    Example:
        >>> signed_rank_test([1.0, 2.0, 3.0, 0.0])  # all signs alike: 2 of 2^3 cases
        (0.25, 'exact')

    Reference:
        Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1 (1945).

    Note:
        The normal approximation has no correction for continuity, as SciPy's by default.
    """
    stats = scipy_stats()
    differences = np.asarray(differences, dtype=float)
    if np.isnan(differences).any():
        raise ValueError("expected differences without NaN; leave those images out")
    differences = differences[differences != 0]
    if not differences.size:
        return None, "not defined"
    tied = np.unique(np.abs(differences)).size < differences.size
    if not tied and differences.size <= _EXACT_UP_TO:
        method, words = "exact", "exact"
    elif differences.size <= _PERMUTED_UP_TO:
        method = stats.PermutationMethod(n_resamples=2**_PERMUTED_UP_TO)
        words = "exact"
    else:
        method, words = "asymptotic", "normal approximation"
    return float(stats.wilcoxon(differences, method=method).pvalue), words


def p_text(p):
    """Formats a p-value in two digits; a dash where it is not defined.

    Args:
        p: Number in [0, 1], or None.

    Example:
        >>> p_text(0.03125), p_text(4.2e-9), p_text(None)
        ('0.031', '4.2e-09', '-')
    """
    return "-" if p is None else f"{p:.2g}"


def scipy_stats():
    """Imports SciPy's statistics, which nothing else in the library needs.

    Returns:
        The module `scipy.stats`.

    Raises:
        ImportError: If SciPy is missing; tells how to install it.

    Example:
        >>> scipy_stats().__name__
        'scipy.stats'
    """
    try:
        from scipy import stats
    except ImportError as error:
        raise ImportError(
            f"Comparing models needs SciPy, for its signed-rank test: {_INSTALL}"
        ) from error
    return stats
