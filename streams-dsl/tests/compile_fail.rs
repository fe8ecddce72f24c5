//! What must not compile, and the remedy that the compiler tells.
//!
//! Each case in `tests/compile_fail` begins with the lines, behind `//~`, that the compiler has to say. The cases are
//! compiled by `rustc` against this very build of the crate, so that nothing is built a second time.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn wrong_use_is_refused_with_its_remedy() {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_path_buf();
    let library = newest_library(&deps);
    let out = tempfile::tempdir().unwrap();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail");
    let mut count = 0;
    for entry in std::fs::read_dir(cases).unwrap() {
        let case = entry.unwrap().path();
        let said = compile(&case, &library, &deps, out.path());
        let source = std::fs::read_to_string(&case).unwrap();
        let expected: Vec<&str> = source.lines().filter_map(|line| line.strip_prefix("//~ ")).collect();
        assert!(!expected.is_empty(), "{}: nothing is expected of it", case.display());
        for line in expected {
            assert!(said.contains(line), "{}: `{line}` is not in\n{said}", case.display());
        }
        count += 1;
    }
    assert!(count >= 10, "only {count} cases were found");
}

/// What the compiler says about a case, which it must refuse.
fn compile(case: &Path, library: &Path, deps: &Path, out: &Path) -> String {
    let mut library_argument = std::ffi::OsString::from("streams_dsl=");
    library_argument.push(library);
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition", "2024", "--emit", "metadata", "--crate-type", "bin", "--color", "never"])
        .arg("--out-dir")
        .arg(out)
        .arg("-L")
        .arg(format!("dependency={}", deps.display()))
        .arg("--extern")
        .arg(library_argument)
        .arg(case)
        .output()
        .expect("rustc runs");
    assert!(!output.status.success(), "{} compiles, but must not", case.display());
    String::from_utf8(output.stderr).expect("rustc writes UTF-8")
}

fn newest_library(deps: &Path) -> PathBuf {
    let is_library = |path: &PathBuf| {
        path.extension() == Some(OsStr::new("rlib"))
            && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libstreams_dsl-"))
    };
    std::fs::read_dir(deps)
        .expect("the directory of this test is readable")
        .map(|entry| entry.expect("an entry is readable").path())
        .filter(is_library)
        .max_by_key(|path| path.metadata().and_then(|data| data.modified()).expect("a file has a time"))
        .expect("the crate is built before its tests")
}
