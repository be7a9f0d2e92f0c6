//! flaplab: a BGP resilience testbed and experiment harness.

mod args;
mod bring_up;
mod doctor;
mod progress;
mod run;
mod topo;
mod up;

use std::path::Path;
use std::process::ExitCode;

use args::{Args, Command, TopoCommand};
use clap::{CommandFactory, Parser};

/// How the program ended, as its exit status; docs/exit-codes.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Done = 0,
    Failed = 1,
    Refused = 2,
    DoubtfulRuns = 3,
    Interrupted = 130,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("FLAPLAB_LOG"))
        .with_writer(std::io::stderr)
        .init();
    // The capsule's entrance, the announcer and the shell must be single-threaded, or are run by
    // other programs: they come before the command line is parsed and before there is a runtime.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [harness::capsule::SUBCOMMAND] => harness::capsule::enter(None),
        [harness::capsule::SUBCOMMAND, run_dir] => {
            harness::capsule::enter(Some(Path::new(run_dir)))
        }
        [injectors::announcer::SUBCOMMAND, plan] => return announce(Path::new(plan)),
        _ => {}
    }
    let args = Args::parse();
    match execute(args.command) {
        Ok(status) => status,
        Err(e) => {
            eprintln!("error: {}", with_causes(&e));
            let refused = e.downcast_ref::<topologies::ScenarioError>().is_some();
            ExitCode::from(if refused {
                Exit::Refused as u8
            } else {
                Exit::Failed as u8
            })
        }
    }
}

fn execute(command: Command) -> anyhow::Result<ExitCode> {
    let exit = match command {
        Command::Run(args) => runtime()?.block_on(run::run(args))?,
        Command::Analyze { campaign } => {
            print(&analysis::analyze(&campaign)?.to_string())?;
            Exit::Done
        }
        Command::Doctor { json } => runtime()?.block_on(doctor::doctor(json))?,
        Command::Topo(TopoCommand::Show(args)) => topo::show(&args)?,
        Command::Up(args) => runtime()?.block_on(up::up(args))?,
        Command::Shell { node, lab, command } => {
            let status = harness::standing::shell(lab.as_deref(), &node, &command)?;
            return Ok(ExitCode::from(u8::try_from(status).unwrap_or(1)));
        }
        Command::Down { lab } => {
            println!("{} is down", harness::standing::down(lab.as_deref())?);
            Exit::Done
        }
        Command::Bench(args) => runtime()?.block_on(bring_up::bench(args))?,
        Command::Schema => {
            print(&topologies::schema::json_schema())?;
            Exit::Done
        }
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Args::command(),
                "flaplab",
                &mut std::io::stdout(),
            );
            Exit::Done
        }
    };
    Ok(ExitCode::from(exit as u8))
}

/// An error with those of its causes that it does not tell of itself.
fn with_causes(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .fold(String::new(), |told, cause| {
            if told.contains(&cause) {
                told
            } else if told.is_empty() {
                cause
            } else {
                format!("{told}: {cause}")
            }
        })
}

/// Prints a result. A reader that has seen enough (`| head`) is no error.
fn print(text: &str) -> std::io::Result<()> {
    match std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn announce(plan: &Path) -> ExitCode {
    match injectors::announcer::run(plan) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("flaplab's announcer: {e}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
