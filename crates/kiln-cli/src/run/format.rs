//! Forms of files, and how they are told apart.
//!
//! The one idea: an ending says it; a file whose ending says nothing is looked at; `--input-format` and
//! `--output-format` overrule both. To add a form: a variant, its endings, its reader in `columnar` or its own file, its
//! writer in `sink`.

use crate::report::Failure;
use clap::ValueEnum;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Forms of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines of cells, the first of them names
    Csv,
    /// Apache Parquet
    Parquet,
    /// Arrow IPC with an index at the end: .arrow, .feather, .ipc
    Arrow,
    /// Arrow IPC as a stream: .arrows
    Arrows,
}

impl Format {
    /// What an ending says.
    fn of_name(path: &Path) -> Option<Format> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
        match extension.as_str() {
            "csv" | "tsv" | "tab" | "txt" => Some(Format::Csv),
            "parquet" | "parq" | "pq" => Some(Format::Parquet),
            "arrow" | "feather" | "ipc" => Some(Format::Arrow),
            "arrows" => Some(Format::Arrows),
            _ => None,
        }
    }

    /// The form of an input: an Arrow stream is taken for what it is under any Arrow name.
    pub(crate) fn of_input(path: &Path, option: Option<Format>) -> Format {
        if let Some(format) = option {
            return format;
        }
        let mut start = [0; 6];
        // Looking into a pipe would take bytes out of it.
        let is_file = path != Path::new("-") && path.metadata().is_ok_and(|metadata| metadata.is_file());
        let looked = is_file && File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok();
        let seen = match &start {
            b"ARROW1" => Some(Format::Arrow),
            [b'P', b'A', b'R', b'1', ..] => Some(Format::Parquet),
            // A message begins with this mark and its length.
            [0xff, 0xff, 0xff, 0xff, ..] => Some(Format::Arrows),
            _ => None,
        };
        match Format::of_name(path) {
            Some(Format::Arrow | Format::Arrows) if looked && seen.is_some() => seen.unwrap_or(Format::Arrow),
            Some(format) => format,
            None => seen.unwrap_or(Format::Csv),
        }
    }

    /// The form of an output; what goes to standard output is text unless it is asked for otherwise.
    pub(crate) fn of_output(path: Option<&Path>, option: Option<Format>) -> Result<Format, Failure> {
        match (option, path) {
            (Some(format), _) => Ok(format),
            (None, Some(path)) => Ok(Format::of_name(path).unwrap_or(Format::Csv)),
            (None, None) => Ok(Format::Csv),
        }
    }
}

/// The delimiter that a name says, if it is that of a file of cells.
pub(crate) fn delimiter_of(path: &Path) -> Option<u8> {
    let extension = path.extension().and_then(|e| e.to_str())?.to_ascii_lowercase();
    matches!(extension.as_str(), "tsv" | "tab").then_some(b'\t')
}
