"""What `kiln run` makes of files, beside what pyarrow and pandas make of them.

Called by tests/pyarrow.rs with the program and an empty folder. Every case writes a file with pyarrow, in several row
groups or batches, runs the program, reads its output with pyarrow, and compares with the same computation there. The
files are random, with nulls, slices, chunks, no rows, odd names, and ints that no float holds. Prints what it did.
"""

import datetime
import decimal
import itertools
import math
import pathlib
import random
import subprocess
import sys

import pandas
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq

KILN, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
FORMS = ["parquet", "arrow", "feather", "arrows"]
checks = 0


def run(*args):
    done = subprocess.run([KILN, "run", *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, f"{args}\n{done.stderr}"
    return done.stdout


def write(table, name, rows=None):
    """Writes a table in the form of the name, so many rows in a row group or batch."""
    path, rows = FOLDER / name, rows or max(len(table), 1)
    form = path.suffix[1:]
    if form == "parquet":
        compression = random.choice(["snappy", "zstd", "gzip", "lz4", "none"])
        version = random.choice(["1.0", "2.6"]) if not any(pa.types.is_unsigned_integer(f.type) or
            pa.types.is_timestamp(f.type) for f in table.schema) else "2.6"
        pages = random.choice(["1.0", "2.0"])
        pq.write_table(table, path, row_group_size=rows, compression=compression, version=version,
            data_page_version=pages, use_dictionary=random.random() < 0.5, data_page_size=random.choice([100, 1 << 20]))
    elif form == "feather":
        pyarrow.feather.write_feather(table, path, compression=random.choice(["lz4", "zstd", "uncompressed"]), chunksize=rows)
    else:
        make = pa.ipc.new_stream if form == "arrows" else pa.ipc.new_file
        with make(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=rows)
    return path


def read(path):
    form = path.suffix[1:]
    if form == "parquet":
        # The file itself, without what the reader of data sets adds.
        return pq.ParquetFile(path).read()
    if form == "arrows":
        return pa.ipc.open_stream(path).read_all()
    return pa.ipc.open_file(path).read_all()


def same(given, expected, what):
    """The same names, types, nulls and values, NaN equal to NaN."""
    global checks
    checks += 1
    assert given.column_names == expected.column_names, f"{what}: {given.column_names}, {expected.column_names}"
    assert given.num_rows == expected.num_rows, f"{what}: {given.num_rows} rows, {expected.num_rows}"
    for field, want in zip(given.schema, expected.schema):
        assert field.type == want.type, f"{what}: {field} instead of {want}"
    for name, left, right in zip(given.column_names, given.columns, expected.columns):
        for row, (a, b) in enumerate(zip(left.to_pylist(), right.to_pylist())):
            equal = a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))
            assert equal, f"{what}: {name}, row {row}: {a!r} instead of {b!r}"


def some(kind, rows, nulls=True):
    """A random column."""
    def value():
        if nulls and random.random() < 0.2:
            return None
        if pa.types.is_integer(kind):
            width = kind.bit_width
            low, high = (-(1 << width - 1), (1 << width - 1) - 1) if pa.types.is_signed_integer(kind) else (0, (1 << width) - 1)
            if kind == pa.uint64():
                high = (1 << 63) - 1
            return random.choice([low, high, random.randint(low, high), min(high, random.randint(0, 100))])
        if pa.types.is_floating(kind):
            special = [0.0, -0.0, math.inf, -math.inf, math.nan]
            number = random.choice(special) if random.random() < 0.1 else random.uniform(-1000, 1000)
            return pa.scalar(number, pa.float64()).cast(kind, safe=False).as_py() if kind != pa.float16() else round(number * 4) / 4 if math.isfinite(number) else number
        if pa.types.is_boolean(kind):
            return random.random() < 0.5
        if pa.types.is_decimal(kind):
            return decimal.Decimal(random.randint(-10**8, 10**8)).scaleb(-kind.scale)
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return random.choice(["", "a", "größe", "two\nlines", '"', "\u0000", "日本", "x" * 300])
        if pa.types.is_binary(kind):
            return random.choice([b"", b"\xff\xfe", b"abc"])
        return random.randint(0, 80000)
    if kind == pa.float16():
        import numpy
        values = [value() for _ in range(rows)]
        return pa.array([None if v is None else numpy.float16(v) for v in values], kind)
    return pa.array([value() for _ in range(rows)], kind)


