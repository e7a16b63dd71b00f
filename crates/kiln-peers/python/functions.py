"""Functions of NumPy, numexpr and JAX over columns, for `kiln-peers functions`, which starts this program and asks.

The one idea: the other side takes the turns and judges the results; here are only the calls. A line is answered by a line:
`load PATH ROWS COUNT` reads columns, `time ENGINE FUNCTION SECONDS` gives nanoseconds a row of one sample after passes that
are not timed, `results ENGINE FUNCTION PATH` writes what the columns give; `-` is said where an engine has no such function.
The arguments are the type (float64 or float32) and the level (v4 or v3) that vectors are held to.
"""

import json
import os
import sys
import time

DTYPE, LEVEL = sys.argv[1:3]

# Before the libraries are loaded, which look at these once.
for variable in ("OMP_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMEXPR_MAX_THREADS"):
    os.environ[variable] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_ENABLE_X64"] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
if LEVEL == "v3":
    os.environ["XLA_FLAGS"] += " --xla_cpu_max_isa=AVX2"
    # Both ways of naming what is above AVX2: before and since version 2.4.
    os.environ["NPY_DISABLE_CPU_FEATURES"] = "X86_V4 AVX512_ICL AVX512_SPR AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL"

import warnings

warnings.filterwarnings("ignore")

import numpy as np

# Function, NumPy, numexpr, JAX; x and y are the arguments.
NAMES = """
exp np.exp(x) exp(x) jnp.exp(x)
exp2 np.exp2(x) - jnp.exp2(x)
exp10 - - -
expm1 np.expm1(x) expm1(x) jnp.expm1(x)
log np.log(x) log(x) jnp.log(x)
log2 np.log2(x) log2(x) jnp.log2(x)
log10 np.log10(x) log10(x) jnp.log10(x)
log1p np.log1p(x) log1p(x) jnp.log1p(x)
sin np.sin(x) sin(x) jnp.sin(x)
cos np.cos(x) cos(x) jnp.cos(x)
sincos np.sin(x)+np.cos(x) sin(x)+cos(x) jnp.sin(x)+jnp.cos(x)
tan np.tan(x) tan(x) jnp.tan(x)
asin np.arcsin(x) arcsin(x) jnp.arcsin(x)
acos np.arccos(x) arccos(x) jnp.arccos(x)
atan np.arctan(x) arctan(x) jnp.arctan(x)
atan2 np.arctan2(x,y) arctan2(x,y) jnp.arctan2(x,y)
sinh np.sinh(x) sinh(x) jnp.sinh(x)
cosh np.cosh(x) cosh(x) jnp.cosh(x)
tanh np.tanh(x) tanh(x) jnp.tanh(x)
asinh np.arcsinh(x) arcsinh(x) jnp.arcsinh(x)
acosh np.arccosh(x) arccosh(x) jnp.arccosh(x)
atanh np.arctanh(x) arctanh(x) jnp.arctanh(x)
cbrt np.cbrt(x) - jnp.cbrt(x)
hypot np.hypot(x,y) hypot(x,y) jnp.hypot(x,y)
pow np.power(x,y) x**y jnp.power(x,y)
sinpi - - -
cospi - - -
erf - - jsp.erf(x)
erfc - - jsp.erfc(x)
gamma - - jsp.gamma(x)
lgamma - - jsp.gammaln(x)
"""
TEXTS = {fields[0]: fields[1:] for fields in (line.split() for line in NAMES.split("\n")) if fields}
ENGINES = {"numpy": 0, "numexpr": 1, "jax": 2}


def found():
    """The engines that are here, with what one has to know of them."""
    here = {"numpy": f"NumPy {np.__version__}, into an array that is there; at AVX2 with NPY_DISABLE_CPU_FEATURES"}
    try:
        import numexpr

        numexpr.set_num_threads(1)
        here["numexpr"] = f"numexpr {numexpr.__version__}, whose functions are glibc's"
    except ImportError:
        pass
    try:
        import jax

        here["jax"] = f"JAX {jax.__version__}, one jitted call, which brings its own result; at AVX2 with --xla_cpu_max_isa"
    except ImportError:
        pass
    return here


