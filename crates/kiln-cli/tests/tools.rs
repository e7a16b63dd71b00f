//! The contracts of `kiln asm`, `explain`, `functions`, `repl`, `completions`, `man` and `--help`.

mod support;
use support::{kiln, kiln_with};

#[test]
fn asm_shows_address_bytes_instruction_and_formula_part() {
    let outcome = kiln(&["asm", "x * y + 1", "--level", "v3"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    let product = outcome.out.lines().find(|line| line.contains("mulsd")).unwrap();
    assert!(product.contains("; x * y"), "{}", outcome.out);
    assert!(outcome.out.starts_with("0000  "), "{}", outcome.out);
    assert!(outcome.out.lines().any(|line| line.ends_with("ret")), "{}", outcome.out);
}

#[test]
fn asm_emits_the_same_bytes_in_all_forms() {
    let raw = kiln(&["asm", "--emit", "raw", "(x + 5) * 3", "--type", "i32"]);
    assert!(raw.code == 0 && raw.bytes.contains(&0xc3), "{}", raw.err);
    let hex = kiln(&["asm", "--emit", "hex", "(x + 5) * 3", "--type", "i32"]);
    let expected: Vec<String> = raw.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex.out.trim_end(), expected.join(" "));
    assert!(kiln(&["asm", "--emit", "ast", "x * y"]).out.contains("(* x y)"));
    assert!(kiln(&["asm", "--emit", "ir", "x * y"]).out.to_lowercase().contains("mul"));
    let all = kiln(&["asm", "--emit", "all", "x * y"]).out;
    for part in ["syntax tree", "operations", "machine code", "bytes", "(* x y)", "mulsd"] {
        assert!(all.contains(part), "{part}: {all}");
    }
    assert_eq!(kiln(&["asm", "-x"]).code, 0);
    assert_eq!(kiln(&["asm", "x +"]).code, 1);
    assert_eq!(kiln(&["asm"]).code, 2);
}

#[test]
fn explain_shows_every_stage() {
    let outcome = kiln(&["explain", "a*x^2 + 0.5 - -y"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    for part in ["1. source", "2. syntax tree", "3. operations", "4. simplified", "5. machine code", "6. bytes", "x^2"]
    {
        assert!(outcome.out.contains(part), "{part}: {}", outcome.out);
    }
    assert!(outcome.out.contains("rule"), "{}", outcome.out);
}

#[test]
fn functions_are_listed_and_found_by_their_aliases() {
    let all = kiln(&["functions"]);
    for name in ["sqrt(x)", "atan2(y, x)", "hypot("] {
        assert!(all.out.contains(name), "{name}: {}", all.out);
    }
    let one = kiln(&["functions", "arctan2"]);
    assert!(one.out.starts_with("atan2(y, x)\n") && one.out.contains("also    arctan2"), "{}", one.out);
    let none = kiln(&["functions", "sqrtt"]);
    assert!(none.code == 1 && none.err.contains("did you mean `sqrt`?"), "{}", none.err);
}

#[test]
fn the_repl_keeps_definitions() {
    let script = "let r = 2\nr * r\nh = r + 1\nh * 2\n:lets\n:type\n:type i32\n:type\n7 // 2\n:asm r\n:quit\nnever";
    let outcome = kiln_with(&["repl"], script.as_bytes());
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    let expected = "r = 2\n4\nh = 3\n6\nlet r = 2\nlet h = r + 1\nf64\ni32\n3\n";
    assert!(outcome.out.starts_with(expected), "{}", outcome.out);
    assert!(outcome.out.contains("ret") && !outcome.out.contains("never"), "{}", outcome.out);
}

#[test]
fn definitions_can_be_made_again() {
    let outcome = kiln_with(&["repl"], b"let h = 3\nlet k = h + 1\nh = h + 10\nk\n");
    assert_eq!((outcome.out.as_str(), outcome.code), ("h = 3\nk = 4\nh = 13\n4\n", 0), "{}", outcome.err);
    // It was meant, so there is no warning.
    assert_eq!(outcome.err, "");
}

#[test]
fn the_repl_goes_on_after_errors_and_remembers_them() {
    let outcome = kiln_with(&["repl"], b"1 +\nx * 2\n:nonsense\n:type i33\n2 * 3\n");
    assert_eq!((outcome.out.as_str(), outcome.code), ("6\n", 1), "{}", outcome.err);
    for part in ["error[syntax", "without a value: x", "no command `:nonsense`", "no type `i33`"] {
        assert!(outcome.err.contains(part), "{part}: {}", outcome.err);
    }
}

#[test]
fn completions_and_manual_pages_know_all_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let outcome = kiln(&["completions", shell]);
        let known = ["json-lines", "steps", "lib", "check"].iter().all(|option| outcome.out.contains(option));
        assert!(outcome.code == 0 && known, "{shell}");
    }
    assert!(kiln(&["man"]).out.contains("kiln\\-run") && kiln(&["man", "fmt"]).out.contains("\\-\\-check"));
    assert!(kiln(&["man"]).out.contains("kiln\\-fmt"));
    assert!(kiln(&["man", "run"]).out.contains("\\-\\-where"));
    assert_eq!(kiln(&["man", "nothing"]).code, 2);
}

#[test]
fn help_has_examples_everywhere() {
    let commands = ["eval", "run", "repl", "functions", "explain", "asm", "fmt", "completions", "man"];
    for command in commands {
        let outcome = kiln(&[command, "--help"]);
        assert!(outcome.code == 0 && outcome.out.contains("Examples:"), "{command}");
    }
    let main = kiln(&["--help"]).out;
    for command in commands {
        assert!(main.contains(command), "{command}");
    }
    assert_eq!(kiln(&["--version"]).out, format!("kiln {}\n", env!("CARGO_PKG_VERSION")));
}
