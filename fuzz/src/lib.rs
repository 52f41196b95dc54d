//! What every target is built with: libFuzzer's entry; or, without the feature `libfuzzer`, on any Rust and without a C++ compiler,
//! a program that plays the inputs in the files and directories that it is given the names of.

#[cfg(feature = "libfuzzer")]
pub use libfuzzer_sys::fuzz_target;

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Makes a program of a target.
#[cfg(not(feature = "libfuzzer"))]
#[macro_export]
macro_rules! fuzz_target {
    (|$data:ident: &[u8]| $body:expr) => {
        fn main() -> std::io::Result<()> {
            $crate::play(|$data: &[u8]| $body)
        }
    };
}

/// Runs a target over the inputs that the arguments name.
pub fn play(target: impl Fn(&[u8])) -> io::Result<()> {
    for path in env::args_os().skip(1).map(PathBuf::from) {
        play_one(&path, &target)?;
    }
    Ok(())
}

fn play_one(path: &Path, target: &impl Fn(&[u8])) -> io::Result<()> {
    if !path.is_dir() {
        eprintln!("{}", path.display());
        target(&fs::read(path)?);
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        play_one(&entry?.path(), target)?;
    }
    Ok(())
}
