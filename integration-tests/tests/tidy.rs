//! The rules about this project's own source that a machine can check: what ARCHITECTURE.md and CONTRIBUTING.md
//! promise and neither rustc nor clippy looks at.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const LONGEST_FILE_LINES: usize = 500;
const LONGEST_EXAMPLE_LINES: usize = 150;

/// Which crates of the workspace a crate may depend on. What only tests use makes no arrow.
const ARROWS: &[(&str, &[&str])] = &[
    ("streams-core", &[]),
    ("state-stores", &["streams-core"]),
    ("streams-derive", &[]),
    ("streams-test-driver", &["streams-core", "state-stores"]),
    ("streams-http", &["streams-core"]),
    ("streams-dsl", &["streams-core", "state-stores", "streams-derive", "streams-http"]),
    ("log-server", &[]),
    ("examples", &["streams-dsl", "log-server"]),
    ("integration-tests", &["streams-core", "streams-dsl", "streams-test-driver", "log-server", "examples"]),
    ("benches", &["streams-dsl", "log-server"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_path_buf()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file of the project with one of these extensions, by its path from the root; build output is left out.
fn files(extensions: &[&str]) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut open = vec![root()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("a directory of the project is readable") {
            let path = entry.expect("a directory entry is readable").path();
            let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|it| extensions.iter().any(|wanted| it == *wanted)) {
                let relative = path.strip_prefix(root()).expect("found below the root").display().to_string();
                found.push((relative, path));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no file with one of {extensions:?}");
    found
}

fn cargo(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn metadata(arguments: &[&str]) -> Value {
    let text = cargo(&[&["metadata", "--locked", "--format-version=1"], arguments].concat());
    serde_json::from_str(&text).expect("cargo metadata prints JSON")
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A source line without its comment. Good enough for words that stand in no string.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn assert_none(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n  {}", faults.join("\n  "));
}

#[test]
fn files_stay_short() {
    let faults: Vec<_> = files(&["rs"])
        .into_iter()
        .map(|(name, path)| (read(&path).lines().count(), name))
        .filter(|(lines, _)| *lines > LONGEST_FILE_LINES)
        .map(|(lines, name)| format!("{name}: {lines} lines"))
        .collect();
    assert_none("split these files by noun, at most 500 lines each", &faults);
}

#[test]
fn examples_are_read_in_one_go() {
    let programs = files(&["rs"]).into_iter().filter(|(name, _)| name.starts_with("examples/src/bin/"));
    let faults: Vec<_> = programs
        .map(|(name, path)| (read(&path).lines().count(), name))
        .filter(|(lines, _)| *lines > LONGEST_EXAMPLE_LINES)
        .map(|(lines, name)| format!("{name}: {lines} lines"))
        .collect();
    assert_none("an example has at most 150 lines; what several share is in examples/src", &faults);
}

#[test]
fn file_names_are_nouns_of_the_domain() {
    let vague = ["utils", "util", "common", "helper", "helpers", "misc", "impl2"];
    let faults: Vec<_> = files(&["rs"])
        .into_iter()
        .filter(|(_, path)| {
            path.file_stem().is_some_and(|stem| {
                vague.iter().any(|it| stem == *it) || stem.to_string_lossy().ends_with("_impl")
            })
        })
        .map(|(name, _)| name)
        .collect();
    assert_none("name these files after what they hold", &faults);
}

#[test]
fn crates_depend_one_way() {
    let metadata = metadata(&["--no-deps"]);
    let members: BTreeSet<_> =
        array(&metadata["packages"]).iter().map(|package| text(&package["name"])).collect();
    let mut faults = Vec::new();
    for package in array(&metadata["packages"]) {
        let name = text(&package["name"]);
        let Some((_, allowed)) = ARROWS.iter().find(|(it, _)| *it == name) else {
            faults.push(format!("{name}: a new crate; say in ARROWS what it may depend on"));
            continue;
        };
        for dependency in array(&package["dependencies"]) {
            let to = text(&dependency["name"]);
            if members.contains(to) && dependency["kind"] != "dev" && !allowed.contains(&to) {
                faults.push(format!("{name} -> {to}"));
            }
        }
    }
    assert_none("arrows that the architecture does not have", &faults);
}

#[test]
fn the_pure_part_has_no_clock_no_socket_and_no_runtime() {
    let forbidden =
        ["tokio", "std::net", "Instant::now", "SystemTime::now", "rdkafka", "async fn", "std::thread"];
    let pure = ["streams-core/src/task/", "streams-core/src/topology/", "streams-core/src/processor/"];
    let mut faults = Vec::new();
    for (name, path) in files(&["rs"]) {
        if pure.iter().any(|directory| name.starts_with(directory)) {
            for (number, line) in read(&path).lines().enumerate() {
                if let Some(word) = forbidden.iter().find(|word| code(line).contains(*word)) {
                    faults.push(format!("{name}:{}: {word}", number + 1));
                }
            }
        }
    }
    assert_none("task/, topology/ and processor/ take time and records as arguments", &faults);
}

#[test]
fn nothing_is_left_to_be_written() {
    // In two parts, so that this file does not find itself.
    let stubs =
        [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("FIX", "ME"), concat!("TO", "DO")];
    let mut faults = Vec::new();
    for (name, path) in files(&["rs"]) {
        for (number, line) in read(&path).lines().enumerate() {
            if let Some(word) = stubs.iter().find(|word| line.contains(*word)) {
                faults.push(format!("{name}:{}: {word}", number + 1));
            }
        }
    }
    assert_none("finish these", &faults);
}

#[test]
fn unsafe_code_stays_where_librdkafka_is_called() {
    let allowance = concat!("allow(unsafe", "_code)");
    let home = "streams-core/src/client/rdkafka/ffi";
    let outside: Vec<_> = files(&["rs"])
        .into_iter()
        .filter(|(name, path)| !name.starts_with(home) && read(path).contains(allowance))
        .map(|(name, _)| name)
        .collect();
    assert_none("unsafe belongs into the module about librdkafka's C functions", &outside);
}

#[test]
fn architecture_names_files_that_exist() {
    let mut faults = Vec::new();
    for document in ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md"] {
        let page = read(&root().join(document));
        // Odd pieces between backticks are the code spans; fenced blocks only add empty ones.
        for span in page.split('`').skip(1).step_by(2) {
            let is_path = span.contains('/')
                && !span.contains([' ', '*', '<', ':', '$', '\n', '='])
                && !span.starts_with('/');
            let is_file = [".rs", ".md", ".yml", ".toml", "/"].iter().any(|end| span.ends_with(end));
            if is_path && is_file && !root().join(span).exists() {
                faults.push(format!("{document}: {span}"));
            }
        }
    }
    assert_none("documents name files that are not there", &faults);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut faults = Vec::new();
    for (name, path) in files(&["md"]) {
        for target in read(&path).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let local = !file.is_empty() && !file.contains("://") && !file.starts_with("mailto:");
            if local && !path.parent().expect("a file has a directory").join(file).exists() {
                faults.push(format!("{name}: {target}"));
            }
        }
    }
    assert_none("broken links", &faults);
}

#[test]
fn the_workflow_runs_every_step_of_the_local_run() {
    let run = read(&root().join(".ci/run"));
    let all = run
        .lines()
        .find_map(|line| line.trim().strip_prefix("[ ${#steps[@]} -gt 0 ] || steps=("))
        .and_then(|rest| rest.strip_suffix(')'))
        .expect(".ci/run lists its steps");
    let workflow = read(&root().join(".github/workflows/ci.yml"));
    for step in all.split(' ').filter(|step| *step != "deny") {
        assert!(workflow.contains(&format!("run: .ci/run {step}\n")), "ci.yml does not run the step {step}");
    }
    assert!(workflow.contains("cargo-deny-action"), "ci.yml runs cargo-deny by its action");
}

/// Whether a licence expression can be met with the allowed licences: `OR` needs one side, `AND` both.
fn allows(allowed: &BTreeSet<String>, expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], "");
    expression.split(" AND ").all(|part| part.split(" OR ").any(|licence| allowed.contains(licence.trim())))
}

#[test]
fn licences_of_all_dependencies_are_allowed() {
    let deny: toml::Value = toml::from_str(&read(&root().join("deny.toml"))).expect("deny.toml is TOML");
    let allowed: BTreeSet<_> = deny["licenses"]["allow"]
        .as_array()
        .expect("deny.toml lists the allowed licences")
        .iter()
        .filter_map(|licence| licence.as_str().map(str::to_owned))
        .collect();
    assert!(!allows(&allowed, "GPL-3.0-only") && !allows(&allowed, "MIT AND GPL-3.0-only"));
    let metadata = metadata(&[]);
    let faults: Vec<_> = array(&metadata["packages"])
        .iter()
        .filter(|package| !allows(&allowed, text(&package["license"])))
        .map(|package| format!("{}: {}", text(&package["name"]), package["license"]))
        .collect();
    assert_none("licences that deny.toml does not allow", &faults);
}

/// The part of `cargo tree` below `package`: what decides whether its build script runs again.
fn build_of(package: &str, member: &str) -> String {
    let tree = cargo(&[
        "tree",
        "--locked",
        "-p",
        member,
        "-e",
        "normal,build",
        "--no-dedupe",
        "--prefix=depth",
        "-f",
        " {p} {f}",
    ]);
    let depth =
        |line: &str| line.split(' ').next().and_then(|digits| digits.parse::<usize>().ok()).unwrap_or(0);
    let mut lines = tree.lines().skip_while(|line| !line.contains(&format!(" {package} v")));
    let Some(head) = lines.next() else { return String::new() };
    let below = lines.take_while(|line| depth(line) > depth(head));
    let relative =
        |line: &str| format!("{} {}", depth(line) - depth(head), line.trim_start_matches(char::is_numeric));
    std::iter::once(head).chain(below).map(relative).collect::<Vec<_>>().join("\n")
}

/// Were these to differ, `cargo test -p one-crate` after `cargo test` would compile RocksDB again, for minutes.
#[test]
fn rocksdb_is_built_alike_for_every_selection() {
    let mut builds: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (member, _) in ARROWS {
        builds.entry(build_of("librocksdb-sys", member)).or_default().push(member);
    }
    assert!(
        builds.remove("").is_some_and(|without| without.contains(&"log-server")),
        "the log server reaches RocksDB"
    );
    let groups: Vec<_> = builds.values().collect();
    assert_eq!(groups.len(), 1, "RocksDB is built differently for these crates: {groups:?}");
}
