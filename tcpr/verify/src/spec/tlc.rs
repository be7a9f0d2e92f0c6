//! The other checker: TLC, the one that TLA+ comes with, if it is here.
//!
//! *Assumes* that `TLA2TOOLS_JAR`, if it is set, names a `tla2tools.jar`, and that `java` runs it.
//! *Guarantees* that the specification is not only what one checker makes of it: TLC has to reach as
//! many states, and to find that they refine.

use std::env;
use std::fs;
use std::io;
use std::process::Command;

use super::{Configuration, Module, directory};

/// Why TLC gave no number.
#[derive(Debug, thiserror::Error)]
pub enum TlcError {
    /// It was not run.
    #[error("cannot run TLC on {name}")]
    Unrunnable {
        /// The configuration.
        name: &'static str,
        /// What was in the way.
        source: io::Error,
    },
    /// It found an error, or did not finish.
    #[error("TLC does not accept {name}:\n{output}")]
    Unaccepted {
        /// The configuration.
        name: &'static str,
        /// All it said.
        output: String,
    },
}

/// How many states TLC reaches in a configuration that holds; nothing if there is no TLC here.
pub fn states(configuration: &Configuration) -> Result<Option<usize>, TlcError> {
    let Some(jar) = env::var_os("TLA2TOOLS_JAR") else {
        return Ok(None);
    };
    let name = configuration.name;
    let unrunnable = |source| TlcError::Unrunnable { name, source };
    let scratch = tempfile::tempdir().map_err(unrunnable)?;
    let config = scratch.path().join(format!("{name}.cfg"));
    let mut text =
        fs::read_to_string(directory().join(format!("{name}.cfg"))).map_err(unrunnable)?;
    // Our checker is told of the refinement by its own means.
    if configuration.module != Module::Connection {
        text.push_str("PROPERTY Refines\n");
    }
    fs::write(&config, text).map_err(unrunnable)?;
    let output = Command::new("java")
        .args(["-XX:+UseParallelGC", "-cp"])
        .arg(jar)
        .args([
            "tlc2.TLC",
            "-workers",
            "auto",
            "-noGenerateSpecTE",
            "-metadir",
        ])
        .arg(scratch.path())
        .arg("-config")
        .arg(&config)
        .arg(format!("{}.tla", configuration.module.name()))
        .current_dir(directory())
        .output()
        .map_err(unrunnable)?;
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    match output
        .contains("No error has been found")
        .then(|| distinct(&output))
    {
        Some(Some(states)) => Ok(Some(states)),
        _ => Err(TlcError::Unaccepted { name, output }),
    }
}

/// The last of the lines that say how many distinct states were found.
fn distinct(output: &str) -> Option<usize> {
    let line = output
        .lines()
        .rfind(|line| line.contains("distinct states found"))?;
    let before = line.split(" distinct states found").next()?;
    before.rsplit(' ').next()?.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_states_is_the_last_that_tlc_prints() {
        let output = "Progress(9): 500 states generated, 120 distinct states found, 3 left.\n\
                      Model checking completed. No error has been found.\n\
                      35,601 states generated, 7,131 distinct states found, 0 states left on queue.\n";
        assert_eq!(distinct(output), Some(7131));
        assert_eq!(distinct("Error: no such module"), None);
    }
}