def chunked(array):
    """The same values as slices with odd offsets, in several chunks."""
    parts, at = [], 0
    while at < len(array):
        size = random.randint(0, len(array) // 2 + 1)
        padded = pa.concat_arrays([array[:3], array[at:at + size], array[:1]])
        parts.append(padded.slice(min(3, len(array)), len(array[at:at + size])))
        at += size
    return pa.chunked_array(parts, array.type)


NUMBERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(),
    pa.float16(), pa.float32(), pa.float64()]
TIMES = [pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"),
    pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("us", "Europe/Paris"),
    pa.timestamp("ns", "+05:30"), pa.duration("s"), pa.duration("ms"), pa.duration("us"), pa.duration("ns")]
OTHERS = [pa.bool_(), pa.string(), pa.large_string(), pa.binary(), pa.decimal128(12, 3), pa.decimal256(50, 5)]


def stored(kind, form):
    """Parquet has no seconds and no dates in milliseconds."""
    if form != "parquet":
        return True
    return kind not in [pa.date64(), pa.time32("s"), pa.timestamp("s"), pa.duration("s")]


def everything_passes():
    for source, target in itertools.product(FORMS, FORMS):
        rows = random.choice([0, 1, 7, 100, 3000])
        kinds = [kind for kind in NUMBERS + TIMES + OTHERS if stored(kind, source) and stored(kind, target)]
        columns = {f"c{n} {kind}": chunked(some(kind, rows)) for n, kind in enumerate(kinds)}
        columns["words"] = pa.chunked_array([some(pa.string(), rows).dictionary_encode()])
        columns["lists"] = pa.array([random.choice([None, [], [1, None]]) for _ in range(rows)], pa.list_(pa.int32()))
        columns["structs"] = pa.array([random.choice([None, {"a": 1, "b": "x"}]) for _ in range(rows)],
            pa.struct([("a", pa.int64()), ("b", pa.string())]))
        columns["key"] = pa.array(range(rows), pa.int64())
        table = pa.table(columns)
        file = write(table, f"pass.{source}", random.choice([1, 10, 1000]) if rows < 200 else 700)
        out = FOLDER / f"out.{target}"
        run(file, "-o", out, "--where", "key % 3 > 0", "--let", "twice = key * 2", "--threads", random.randint(1, 4))
        keep = table.filter(pa.array([n % 3 > 0 for n in range(rows)], pa.bool_()))
        keep = keep.append_column("twice", pa.array([2 * n for n in range(rows) if n % 3 > 0], pa.int64()))
        given = read(out)
        if given.schema.field("words").type == pa.string():
            index = keep.column_names.index("words")
            keep = keep.set_column(index, "words", keep["words"].cast(pa.string()))
        same(given, keep, f"{source} to {target}, {rows} rows")


