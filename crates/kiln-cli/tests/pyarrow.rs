//! `kiln run` beside pyarrow and pandas, on random files: `pyarrow_files.py` does the work.
//!
//! It needs a Python that has both: `$KILN_PYTHON`, else the environment that continuous integration makes in
//! `target/python`, else `python3`. Where there is none, the test says so and passes.

use std::path::{Path, PathBuf};
use std::process::Command;

fn python() -> Option<PathBuf> {
    let named = std::env::var_os("KILN_PYTHON").map(PathBuf::from);
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/python");
    let has_both = |python: &PathBuf| {
        let output = Command::new(python).args(["-c", "import pyarrow, pandas"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    named.into_iter().chain([made, PathBuf::from("python3")]).find(has_both)
}

#[test]
fn files_as_pyarrow_and_pandas_see_them() {
    let Some(python) = python() else {
        println!("skipped: no Python with pyarrow and pandas; KILN_PYTHON can name one");
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pyarrow_files.py");
    for seed in ["1", "2"] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(&python);
        let output = command.arg(script).arg(env!("CARGO_BIN_EXE_kiln")).arg(folder.path()).arg(seed).output();
        let output = output.expect("Python runs");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "seed {seed}\n{out}{err}");
        println!("seed {seed}: {}", out.trim());
    }
}
