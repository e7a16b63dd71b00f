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

# Arctangents of j/8, to multiples of 2^-49 as the float next to pi is one, and what is left of them.
def arctangent(value):
    # atan(v) = 2 atan(v / (1 + sqrt(1 + v^2))), until the series is short.
    halvings = 0
    while value > Decimal("0.01"):
        value = value / (1 + (1 + value * value).sqrt())
        halvings += 1
    term, total, n = value, Decimal(0), 1
    while abs(term) > Decimal(10) ** -58:
        total += term / n if n % 4 == 1 else -term / n
        term *= value * value
        n += 2
    return total * 2**halvings


exact = [arctangent(Decimal(j) / 8) for j in range(8)]
highs = [float(int((value * 2**49).to_integral_value())) / 2.0**49 for value in exact]
show("ATAN_HIGH", highs)
show("ATAN_LOW", [float(value - Decimal(high)) for value, high in zip(exact, highs)])

# 2^(-j/3), rounded; only three are ever looked up.
show("CBRT_INVERSE", [float(Decimal(2) ** (-Decimal(j) / 3)) for j in range(3)] + [1.0] * 5)

# 2^(-j/8) / 16, rounded, and what rounding has taken.
exact = [Decimal(2) ** (Decimal(-j) / 8) / 16 for j in range(8)]
show("EXP2_DOWN_HIGH", [float(value) for value in exact])
show("EXP2_DOWN_LOW", [float(value - Decimal(float(value))) for value in exact])
