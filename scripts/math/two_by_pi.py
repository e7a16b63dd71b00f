#!/usr/bin/env python3
"""The bits of 2/pi in math/trig.rs: python3 two_by_pi.py (wants mpmath)"""
import mpmath

WORDS = 20
mpmath.mp.prec = 64 * WORDS + 200
digits = int(mpmath.floor(2 / mpmath.pi * mpmath.mpf(2) ** (64 * WORDS)))
for i in range(WORDS):
    print("0x%016x," % (digits >> 64 * (WORDS - 1 - i) & (2**64 - 1)))
