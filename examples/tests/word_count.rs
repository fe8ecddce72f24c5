//! `word_count` from standard input to the printed counts.

use std::io::Write;
use std::process::{Command, Stdio};

#[test]
fn standard_input_is_counted_to_its_end() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_word_count"))
        .args(["--top", "3"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let text = "a rose is a rose\nis a rose\n".repeat(500);
    program.stdin.take().expect("piped").write_all(text.as_bytes()).expect("the program reads its input");
    let output = program.wait_with_output().expect("the program ends");
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "    1500  a\n    1500  rose\n    1000  is\n");
}
