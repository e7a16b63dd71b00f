//! Where the rows go.
//!
//! Owns the output file. The one idea: a file is written beside the place where it will stand and renamed when all went
//! well, so whoever looks sees the old file or the whole new one, also when the output is the input, when a row is
//! wrong, or when the program is interrupted.

use crate::report::Failure;
use kiln::Value;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tempfile::{NamedTempFile, TempPath};

/// The half-written file, for the handler of interruptions.
static HALF_WRITTEN: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Writes rows.
pub(crate) struct Sink<'a> {
    writer: csv::Writer<Box<dyn Write + 'a>>,
    file: Option<Beside>,
    scratch: String,
}

/// A file that is written beside its place.
struct Beside {
    file: File,
    path: TempPath,
    place: PathBuf,
}

impl<'a> Sink<'a> {
    /// Opens the output: a file, or `out` if there is none.
    pub(crate) fn open(
        path: Option<&Path>,
        out: &'a mut dyn Write,
        delimiter: u8,
        crlf: bool,
    ) -> Result<Sink<'a>, Failure> {
        let (target, file): (Box<dyn Write + 'a>, _) = match path {
            Some(path) if path != Path::new("-") => open_file(path)?,
            _ => (Box::new(out), None),
        };
        let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let writer = csv::WriterBuilder::new().delimiter(delimiter).terminator(terminator).from_writer(target);
        Ok(Sink { writer, file, scratch: String::new() })
    }

    /// Writes a cell.
    pub(crate) fn cell(&mut self, cell: &[u8]) -> Result<(), Failure> {
        self.writer.write_field(cell).map_err(failure)
    }

    /// Writes a value, or an empty cell.
    pub(crate) fn value(&mut self, value: Option<Value>) -> Result<(), Failure> {
        use std::fmt::Write as _;
        self.scratch.clear();
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(self.scratch, "{value}");
        }
        self.writer.write_field(self.scratch.as_bytes()).map_err(failure)
    }

    /// Ends the row.
    pub(crate) fn end_row(&mut self) -> Result<(), Failure> {
        self.writer.write_record(None::<&[u8]>).map_err(failure)
    }

    /// All went well: what was written is put in its place.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.writer.flush()?;
        drop(self.writer);
        let Some(Beside { file, path, place }) = self.file.take() else { return Ok(()) };
        file.sync_all()?;
        let result = path.persist(&place);
        *HALF_WRITTEN.lock().unwrap_or_else(PoisonError::into_inner) = None;
        result.map_err(|error| cannot_write(&place, &error.error))
    }
}

fn failure(error: csv::Error) -> Failure {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        other => Failure::input(format!("cannot write: {other:?}")),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::input(format!("cannot write {}: {error}", path.display()))
}

fn open_file<'a>(path: &Path) -> Result<(Box<dyn Write + 'a>, Option<Beside>), Failure> {
    let fail = |error: io::Error| cannot_write(path, &error);
    // A link stays a link: its target is what is replaced.
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let existing = fs::metadata(&place).ok();
    if existing.as_ref().is_some_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        // A device or a pipe cannot be replaced.
        let file = File::options().write(true).open(&place).map_err(fail)?;
        return Ok((Box::new(BufWriter::new(file)), None));
    }
    if existing.as_ref().is_some_and(fs::Metadata::is_dir) {
        return Err(Failure::input(format!("cannot write {}: it is a directory", path.display())));
    }
    remove_when_interrupted();
    let directory = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".kiln-").suffix(".partial");
    #[cfg(unix)]
    let open_to_all = {
        use std::os::unix::fs::PermissionsExt as _;
        fs::Permissions::from_mode(0o666)
    };
    #[cfg(unix)]
    builder.permissions(open_to_all);
    let partial: NamedTempFile = builder.tempfile_in(directory).map_err(fail)?;
    *HALF_WRITTEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(partial.path().to_owned());
    if let Some(metadata) = existing {
        // The new file may be read and written by those who could read and write the old one.
        let _ = partial.as_file().set_permissions(metadata.permissions());
    }
    let (file, path) = partial.into_parts();
    let target = BufWriter::with_capacity(1 << 18, file.try_clone().map_err(fail)?);
    Ok((Box::new(target), Some(Beside { file, path, place })))
}

/// Ctrl-C and the like remove the half-written file before they end the program.
fn remove_when_interrupted() {
    // It fails where there is a handler already, which then is this one.
    let _ = ctrlc::set_handler(|| {
        if let Some(path) = HALF_WRITTEN.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = fs::remove_file(path);
        }
        std::process::exit(130);
    });
}
