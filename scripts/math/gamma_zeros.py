#!/usr/bin/env python3
"""The zeros of log |gamma| below 0 that math/lgamma.rs stores, and its other constants: python3 gamma_zeros.py (needs mpmath)"""
from mpmath import digamma, factorial, findroot, log, mp, mpf, pi, polygamma, rgamma

mp.prec = 400


def parts(value, count):
    found = []
    for _ in range(count):
        found.append(float(value))
        value -= mpf(found[-1])
    return "(" + ", ".join(map(repr, found)) + ")"


# Between whole numbers -n - 1 and -n there are two, close to where |x + n| n! = 1, and the same of n + 1.
zeros = []
for n in range(2, 10):
    for guess in (mpf(-n) - 1 / factorial(n), mpf(-n - 1) + 1 / factorial(n + 1)):
        if n == 2:
            guess = mpf("-2.457") if guess > -2.6 else mpf("-2.7477")
        # The reciprocal of gamma is nearly a line there.
        zero = findroot(lambda x: abs(rgamma(x)) - 1, guess, tol=mpf(10) ** -150, verify=False)
        assert -n - 1 < zero < -n and abs(abs(rgamma(zero)) - 1) < mpf(10) ** -100, (n, zero)
        zeros.append(zero)
for zero in zeros:
    away = abs(zero - round(zero))
    print("    (%s, %s, %r, %r)," % (parts(zero, 3), parts(digamma(zero), 2), float(polygamma(1, zero) / 2), 2.0 ** int(log(away, 2) - 33)))
print("log 2", parts(log(mpf(2)) - mpf(0.6931471805598903), 2))
print("pi", parts(pi, 3))
print("log(2 pi)/2", parts(log(2 * pi) / 2, 3))
