#!/bin/sh
# The output of a script here with its numbers as shortest decimals, which are how they stand in the sources:
#   ./literals.sh exp.sollya
sollya "$1" 2>/dev/null | python3 -c '
import re, sys
number = re.compile(r"-?0x[0-9a-f.]+(?:p-?[0-9]+)?")
for line in sys.stdin:
    print(number.sub(lambda m: repr(float.fromhex(m.group())), line), end="")
'
