//! The contract of `kiln run`.

mod support;
use support::{Outcome, Workshop, command, kiln, kiln_with, text};

/// Runs `kiln run` over this content.
fn run(name: &str, content: impl AsRef<[u8]>, args: &[&str]) -> Outcome {
    let workshop = Workshop::new();
    let file = workshop.file(name, content);
    kiln(&[&["run", text(&file)], args].concat())
}

/// What the program is given: file name, content, arguments; what comes out.
const TABLES: &[(&str, &str, &[&str], &str)] = &[
    // New columns, earlier ones in later ones, strings as they are.
    (
        "a.csv",
        "name,x,y\nanna,1,2\n\"b, c\",3,4.5\n",
        &["--let", "s = x + y", "--let", "t = s * 2"],
        "name,x,y,s,t\nanna,1,2,3,6\n\"b, c\",3,4.5,7.5,15\n",
    ),
    // The filter goes first, and may use new columns.
    ("a.csv", "x\n1\n2\n3\n", &["--where", "x >= 2", "--let", "y = x * 10"], "x,y\n2,20\n3,30\n"),
    (
        "a.csv",
        "x\n1\n2\n3\n",
        &["--where", "z > 20", "--let", "y = x * 10", "--let", "z = y + 1"],
        "x,y,z\n2,20,21\n3,30,31\n",
    ),
    // Replaced columns stay in their places; the filter sees the file's.
    (
        "a.csv",
        "x,k\n1,a\n2,b\n",
        &["--let", "x = x * 10", "--let", "y = x + 1", "--where", "x < 2"],
        "x,k,y\n10,a,11\n",
    ),
    // Nothing to do is nothing changed.
    ("a.csv", "a,b\n\"1\"\"2\",\n", &[], "a,b\n\"1\"\"2\",\n"),
    // Missing cells give missing results, and are neither true nor false.
    ("a.csv", "x,y\n1,\n,2\n3,4\n", &["--let", "s = x + y", "--let", "u = x"], "x,y,s,u\n1,,,1\n,2,,\n3,4,7,3\n"),
    ("a.csv", "x\n1\nNA\n3\n", &["--let", "y = x * 2", "--null", "NA"], "x,y\n1,2\nNA,\n3,6\n"),
    ("a.csv", "x,k\n1,a\n,b\n3,c\n", &["--where", "x < 5"], "x,k\n1,a\n3,c\n"),
    ("a.csv", "x,k\n1,a\n,b\n3,c\n", &["--where", "not (x < 2)"], "x,k\n3,c\n"),
    // A column of nothing is a column of missing numbers.
    ("a.csv", "x,y\n,1\n,2\n", &["--let", "z = x + y"], "x,y,z\n,1,\n,2,\n"),
    // Zero rows.
    ("a.csv", "x,y\n", &["--let", "z = x + y"], "x,y,z\n"),
    ("a.csv", "x,y", &["--let", "z = x + y"], "x,y,z\n"),
    // Types: ints stay ints, beyond 2^53 too; one float makes floats; bools; overrides.
    ("a.csv", "n\n9007199254740993\n", &["--let", "m = n + 1"], "n,m\n9007199254740993,9007199254740994\n"),
    ("a.csv", "n\n1\n2.5\n", &["--let", "m = n + 1"], "n,m\n1,2\n2.5,3.5\n"),
    ("a.csv", "n\n9223372036854775808\n", &["--let", "m = n"], "n,m\n9223372036854775808,9.223372036854776e18\n"),
    ("a.csv", "b,x\nTrue,1\nfalse,2\n", &["--where", "b"], "b,x\nTrue,1\n"),
    ("a.csv", "b,x\ntrue,1\n", &["--let", "c = not b"], "b,x,c\ntrue,1,false\n"),
    ("a.csv", "n\n2147483647\n", &["--let", "m = n + n", "--type", "n=i32"], "n,m\n2147483647,-2\n"),
    ("a.csv", "n\n0.1\n", &["--let", "m = n", "--type", "n=f32"], "n,m\n0.1,0.1\n"),
    ("a.csv", "x\n0.1\n1e300\nnan\n-inf\n", &["--let", "y = x"], "x,y\n0.1,0.1\n1e300,1e300\nnan,nan\n-inf,-inf\n"),
    ("a.csv", "n\n 7 \n", &["--let", "m = n + 1"], "n,m\n 7 ,8\n"),
    // Which columns, in which order.
    ("a.csv", "a,b,c\n1,2,3\n", &["--select", "c,s,a", "--let", "s = a + b"], "c,s,a\n3,3,1\n"),
    ("a.csv", "a,\"b,c\"\n1,2\n", &["--select", "`b,c`"], "\"b,c\"\n2\n"),
    // Names.
    ("a.csv", "net income,x\n10,4\n", &["--let", "`a b` = `net income` / x"], "net income,x,a b\n10,4,2.5\n"),
    ("a.csv", "e,pi\n10,4\n", &["--let", "s = e + pi"], "e,pi,s\n10,4,14\n"),
    ("a.csv", "größe\n2\n", &["--let", "h = größe * 2"], "größe,h\n2,4\n"),
    ("a.csv", " x , y\n1,2\n", &["--let", "s = x + y"], " x , y,s\n1,2,3\n"),
    ("a.csv", "count,min\n1,2\n", &["--let", "s = count + min"], "count,min,s\n1,2,3\n"),
    // Form: byte order mark, line ends, delimiters, quoted line ends.
    ("a.csv", "\u{feff}x,y\n1,2\n", &["--let", "s = x + y"], "x,y,s\n1,2,3\n"),
    ("a.csv", "x,y\r\n1,2\r\n", &["--let", "s = x + y"], "x,y,s\r\n1,2,3\r\n"),
    ("a.tsv", "x\ty\n1\t2\n", &["--let", "s = x + y"], "x\ty\ts\n1\t2\t3\n"),
    ("a.csv", "x\ty\n1\t2\n", &["--let", "s = x + y", "--delimiter", "\\t"], "x\ty\ts\n1\t2\t3\n"),
    ("a.csv", "x;y\n1;2\n", &["--let", "s = x + y", "-d", ";"], "x;y;s\n1;2;3\n"),
    ("a.csv", "k,x\n\"a\nb\",1\nc,2\n", &["--let", "y = x"], "k,x,y\n\"a\nb\",1,1\nc,2,2\n"),
    // A formula that begins with a minus.
    ("a.csv", "x\n1\n", &["--where", "-x < 0", "--let", "y = -x"], "x,y\n1,-1\n"),
];