def types_compute():
    """Every numeric type, and dates and times as the ints that they are."""
    wide = {pa.int8(): pa.int32(), pa.int16(): pa.int32(), pa.uint8(): pa.int32(), pa.uint16(): pa.int32(),
        pa.uint32(): pa.int64(), pa.uint64(): pa.int64(), pa.float16(): pa.float32()}
    for source in FORMS:
        for kind in NUMBERS + TIMES:
            if not stored(kind, source):
                continue
            rows = random.choice([0, 5, 500])
            table = pa.table({"x": chunked(some(kind, rows)), "y": chunked(some(kind, rows))})
            file, out = write(table, f"types.{source}", 37), FOLDER / "out.arrow"
            run(file, "-o", out, "--let", "s = x + y", "--let", "less = x < y", "--select", "s,less")
            if kind in TIMES:
                # Through the integers of the same width: that is how they are stored.
                number = pa.int32() if kind.bit_width == 32 else pa.int64()
            else:
                number = wide.get(kind, kind)
            x, y = table["x"].cast(number), table["y"].cast(number)
            same(read(out), pa.table({"s": pc.add(x, y), "less": pc.less(x, y)}), f"{kind} of {source}")


def nulls_and_filters():
    for _ in range(10):
        rows = random.randint(0, 400)
        table = pa.table({
            "x": some(pa.float64(), rows), "y": some(pa.float64(), rows), "n": some(pa.int64(), rows),
            "b": some(pa.bool_(), rows), "k": some(pa.string(), rows)})
        table = table.slice(random.randint(0, rows), None)
        source, target = random.choice(FORMS), random.choice(FORMS)
        file, out = write(table, f"nulls.{source}", 50), FOLDER / f"out.{target}"
        run(file, "-o", out, "--let", "s = x * y + x", "--let", "both = b and s > 0", "--let", "other = not b or n == 0",
            "--let", "c = coalesce(n, 7)", "--let", "gone = isnull(x) and not isnull(s) or isnull(n)",
            "--let", "one = if(b, x, y)", "--where", "x > y or b", "--threads", random.randint(1, 4))
        x, y, n, b = table["x"], table["y"], table["n"], table["b"]
        s = pc.add(pc.multiply(x, y), x)
        # Null in, null out, but for Kleene's `and` and `or`; and a filter keeps what is true.
        full = table.append_column("s", s).append_column("both", pc.and_kleene(b, pc.greater(s, 0)))
        full = full.append_column("other", pc.or_kleene(pc.invert(b), pc.equal(n, 0)))
        full = full.append_column("c", pc.coalesce(n, pa.scalar(7)))
        full = full.append_column("gone", pc.is_null(n)).append_column("one", pc.if_else(b, x, y))
        keep = pc.or_kleene(pc.greater(x, y), b)
        same(read(out), full.filter(pc.fill_null(keep, False)), "nulls")


def near(given, expected, what):
    """The same columns and nulls; floats as near as sums of another order are."""
    global checks
    checks += 1
    assert given.column_names == expected.column_names, f"{what}: {given.column_names}, {expected.column_names}"
    for name in given.column_names:
        left, right = given[name].to_pylist(), expected[name].to_pylist()
        assert len(left) == len(right), f"{what}: {name} has {len(left)} rows instead of {len(right)}"
        for row, (a, b) in enumerate(zip(left, right)):
            fits = a == b or (isinstance(a, float) and isinstance(b, float) and
                (math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) or (math.isnan(a) and math.isnan(b))))
            assert fits, f"{what}: {name}, row {row}: {a!r} instead of {b!r}"


