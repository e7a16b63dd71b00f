//! What the numbers were measured on.

use std::fs;
use std::process::Command;

/// The versions of all packages, when this program was built.
const LOCK: &str = include_str!("../../../Cargo.lock");

/// The version of a package.
fn package(name: &str) -> &'static str {
    let head = format!("name = \"{name}\"\nversion = \"");
    LOCK.split_once(&head).and_then(|(_, rest)| rest.split('"').next()).unwrap_or("-")
}

/// The engines that are packages, with their versions.
pub(crate) fn packages() -> String {
    let names = ["cranelift-jit", "symjit", "fidget", "fasteval", "exmex", "evalexpr", "astro-float"];
    names.map(|name| format!("{name} {}", package(name))).join(", ")
}

fn first_line(program: &str, word: &str) -> Option<String> {
    let output = Command::new(program).arg(word).output().ok().filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}

/// Processor, cores, load and compilers.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpu.lines().find(|line| line.split(':').next().is_some_and(|head| head.trim() == name));
        line.and_then(|line| line.split_once(':')).map_or("-", |(_, value)| value.trim()).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("-").to_owned();
    let family = format!("family {} model {}", field("cpu family"), field("model"));
    let compilers =
        [first_line("rustc", "--version"), first_line("gcc", "--version"), first_line("clang", "--version")];
    let compilers = compilers.into_iter().flatten().collect::<Vec<_>>().join("; ");
    let level = kiln::Engine::new().level();
    format!("{} ({family}), {cores} cores, level {level:?}, load {load} at the start; {compilers}", field("model name"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_found() {
        assert!(!super::packages().contains(" -"), "{}", super::packages());
    }
}
