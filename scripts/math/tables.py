#!/usr/bin/env python3
"""The rows of ops/tables.rs: python3 tables.py"""
import struct
from decimal import Decimal, getcontext

getcontext().prec = 60


def bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def of_bits(value):
    return struct.unpack("<d", struct.pack("<Q", value))[0]


def show(name, values):
    print(name, "[" + ", ".join("0x%016x" % bits(value) for value in values) + "]")


# 2^(j/8), rounded, and what rounding has taken.
exact = [Decimal(2) ** (Decimal(j) / 8) for j in range(8)]
show("EXP2_HIGH", [float(value) for value in exact])
show("EXP2_LOW", [float(value - Decimal(float(value))) for value in exact])

# Eighths of an octave, from where the one around 1 begins: as far below 1 as above, and so at a place that is a third of an
# eighth's mantissa bits above its lower end.
FIRST = (bits(1.0) - int(2**49 * 2 / 3)) & ~((1 << 32) - 1)
print("FIRST %#x" % FIRST)
inverses, highs, lows = [], [], []
for j in range(8):
    low, high = of_bits(FIRST + j * 2**49), of_bits(FIRST + (j + 1) * 2**49)
    inverse = 1.0 if j == 0 else round(256 / ((low + high) / 2)) / 256
    logarithm = -Decimal(inverse).ln()
    inverses.append(inverse)
    highs.append(float(int((logarithm * 2**42).to_integral_value())) / 2.0**42)
    lows.append(float(logarithm - Decimal(highs[j])))
    print("# %d: f from %.4f to %.4f" % (j, low * inverse - 1, high * inverse - 1))
show("LOG_INVERSE", inverses)
show("LOG_HIGH", highs)
show("LOG_LOW", lows)