def runner(engine, text, columns):
    """A call without arguments that gives an array."""
    names = dict(zip("xy", columns))
    if engine == "numpy":
        # Into an array that is there, as all others; the pair needs one more.
        out = np.empty_like(columns[0])
        if "+" in text:
            other = np.empty_like(out)

            def pair():
                np.sin(columns[0], out=out)
                np.cos(columns[0], out=other)
                return np.add(out, other, out=out)

            return pair
        function = eval(text.split("(")[0], {"np": np})
        return lambda: function(*columns, out=out)
    if engine == "numexpr":
        import numexpr

        out = np.empty_like(columns[0])
        numexpr.evaluate(text, local_dict=names, out=out)
        return lambda: numexpr.re_evaluate(local_dict=names)
    import jax
    import jax.numpy as jnp
    import jax.scipy.special as jsp

    arguments = ", ".join(names)
    function = jax.jit(eval(f"lambda {arguments}: {text}", {"jnp": jnp, "jsp": jsp}))
    inputs = [jax.device_put(column) for column in columns]
    return lambda: function(*inputs).block_until_ready()


def aligned(values):
    """A copy that begins at a multiple of 64 bytes, as on the other side."""
    memory = np.empty(len(values) + 64 // values.itemsize, dtype=values.dtype)
    start = (-memory.ctypes.data % 64) // values.itemsize
    memory[start : start + len(values)] = values
    return memory[start : start + len(values)]


def sample(run, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return time.perf_counter() - start


class Columns:
    def __init__(self):
        self.columns, self.runners, self.repeats = [], {}, {}

    def load(self, path, rows, count):
        numbers = np.fromfile(path, dtype=DTYPE)
        rows = int(rows)
        self.columns = [aligned(numbers[at * rows : (at + 1) * rows]) for at in range(int(count))]
        self.runners, self.repeats = {}, {}
        return "loaded"

    def runner(self, engine, function):
        key = engine, function
        if key not in self.runners:
            text = TEXTS.get(function, ["-"] * len(ENGINES))[ENGINES[engine]]
            try:
                run = None if text == "-" else runner(engine, text, self.columns)
                # numexpr takes the expression that was evaluated last.
                if run and engine == "numexpr":
                    self.runners = {key: value for key, value in self.runners.items() if key[0] != engine}
                self.runners[key] = run
                if run:
                    run()
            except Exception as error:  # An engine that cannot is left out, and said to be.
                print(f"{engine} {function}: {str(error).splitlines()[0] if str(error) else error!r}", file=sys.stderr)
                self.runners[key] = None
        return self.runners[key]

    def time(self, engine, function, seconds):
        run = self.runner(engine, function)
        if run is None:
            return "-"
        key = engine, function
        # A process that has slept runs slower for a while.
        until = time.perf_counter() + 5e-3
        passes = 0
        while time.perf_counter() < until:
            run()
            passes += 1
        # Who is interrupted meanwhile seems to need few.
        repeats = max(1, round(float(seconds) * passes / 5e-3), self.repeats.get(key, 1))
        self.repeats[key] = repeats
        return str(sample(run, repeats) / repeats / len(self.columns[0]) * 1e9)

    def results(self, engine, function, path):
        run = self.runner(engine, function)
        if run is None:
            return "-"
        np.asarray(run(), dtype=DTYPE).tofile(path)
        return "written"


def main():
    np.seterr(all="ignore")
    print(json.dumps(found()), flush=True)
    columns = Columns()
    for line in sys.stdin:
        words = line.split()
        print(getattr(columns, words[0])(*words[1:]), flush=True)


if __name__ == "__main__":
    main()