def all_rows():
    """Aggregates over rows in new columns, filters and totals, beside pandas, which leaves out nulls as well."""
    for round in range(16):
        rows = random.choice([0, 1, 50, 400, 40000])
        finite = lambda: pa.array([None if random.random() < 0.2 else random.uniform(-100, 100) for _ in range(rows)], pa.float64())
        table = pa.table({"x": finite(), "k": some(pa.string(), rows), "y": finite(), "n": some(pa.int16(), rows)})
        table = table.slice(random.randint(0, rows // 3), None)
        source, target = random.choice([*FORMS, "csv"]), random.choice(FORMS)
        if source == "csv":
            file = FOLDER / "all.csv"
            pyarrow.csv.write_csv(table, file)
        else:
            file = write(table, f"all.{source}", random.choice([7, 999]) if rows < 1000 else 9999)
        out, threads = FOLDER / f"out.{target}", ("--threads", random.randint(1, 4))
        types = ["--type", "x=f64", "--type", "y=f64"]
        types += ["--type", "n=i32"] if source == "csv" else []
        x, y, n = (table[name].cast(kind).to_pandas(types_mapper={pa.float64(): pandas.Float64Dtype(),
            pa.int32(): pandas.Int32Dtype()}.get) for name, kind in [("x", pa.float64()), ("y", pa.float64()), ("n", pa.int32())])
        number = lambda value: math.nan if value is pandas.NA else float(value)
        arrow = lambda series, kind=pa.float64(): pa.array([None if v is pandas.NA else v for v in series], kind)
        # Lists of plain numbers from here on: what there is of them.
        some_x = [v for v in x if v is not pandas.NA]
        mean = math.fsum(some_x) / len(some_x) if some_x else math.nan
        std = number(pandas.Series(some_x, dtype="float64").std(ddof=0)) if some_x else math.nan
        run(file, "-o", out, *types, *threads, "--let", "d = x - mean(x)", "--let", "z = d / std(d)",
            "--let", "f = coalesce(x, mean(x))", "--let", "c = count(y)", "--select", "d,z,f,c")
        expected = pa.table({"d": arrow([v if v is pandas.NA else v - mean for v in x]),
            "z": arrow([v if v is pandas.NA else ((v - mean) / std if std else math.nan) for v in x]),
            "f": arrow([mean if v is pandas.NA else v for v in x]), "c": arrow([int(y.count())] * len(x), pa.int64())})
        near(read(out), expected, f"columns of {source}, {len(table)} rows")
        # The filter is about all rows, what is behind it about those that are kept.
        kept = [v for v in some_x if v > mean]
        run(file, "-o", out, *types, *threads, "--where", "x > mean(x)", "--let", "d = x - max(x)", "--let", "rows = nrows()",
            "--select", "x,d,rows")
        expected = pa.table({"x": arrow(kept), "d": arrow([v - max(kept) for v in kept]),
            "rows": arrow([len(kept)] * len(kept), pa.int64())})
        near(read(out), expected, f"filter of {source}, {len(table)} rows")
        # Each total leaves out the nulls of its own argument.
        totals = ["--agg", "a = sum(x) - sum(y)", "--agg", "v = sum((x - mean(x))^2)", "--agg", "m = max(n)",
            "--agg", "both = count(x > 0 and y > 0)", "--agg", "std = std(x)"]
        run(file, "-o", out, *types, *threads, *totals)
        there = n.dropna()
        both = ((x > 0) & (y > 0)).fillna(False).sum()
        expected = pa.table({"a": [math.fsum(some_x) - math.fsum(y.dropna())],
            "v": [math.fsum((v - mean) ** 2 for v in some_x)],
            "m": pa.array([int(there.max()) if len(there) else None], pa.int32()),
            "both": pa.array([int(both)], pa.int64()), "std": [std]})
        near(read(out), expected, f"totals of {source}, {len(table)} rows")


def int_edges():
    values = [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**62 + 1, None]
    table = pa.table({"n": pa.array(values, pa.int64())})
    for source in FORMS:
        file, out = write(table, f"edges.{source}"), FOLDER / "out.parquet"
        run(file, "-o", out, "--let", "m = n - 1", "--let", "h = n // 2")
        wrap = lambda n: (n + 2**63) % 2**64 - 2**63
        expected = table.append_column("m", pa.array([None if n is None else wrap(n - 1) for n in values], pa.int64()))
        expected = expected.append_column("h", pa.array([None if n is None else n // 2 for n in values], pa.int64()))
        same(read(out), expected, f"edges of {source}")
        text = run(file, "--where", "n == 9007199254740993", "--select", "n")
        assert text == "n\n9007199254740993\n", text


def odd_names():
    names = ["net income", "größe", "a,b", 'q"uote', "x.y", "日本", "let", "e", " ", "🙂"]
    # Control characters cannot stand in a formula, and pass.
    columns = [*names, "new\nline", "tab\t", ""]
    table = pa.table({name: pa.array([float(n), None]) for n, name in enumerate(columns)})
    for source in FORMS:
        for n, name in enumerate(names):
            file, out = write(table, f"names.{source}"), FOLDER / "out.arrows"
            run(file, "-o", out, "--let", f"`out put` = `{name}` + 1")
            same(read(out), table.append_column("out put", pa.array([n + 1.0, None])), f"{name!r} of {source}")


def decimals():
    values = [decimal.Decimal("0.10"), decimal.Decimal("-123456.78"), None, decimal.Decimal("99999999999999.99")]
    table = pa.table({"d": pa.array(values, pa.decimal128(20, 2))})
    for source in FORMS:
        file, out = write(table, f"decimals.{source}"), FOLDER / "out.parquet"
        run(file, "-o", out, "--type", "d=f64", "--let", "x = d")
        expected = table.append_column("x", pa.array([None if v is None else float(v) for v in values]))
        same(read(out), expected, f"decimals of {source}")


def cells():
    """CSV there and back, beside pyarrow's own reader."""
    rows = 500
    table = pa.table({"x": some(pa.float64(), rows), "n": some(pa.int64(), rows), "b": some(pa.bool_(), rows),
        "k": pa.array([random.choice(["a", "b c", "d,e"]) for _ in range(rows)])})
    file, text, back = write(table, "cells.parquet", 99), FOLDER / "cells.csv", FOLDER / "back.parquet"
    run(file, "-o", text, "--let", "y = x + n")
    run(text, "-o", back)
    expected = table.append_column("y", pc.add(table["x"], table["n"].cast(pa.float64(), safe=False)))
    same(read(back), expected, "CSV and back")


def pandas_frames():
    frame = pandas.DataFrame({
        "x": [1.5, None, 2.5], "n": pandas.array([1, None, 3], dtype="Int64"), "k": pandas.Categorical(["a", "b", "a"]),
        "at": pandas.date_range("2024-03-31", periods=3, freq="h", tz="Europe/Paris")},
        index=pandas.Index([10, 20, 30], name="id"))
    path, out = FOLDER / "frame.parquet", FOLDER / "out.parquet"
    frame.to_parquet(path)
    run(path, "-o", out, "--let", "y = x * 2")
    given = pandas.read_parquet(out)
    pandas.testing.assert_frame_equal(given[list(frame.columns)], frame)
    assert given["y"].tolist()[::2] == [3.0, 5.0] and given.index.name == "id", given
    run(path, "-o", out, "--where", "n == 3", "--select", "n,k,at")
    given = pandas.read_parquet(out)
    assert given["n"].tolist() == [3] and str(given["at"].dtype) == str(frame["at"].dtype), given
    global checks
    checks += 2


def metadata_stays():
    schema = pa.schema([pa.field("x", pa.float64(), metadata={"unit": "m"}), pa.field("k", pa.int8(), nullable=False)],
        metadata={"origin": "a test"})
    table = pa.table({"x": [1.0, None], "k": [1, 2]}, schema=schema)
    for source, target in itertools.product(FORMS, FORMS):
        file, out = write(table, f"meta.{source}"), FOLDER / f"out.{target}"
        run(file, "-o", out, "--let", "y = k + 1")
        given = read(out).schema
        assert given.field("x").metadata[b"unit"] == b"m", (source, target, given)
        assert given.metadata[b"origin"] == b"a test", (source, target, given)
        assert given.field("k").nullable is False
        global checks
        checks += 1


random.seed(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
for case in [everything_passes, types_compute, nulls_and_filters, all_rows, int_edges, odd_names, decimals, cells, pandas_frames, metadata_stays]:
    case()
print(f"{checks} comparisons with pyarrow {pa.__version__}")
