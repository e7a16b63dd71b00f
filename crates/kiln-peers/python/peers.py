"""Kiln beside the engines that Python programs use: NumPy, numexpr, numba, Polars, DuckDB.

The one idea: `kiln-peers serve` measures Kiln and the compilers on request, so both programs take turns within one run, over
the same formulas (`kiln-peers print`) and the same inputs (`results`). All use one thread.

    python3 -m venv target/peers-python
    target/peers-python/bin/pip install -r crates/kiln-peers/python/requirements.txt
    cargo build --release -p kiln-peers
    target/peers-python/bin/python crates/kiln-peers/python/peers.py --markdown
"""

import os

# Before the libraries are loaded, which look at these once.
for name in ("OMP_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMEXPR_MAX_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
# A sample lasts at least so long, in seconds.
SPAN = 1e-3
# What takes longer in one pass is measured in three rounds.
LONG = 0.5
ULP_ROWS = 4096


class Program:
    """The Rust side, which answers line by line."""

    def __init__(self, path, arguments):
        self.path = str(path)
        self.process = subprocess.Popen(
            [self.path, "serve", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer or answer.startswith("error"):
            sys.exit(f"kiln-peers: {line}: {answer or 'it has ended'}")
        return answer

    def formulas(self, syntax, arguments):
        text = subprocess.run(
            [self.path, "print", syntax, *arguments], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        return {formula["name"]: formula for formula in json.loads(text)}


def scope_function(formula, scope):
    """The formula as a Python function of its inputs."""
    source = f"def formula({', '.join(formula['inputs'])}):\n  {formula['lets']}return {formula['result']}\n"
    exec(source, scope)
    return scope["formula"]


def with_numpy(formula, columns, out):
    function = scope_function(formula, {"np": np})

    def run():
        return function(*columns)

    return run


def with_numexpr(formula, columns, out):
    import numexpr

    numexpr.set_num_threads(1)
    inputs = dict(zip(formula["inputs"], columns))
    text = formula["result"]

    def run():
        return numexpr.evaluate(text, local_dict=inputs, out=out)

    return run


def with_numba(fastmath):
    def make(formula, columns, out):
        import numba

        compiled = numba.njit(fastmath=fastmath, error_model="numpy", inline="always")
        pick = compiled(lambda c, a, b: a if c else b)
        function = compiled(scope_function(formula, {"np": np, "pick": pick}))
        names = formula["inputs"]
        rows = ", ".join(f"{name}[row]" for name in names)
        scope = {"function": function}
        exec(
            f"def loop(out, {', '.join(names)}):\n  for row in range(out.size):\n    out[row] = function({rows})\n", scope
        )
        loop = numba.njit(fastmath=fastmath, error_model="numpy")(scope["loop"])

        def run():
            loop(out, *columns)
            return out

        return run

    return make


def with_polars(formula, columns, out):
    import polars as pl

    if formula["expanded"] is None:
        raise ValueError("it would write out all definitions")
    frame = pl.DataFrame(dict(zip(formula["inputs"], columns)))
    scope = {"pl": pl, **{name: pl.col(name) for name in formula["inputs"]}}
    exec(formula["lets"] + "formula = " + formula["result"], scope)
    expression = scope["formula"].alias("formula")

    def run():
        return frame.select(expression)["formula"].to_numpy()

    return run


def with_duckdb(formula, columns, out):
    import duckdb
    import pyarrow

    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    table = pyarrow.table(dict(zip(formula["inputs"], columns)))
    connection.register("given", table)
    connection.execute("CREATE TABLE inputs AS SELECT * FROM given")
    text = f"SELECT {formula['result']} AS formula FROM inputs"

    def run():
        return connection.execute(text).fetchnumpy()["formula"]

    return run


# Name, syntax, maker.
ENGINES = [
    ("numpy", "numpy", with_numpy),
    ("numexpr", "numexpr", with_numexpr),
    ("numba", "numba", with_numba(False)),
    ("numba-fast", "numba", with_numba(True)),
    ("polars", "polars", with_polars),
    ("duckdb", "duckdb", with_duckdb),
]
NATIVE = ["kiln", "kiln-fast", "kiln-blocks", "rustc", "gcc", "gcc-fast", "clang", "clang-fast", "kiln-again"]


def sample(run, repeats):
    # Each finds the caches as it leaves them itself.
    run()
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def ulps(result, expected):
    """The worst distance, in units of the last place of what is expected."""
    result = np.asarray(result, dtype=np.float64)[: len(expected)]
    with np.errstate(all="ignore"):
        errors = np.abs(result - expected) / np.spacing(np.abs(expected))
    return float("inf") if np.isnan(errors).any() else float(errors.max())


def versions():
    import duckdb
    import numba
    import numexpr
    import polars

    modules = [np, numexpr, numba, polars, duckdb]
    return f"Python {sys.version.split()[0]}, " + ", ".join(f"{m.__name__} {m.__version__}" for m in modules)


def shown(value):
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "inf"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def show(rows, markdown):
    if markdown:
        rows = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
        return "\n".join("| " + " | ".join(row) + " |" for row in rows)
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows)


def mean(values):
    values = [value for value in values if value]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def measure(options, program, native, formula, texts, rows, folder):
    """Nanoseconds a row and worst errors, by engine."""
    name = formula["name"]
    path = folder / "columns"
    program.ask(f"results {name} {rows} {path}")
    numbers = np.fromfile(path)
    count = len(formula["inputs"])
    columns = [aligned(numbers[at * rows : (at + 1) * rows]) for at in range(count)]
    expected = numbers[count * rows :]
    out = aligned(np.zeros(rows))
    runners, errors = {}, {}
    for engine, syntax, make in ENGINES:
        if options.engines and engine not in options.engines:
            continue
        text = dict(texts[syntax][name], expanded=texts["numexpr"][name]["result"])
        if text["result"] is None:
            continue
        try:
            run = make(text, columns, out)
            errors[engine] = ulps(run(), expected)
            runners[engine] = run
        except Exception as error:  # An engine that cannot is left out, and said to be.
            print(f"{engine} {name}: {str(error).splitlines()[0] if str(error) else error!r}", file=sys.stderr)
    taken = {engine: sample(run, 1) for engine, run in runners.items()}
    repeats = {engine: max(1, math.ceil(SPAN / max(first, 1e-7))) for engine, first in taken.items()}
    times = {engine: [] for engine in [*native, *runners]}
    for number in range(options.rounds):
        for engine in native:
            answer = program.ask(f"{engine} {name} {rows}")
            if answer != "-":
                times[engine].append(float(answer))
        for engine, run in runners.items():
            if number < 3 or taken[engine] < LONG:
                times[engine].append(sample(run, repeats[engine]) / rows * 1e9)
    return {engine: statistics.median(values) for engine, values in times.items() if values}, errors


def aligned(values):
    """A copy that begins at a multiple of 64 bytes, as on the other side."""
    memory = np.empty(len(values) + 8)
    start = (-memory.ctypes.data // 8) % 8
    memory[start : start + len(values)] = values
    return memory[start : start + len(values)]


def report(options, title, engines, formulas, times, errors):
    rows = [["formula", *engines]]
    rows += [[name, *(shown(times[name].get(engine)) for engine in engines)] for name in formulas]
    for label, kinds in [
        ("arithmetic", ["arithmetic"]),
        ("transcendental", ["transcendental"]),
        ("all", ["arithmetic", "transcendental"]),
    ]:
        row = [f"{label} / {options.reference}"]
        names = [name for name, formula in formulas.items() if formula["kind"] in kinds]
        for engine in engines:
            pairs = [(times[name].get(engine), times[name].get(options.reference)) for name in names]
            ratios = [a / b for a, b in pairs if a and b]
            note = f" ({len(ratios)})" if len(ratios) < len(names) else ""
            row.append(shown(mean(ratios)) + note if ratios else "-")
        rows.append(row)
    worst = ["worst error, ULP"]
    for engine in engines:
        found = [errors[name][engine] for name in formulas if engine in errors[name]]
        worst.append(shown(max(found)) if found else "")
    rows.append(worst)
    print(f"\n{'### ' if options.markdown else ''}{title}\n")
    print(show(rows, options.markdown))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/kiln-peers")
    parser.add_argument("--formulas", help="a table of formulas instead of the suite")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="only these formulas")
    parser.add_argument("--engines", type=lambda text: text.split(","), default=[], help="only these engines")
    parser.add_argument("--rows", type=lambda text: [int(part) for part in text.split(",")], default=[4096, 1000000])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--reference", default="gcc", help="the engine that ratios refer to")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    if not options.program.exists():
        sys.exit(f"{options.program} is not there: cargo build --release -p kiln-peers")

    table = ["--formulas", options.formulas] if options.formulas else []
    here = subprocess.run([options.program, "engines"], check=True, stdout=subprocess.PIPE, text=True).stdout
    known = {line.split()[0] for line in here.splitlines() if line.split()}
    native = [name for name in NATIVE if name in known and (not options.engines or name in options.engines)]
    if options.reference in known and options.reference not in native:
        native.append(options.reference)
    program = Program(options.program, [*table, "--engines", ",".join(native)])
    texts = {syntax: program.formulas(syntax, table) for syntax in {row[1] for row in ENGINES} | {"kiln"}}
    formulas = {name: row for name, row in texts["kiln"].items() if not options.only or name in options.only}
    print(here.split("\n\n")[0])
    print(versions())
    engines = native + [row[0] for row in ENGINES if not options.engines or row[0] in options.engines]
    with tempfile.TemporaryDirectory() as folder:
        for rows in options.rows:
            times, errors = {}, {}
            for name, formula in formulas.items():
                print(f"{rows} rows: {name}", file=sys.stderr)
                times[name], errors[name] = measure(
                    options, program, native, formula, texts, rows, Path(folder)
                )
            title = f"{rows} rows, nanoseconds a row, medians of {options.rounds} rounds in turns"
            report(options, title, engines, formulas, times, errors)


if __name__ == "__main__":
    main()
