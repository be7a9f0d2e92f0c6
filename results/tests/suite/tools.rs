//! Running the tools that the formats were made for.

use std::process::{Command, Output};

/// Runs a tool to its end. A tool that is not there is a failure with its remedy: the
/// comparison with it is what a test is for.
pub(crate) fn run(package: &str, command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| {
        panic!(
            "cannot run {:?}: {e}; install it: apt-get install {package}",
            command.get_program()
        )
    });
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// What a tool printed.
pub(crate) fn stdout(package: &str, command: &mut Command) -> String {
    String::from_utf8(run(package, command).stdout).unwrap()
}
