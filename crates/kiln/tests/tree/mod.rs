//! The library's source files, as text.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A source file.
pub(crate) struct File {
    /// Below `src`, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Compiled for tests alone.
    pub(crate) is_test: bool,
}

impl File {
    /// The first module of its path.
    pub(crate) fn module(&self) -> &str {
        self.path.split('/').next().unwrap_or("").trim_end_matches(".rs")
    }

    /// Its text before the tests at its end.
    pub(crate) fn code(&self) -> &str {
        let end = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        &self.text[..end]
    }

    /// The names that follow `prefix` in code, comments left out, each once.
    pub(crate) fn names_after(&self, prefix: &str) -> Vec<&str> {
        let mut names = Vec::new();
        for line in self.code().lines().filter(|line| !line.trim_start().starts_with("//")) {
            for rest in line.split(prefix).skip(1) {
                let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    /// The numbers, from 0, of the lines on which an unsafe block or implementation begins.
    pub(crate) fn unsafe_lines(&self) -> impl Iterator<Item = usize> {
        let begins = |line: &str| {
            let line = line.trim_start();
            !line.starts_with("//") && (line.contains("unsafe {") || line.starts_with("unsafe impl"))
        };
        self.code().lines().enumerate().filter(move |(_, line)| begins(line)).map(|(at, _)| at)
    }

    /// The heads of its public items.
    pub(crate) fn public_items(&self) -> Vec<String> {
        let mut items = Vec::new();
        let mut lines = self.code().lines();
        while let Some(line) = lines.next() {
            let line = line.trim();
            let variant = line.starts_with("pub ") && !line.starts_with("pub(");
            if !variant {
                continue;
            }
            let mut head = line.to_owned();
            while !head.ends_with(['{', ';', ',', '}']) {
                let Some(next) = lines.next() else { break };
                head.push(' ');
                head.push_str(next.trim());
            }
            items.push(head.trim_end_matches(['{', ';', ',', ' ']).to_owned());
        }
        items
    }
}

/// All source files, sorted by path.
pub(crate) fn sources() -> Vec<File> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![folder.clone()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                let path = path.strip_prefix(&folder).expect("below src").to_string_lossy().replace('\\', "/");
                files.push(File { path, text, is_test: false });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let tests: Vec<String> = files.iter().flat_map(test_modules).collect();
    for file in &mut files {
        let stem = file.path.trim_end_matches(".rs").trim_end_matches("/mod").to_owned();
        // What a test file declares is for tests too; such files carry the word in their names.
        let name = stem.rsplit('/').next().unwrap_or("");
        let named = name == "tests" || name.starts_with("tests_") || name.ends_with("_tests");
        file.is_test = named || tests.iter().any(|test| stem == *test || stem.starts_with(&format!("{test}/")));
    }
    files
}

/// The paths, without ending, of the modules that `file` declares for tests alone.
fn test_modules(file: &File) -> Vec<String> {
    let stem = file.path.trim_end_matches(".rs");
    let below = if stem == "lib" { "" } else { stem.trim_end_matches("/mod") };
    let beside = Path::new(below).parent().map_or(String::new(), |p| p.to_string_lossy().into_owned());
    let (mut found, mut path) = (Vec::new(), None);
    let mut lines = file.text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" && !line.starts_with("#[cfg(all(test") {
            continue;
        }
        for line in lines.by_ref() {
            if let Some(rest) = line.strip_prefix("#[path = \"") {
                path = rest.split('"').next();
            } else if !line.starts_with("#[") && !line.starts_with("//") {
                let name = line.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
                if let Some(name) = name.strip_prefix("mod ").and_then(|name| name.strip_suffix(';')) {
                    let join = |folder: &str, name: &str| {
                        if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
                    };
                    found.push(match path.take() {
                        // A path in `mod.rs` starts beside it, and so does one in any other file.
                        Some(path) if stem.ends_with("/mod") => join(below, path.trim_end_matches(".rs")),
                        Some(path) => join(&beside, path.trim_end_matches(".rs")),
                        None => join(below, name),
                    });
                }
                break;
            }
        }
    }
    found
}

/// Compares with a file, or rewrites it under `KILN_BLESS=1`.
pub(crate) fn compare(path: &Path, text: &str) {
    if std::env::var_os("KILN_BLESS").is_some() {
        std::fs::write(path, text).expect("written");
        return;
    }
    let old = std::fs::read_to_string(path).unwrap_or_default().replace("\r\n", "\n");
    if old != text {
        let line = old.lines().zip(text.lines()).position(|(a, b)| a != b);
        let line = line.unwrap_or_else(|| old.lines().count().min(text.lines().count()));
        let (was, is) = (old.lines().nth(line).unwrap_or(""), text.lines().nth(line).unwrap_or(""));
        panic!("{} is stale at line {}: `{was}` should be `{is}`; KILN_BLESS=1 rewrites it", path.display(), line + 1);
    }
}
