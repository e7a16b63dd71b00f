//! The machine code of some formulas at every level, as text files: what a change of the back end changes is seen.
//!
//! `KILN_BLESS=1` writes the files anew.

#![cfg(all(target_arch = "x86_64", unix))]
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use kiln::{Engine, Level, Options, Type};
use std::fmt::Write as _;
use std::path::Path;

#[test]
fn listings_are_as_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/asm");
    let formulas = std::fs::read_to_string(folder.join("formulas.txt")).unwrap();
    let machine = Engine::new().level();
    for level in Level::ALL {
        if level > machine {
            println!("skipped: this machine has no {}", level.name());
            continue;
        }
        let mut text = String::new();
        for line in formulas.lines().filter(|line| !line.starts_with('#')) {
            let (ty, formula) = line.split_once(' ').unwrap();
            let mut options = Options::default();
            (options.level, options.default_type) = (Some(level), Type::from_name(ty));
            let inspection = Engine::with_options(options).unwrap().formula(formula).inspect().unwrap();
            if inspection.ir.contains("call") || (formula.starts_with("fma") && level < Level::V3) {
                // Calls hold addresses, which differ from run to run.
                continue;
            }
            writeln!(text, "{line}").unwrap();
            for line in &inspection.code {
                let hex: String = line.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                writeln!(text, "  {:04x}  {hex:<22} {}", line.offset, line.text).unwrap();
            }
            text.push('\n');
        }
        let file = folder.join(format!("{}.txt", level.name()));
        if std::env::var_os("KILN_BLESS").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let recorded = std::fs::read_to_string(&file).unwrap_or_default();
        if let Some((want, got)) = recorded.lines().zip(text.lines()).find(|(want, got)| want != got) {
            panic!("{} differs:\n  recorded {want}\n  now      {got}\nKILN_BLESS=1 records it anew", file.display());
        }
        assert_eq!(recorded.lines().count(), text.lines().count(), "{}", file.display());
    }
}
