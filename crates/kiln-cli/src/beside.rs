//! Files that replace others.
//!
//! The one idea: a file is written beside the place where it will stand and renamed when all went well, so whoever looks
//! sees the old file or the whole new one, also when what is written comes from the old one, or when the program is
//! interrupted.

use crate::report::Failure;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tempfile::{NamedTempFile, TempPath};

/// The half-written file, for the handler of interruptions.
static HALF_WRITTEN: Mutex<Option<PathBuf>> = Mutex::new(None);

/// A file that is written beside its place.
pub(crate) struct Beside {
    file: File,
    path: TempPath,
    place: PathBuf,
}

impl Beside {
    /// All went well, and all is written: the file is put in its place.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let Beside { file, path, place } = self;
        file.sync_all()?;
        let result = path.persist(&place);
        *HALF_WRITTEN.lock().unwrap_or_else(PoisonError::into_inner) = None;
        result.map_err(|error| cannot_write(&place, &error.error))
    }
}

/// Replaces the content of a file.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let (mut target, file) = open(path)?;
    target.write_all(content).and_then(|()| target.flush()).map_err(|error| cannot_write(path, &error))?;
    drop(target);
    file.map_or(Ok(()), Beside::finish)
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::input(format!("cannot write {}: {error}", path.display()))
}

/// Opens a file to be written in the place of `path`; there is nothing to finish if the place is a device or a pipe.
pub(crate) fn open(path: &Path) -> Result<(Box<dyn Write + Send>, Option<Beside>), Failure> {
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