#[test]
fn tables() {
    for (name, content, args, expected) in TABLES {
        let outcome = run(name, content, args);
        assert_eq!((outcome.out.as_str(), outcome.code), (*expected, 0), "{content:?} {args:?}: {}", outcome.err);
        // The same from a stream, whose types are those of its first rows.
        let mut args = args.to_vec();
        if name.ends_with(".tsv") {
            args.extend(["-d", "\\t"]);
        }
        let outcome = kiln_with(&[&["run", "-"], args.as_slice()].concat(), content.as_bytes());
        assert_eq!((outcome.out.as_str(), outcome.code), (*expected, 0), "stream {args:?}: {}", outcome.err);
    }
}

/// Content, arguments, exit code, what standard error says.
type Broken = (&'static [u8], &'static [&'static str], i32, &'static [&'static str]);
const FAILURES: &[Broken] = &[
    (b"x,y\n1,2\n3\n", &[], 1, &["line 3", "1 cells", "`y`"]),
    (b"x,y\n1,2\n3,4,5\n", &[], 1, &["line 3", "3 cells"]),
    (b"x,x\n1,2\n", &[], 1, &["two columns named `x`"]),
    (b"", &[], 1, &["no header"]),
    (b"x,k\n1,a\n2,\xe9\n", &["--let", "y = x"], 1, &["line 3, column `k`", "UTF-8", "0xe9"]),
    (b"k\xe9\n1\n", &[], 1, &["line 1", "UTF-8"]),
    (b"day,x\n2012-01-02,1\n", &["--let", "y = day + 1"], 1, &["`day` is text", "line 2", "`2012-01-02`", "--let y"]),
    (b"x\n1\n2\nNA\n", &["--let", "y = x"], 1, &["`x` is text", "line 4", "--null 'NA'"]),
    (b"latitude\n1\n", &["--let", "y = lattitude"], 1, &["no column `lattitude`", "did you mean `latitude`?"]),
    (b"a;b\n1;2\n", &["--let", "y = a"], 1, &["no column `a`", "--delimiter ';'"]),
    (b"x\n1\nabc\n", &["--let", "y = x", "--type", "x=i64"], 1, &["line 3, column `x`", "`abc` is no i64"]),
    (b"x\n1\n", &["--let", "y = x", "--type", "x=text"], 1, &["`x` is read as text"]),
    (b"x\n1\n", &["--type", "z=i64"], 1, &["no column `z`"]),
    (b"x\n1\n", &["--type", "x=i99"], 2, &["no type `i99`"]),
    (b"x\n1\n", &["--where", "x + 1"], 1, &["not true or false", "--where"]),
    (b"x\n1\n", &["--where", "x >"], 1, &["error[syntax", "--where"]),
    (b"x\n1\n", &["--select", "y"], 1, &["--select", "no column `y`"]),
    (b"x\n1\n", &["--let", "x + 1"], 2, &["NAME = FORMULA"]),
    (b"x\n1\n", &["--let", "a b = x"], 2, &["back-ticks"]),
    (b"net income,x\n1,2\n", &["--let", "y = net income + x"], 1, &["--let y", "back-ticks", "`net income` + x"]),
    (b"x\n1\n", &["--let", "y == x"], 2, &["NAME = FORMULA"]),
    (b"x\n1\n", &["--let", "y = x", "--let", "y = 2"], 2, &["two --let options define `y`"]),
    (b"x\n1\n", &["--delimiter", ";;"], 2, &["--delimiter"]),
    (b"x\n1\n0\n", &["--checked", "--let", "y = 1 // x"], 1, &["line 3", "division by zero", "--let y"]),
];

#[test]
fn failures_name_the_place_and_leave_nothing_behind() {
    for (content, args, code, parts) in FAILURES {
        let workshop = Workshop::new();
        let file = workshop.file("in.csv", content);
        let out = workshop.path("out.csv");
        let outcome = kiln(&[&["run", text(&file), "-o", text(&out)], *args].concat());
        assert_eq!(outcome.code, *code, "{args:?}: {}", outcome.err);
        for part in *parts {
            assert!(outcome.err.contains(part), "{args:?} lacks {part:?}: {}", outcome.err);
        }
        assert_eq!(workshop.files(), ["in.csv"], "{args:?}");
    }
}

#[test]
fn an_error_leaves_the_old_output_alone() {
    let workshop = Workshop::new();
    let file = workshop.file("in.csv", "x\n1\nabc\n");
    let out = workshop.file("out.csv", "precious");
    let outcome = kiln(&["run", text(&file), "--let", "y = x", "-t", "x=i64", "-o", text(&out)]);
    assert_eq!(outcome.code, 1);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "precious");
    assert_eq!(workshop.files(), ["in.csv", "out.csv"]);
}

#[test]
fn the_output_may_be_the_input() {
    let workshop = Workshop::new();
    let rows: String = (0..100_000).map(|n| format!("{n}\n")).collect();
    let file = workshop.file("in.csv", format!("x\n{rows}"));
    let outcome = kiln(&["run", text(&file), "--let", "x = x + 1", "-o", text(&file)]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    let expected: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
    assert!(std::fs::read_to_string(&file).unwrap() == format!("x\n{expected}"));
    assert_eq!(workshop.files(), ["in.csv"]);
}

#[test]
fn a_late_float_makes_the_column_float_in_a_file_and_is_an_error_in_a_stream() {
    let mut content = "x\n".to_owned() + &"1\n".repeat(20_000);
    content += "2.5\n";
    let outcome = run("a.csv", &content, &["--where", "x > 2"]);
    assert_eq!(outcome.out, "x\n2.5\n", "{}", outcome.err);
    let outcome = kiln_with(&["run", "-", "--where", "x > 2"], content.as_bytes());
    assert_eq!(outcome.code, 1);
    for part in ["standard input, line 20002, column `x`", "`2.5` is no i64", "--type 'x=f64'"] {
        assert!(outcome.err.contains(part), "{part}: {}", outcome.err);
    }
    let outcome = kiln_with(&["run", "-", "--where", "x > 2", "--type", "x=f64"], content.as_bytes());
    assert_eq!(outcome.out, "x\n2.5\n", "{}", outcome.err);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    use std::io::Read as _;
    let workshop = Workshop::new();
    let file = workshop.file("in.csv", "x\n".to_owned() + &"1\n".repeat(1_000_000));
    let mut child = command()
        .args(["run", text(&file), "--let", "y = x"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut start = [0; 8];
    child.stdout.take().unwrap().read_exact(&mut start).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
#[cfg(unix)]
fn an_interruption_leaves_nothing_behind() {
    use std::io::Write as _;
    use std::time::{Duration, Instant};
    let workshop = Workshop::new();
    let out = workshop.path("out.csv");
    let mut child = command().args(["run", "-", "-o", text(&out)]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"x\n1\n2\n").unwrap();
    input.flush().unwrap();
    let patience = Instant::now();
    while workshop.files().is_empty() && patience.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(workshop.files().len(), 1, "no half-written file was seen");
    assert!(!out.exists());
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(workshop.files().is_empty(), "{:?}", workshop.files());
}

#[test]
#[cfg(unix)]
fn new_files_get_the_usual_permissions_and_old_ones_keep_theirs() {
    use std::os::unix::fs::PermissionsExt as _;
    let workshop = Workshop::new();
    let file = workshop.file("in.csv", "x\n1\n");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let usual = mode(&file);
    let out = workshop.path("out.csv");
    assert_eq!(kiln(&["run", text(&file), "-o", text(&out)]).code, 0);
    assert_eq!(mode(&out), usual);
    std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(kiln(&["run", text(&file), "-o", text(&out)]).code, 0);
    assert_eq!(mode(&out), 0o640);
}

#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_file() {
    let workshop = Workshop::new();
    let row = "12345,some text that is passed through,67.25\n";
    let small = workshop.file("small.csv", "n,k,x\n".to_owned() + &row.repeat(1000));
    let large = workshop.file("large.csv", "n,k,x\n".to_owned() + &row.repeat(400_000));
    // The limit is on memory that is written; code and libraries are mapped beside it.
    let script = "ulimit -d 32768; \"$0\" run \"$1\" --let 'y = n * x' --where 'y > 0' | wc -l";
    for (file, lines) in [(small, "1001"), (large, "400001")] {
        let mut shell = std::process::Command::new("sh");
        let output = shell.args(["-c", script, env!("CARGO_BIN_EXE_kiln"), text(&file)]).output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            lines,
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn the_published_example_gives_the_airports_around_new_york() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/airports.csv");
    let formula = "km = round(2 * 6371 * asin(sqrt(sin(deg2rad(latitude - 40.75) / 2)^2 + cos(deg2rad(latitude)) \
        * cos(deg2rad(40.75)) * sin(deg2rad(longitude + 74.00) / 2)^2)), 1)";
    let outcome = kiln(&["run", data, "--select", "iata,km", "--where", "km < 20", "--let", formula]);
    let expected = "iata,km\n6N5,2.5\n6N7,2.9\nEWR,15.6\nJRA,0.8\nJRB,5.5\nLGA,11.1\nTEB,12.3\n";
    assert_eq!(outcome.out, expected, "{}", outcome.err);
}
