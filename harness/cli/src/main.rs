//! flaplab: a BGP resilience testbed and experiment harness.

mod args;
mod bench_campaign;
mod bench_injector;
mod bring_up;
mod campaign;
mod compute;
mod doctor;
mod follow;
mod injector;
mod measured;
mod progress;
mod reproduce;
mod run;
mod topo;
mod up;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use args::{Args, BenchCommand, Command, InjectorCommand, TopoCommand};
use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

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
    // The capsule's entrance, the announcer, TCPR and the shell must be single-threaded, or are run by
    // other programs: they come before the command line is parsed and before there is a runtime.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    keep_log(words.first() == Some(&harness::tcpr::SUBCOMMAND));
    match words.as_slice() {
        [harness::capsule::SUBCOMMAND] => harness::capsule::enter(None),
        [harness::capsule::SUBCOMMAND, run_dir] => {
            harness::capsule::enter(Some(Path::new(run_dir)))
        }
        [injectors::announcer::SUBCOMMAND, plan] => return announce(Path::new(plan)),
        [harness::tcpr::SUBCOMMAND, socket, ttl_s] => return serve_tcpr(Path::new(socket), ttl_s),
        [harness::probe::SUBCOMMAND, address, record] => {
            return receive_probes(address, Path::new(record));
        }
        // A session waits for it after a restart.
        ["injector", "run", config] if !config.starts_with('-') => {
            return injector::run(Path::new(config));
        }
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

/// Logs to standard error what FLAPLAB_LOG asks for, or errors; of a lab's TCPR warnings too, for
/// it has a log file of its own.
fn keep_log(is_tcpr: bool) {
    let level = if is_tcpr {
        LevelFilter::WARN
    } else {
        LevelFilter::ERROR
    };
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .with_env_var("FLAPLAB_LOG")
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A line that is logged comes above the view of a campaign.
        .with_writer(|| progress::screen::Log)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

fn execute(command: Command) -> anyhow::Result<ExitCode> {
    let exit = match command {
        Command::Run(args) => runtime()?.block_on(run::run(args))?,
        Command::Reproduce(args) => runtime()?.block_on(reproduce::reproduce(args))?,
        Command::Campaign(command) => campaign::execute(command)?,
        Command::Analyze {
            campaign,
            publish,
            wanted,
        } => match results::StudyDir::find(&campaign)? {
            Some(_) if !wanted.is_empty() => anyhow::bail!(
                "{} is a study: --wanted needs one of its campaigns, {}",
                campaign.display(),
                analysis::study::CAMPAIGNS
                    .map(|name| campaign.join(name).display().to_string())
                    .join(" or ")
            ),
            Some(study) => reproduce::analyze(&study, publish.as_deref())?,
            None if publish.is_some() => anyhow::bail!(
                "{} is no study: --publish wants the directory of `flaplab reproduce`",
                campaign.display()
            ),
            None => compute::analyze(&campaign, &wanted)?,
        },
        Command::Compare { a, b, metrics, out } => {
            compute::compare(&a, &b, &metrics, out.as_deref())?
        }
        Command::Export { campaign, out } => compute::export(&campaign, &out)?,
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
        Command::Injector(InjectorCommand::Run { config }) => return Ok(injector::run(&config)),
        Command::Injector(command) => injector::execute(command)?,
        Command::Bench(BenchCommand::BringUp { routers, json }) => {
            runtime()?.block_on(bring_up::bench(routers, json))?
        }
        Command::Bench(BenchCommand::Campaign {
            campaign: Some(dir),
            jobs,
            json,
            ..
        }) => bench_campaign::tell(&dir, jobs, json)?,
        Command::Bench(BenchCommand::Campaign {
            runs, jobs, json, ..
        }) => runtime()?.block_on(bench_campaign::bench(runs, jobs, json))?,
        Command::Bench(BenchCommand::Injector { routes, json }) => {
            bench_injector::bench(routes, json)?
        }
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
    let announced = injectors::announcer::run(plan);
    of_a_lab("announcer", announced.map_err(|e| e.to_string()))
}

fn serve_tcpr(socket: &Path, ttl_s: &str) -> ExitCode {
    let served = match ttl_s.parse() {
        Ok(seconds) => harness::tcpr::serve(socket, Duration::from_secs(seconds))
            .map_err(|e| with_causes(&e.into())),
        Err(e) => Err(format!("`{ttl_s}` is no number of seconds: {e}")),
    };
    of_a_lab("tcpr", served)
}

fn receive_probes(address: &str, record: &Path) -> ExitCode {
    let received = match address.parse() {
        Ok(address) => harness::probe::receive(address, record).map_err(|e| e.to_string()),
        Err(e) => Err(format!("`{address}` is no address and port: {e}")),
    };
    of_a_lab("probe receiver", received)
}

/// How a process of a lab ended; its words go to its log.
fn of_a_lab(name: &str, ended: Result<(), String>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("flaplab's {name}: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
