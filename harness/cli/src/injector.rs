//! `flaplab injector`: the BGP speaker, and commands to one that runs.
//!
//! *Assumes* that standard output takes a line at any time. *Guarantees* that `run` does nothing
//! before its configuration is read, since sessions wait for it after a restart; and that it ends
//! with 0 when it was told to end.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use comfy_table::{Table, presets};
use injectors::speaker::config::Source;
use injectors::speaker::control::{Request, ask};
use injectors::speaker::source::Sources;
use injectors::speaker::{Config, Event, Status};
use injectors::{Command, Route};

use crate::args::InjectorCommand;
use crate::{Exit, print, runtime, with_causes};

/// Speaks until it is told to end.
pub(crate) fn run(config: &Path) -> ExitCode {
    let spoken = Config::load(config)
        .with_context(|| config.display().to_string())
        .map_err(|e| (e, Exit::Refused))
        .and_then(|config| {
            let speak = async { injectors::speaker::run(config, Event::print).await };
            let spoken = runtime().map_err(anyhow::Error::from);
            let spoken = spoken.and_then(|runtime| Ok(runtime.block_on(speak)?));
            spoken.map_err(|e| (e, Exit::Failed))
        });
    match spoken {
        Ok(()) => ExitCode::SUCCESS,
        Err((e, exit)) => {
            eprintln!("error: {}", with_causes(&e));
            ExitCode::from(exit as u8)
        }
    }
}

/// Everything but [`run`].
pub(crate) fn execute(command: InjectorCommand) -> anyhow::Result<Exit> {
    match command {
        InjectorCommand::Run { config } => {
            anyhow::bail!("{}: it is run before this", config.display())
        }
        InjectorCommand::Check { config } => return check(&config),
        InjectorCommand::Announce {
            to,
            peer,
            prefix,
            as_path,
            med,
        } => {
            let route = Route {
                prefix,
                as_path,
                med,
            };
            ask(
                &to.control,
                &Request::Change(Command::Announce { peer, route }),
            )?;
        }
        InjectorCommand::Withdraw { to, peer, prefix } => {
            ask(
                &to.control,
                &Request::Change(Command::Withdraw { peer, prefix }),
            )?;
        }
        InjectorCommand::Show { to, json } => {
            let statuses = ask(&to.control, &Request::Show)?;
            let text = match json {
                true => serde_json::to_string_pretty(&statuses)?,
                false => table(&statuses),
            };
            print(&(text + "\n"))?;
        }
    }
    Ok(Exit::Done)
}

/// Whether a configuration can be run: also the files of routes are read.
fn check(path: &Path) -> anyhow::Result<Exit> {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(e) => {
            eprintln!("error: {}: {e}", path.display());
            return Ok(Exit::Refused);
        }
    };
    for peer in &config.peers {
        if let Err(e) = Sources::load(&peer.announce, config.asn) {
            eprintln!("error: {}: peer {}: {e}", path.display(), peer.address);
            return Ok(Exit::Refused);
        }
    }
    let files = |s: &&Source| matches!(s, Source::Mrt { .. });
    let files = config.peers.iter().flat_map(|p| &p.announce).filter(files);
    let (peers, files) = (config.peers.len(), files.count());
    print(&format!(
        "{} can be run: AS {}, peers: {peers}, MRT files read: {files}\n",
        path.display(),
        config.asn
    ))?;
    Ok(Exit::Done)
}

fn table(statuses: &[Status]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "PEER",
        "AS",
        "STATE",
        "ROUTES",
        "TRANSFERRED",
        "PROTECTED",
    ]);
    let word = |yes: bool| if yes { "yes" } else { "no" };
    for status in statuses {
        table.add_row([
            status.peer.to_string(),
            status.asn.to_string(),
            status.state.clone(),
            status.routes.to_string(),
            word(status.transferred).to_owned(),
            word(status.protected).to_owned(),
        ]);
    }
    table.to_string()
}
