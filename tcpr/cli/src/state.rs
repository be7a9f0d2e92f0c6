//! `tcpr state`: what is protected, and what becomes of it.
//!
//! *Assumes* that `tcpr serve` runs.
//! *Guarantees* that it only looks.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use tcpr::protocol::Notice;
use tcpr::{Client, Ending, Endpoint, Flow, Summary};

use crate::names;

/// What to look at.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
    /// Where the server is: the path of its socket, or udp:ADDRESS:PORT?key=FILE
    /// [default: $TCPR_SOCKET, else as `tcpr serve` has it]
    #[arg(long, value_name = "WHERE", global = true)]
    socket: Option<String>,
    /// Print JSON: one object, or with `watch` one a line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Every protected connection
    List,
    /// One connection, wholly
    Show {
        /// LOCAL-REMOTE, or both one after the other, each ADDRESS:PORT
        #[arg(required = true, num_args = 1..=2, value_name = "FLOW")]
        flow: Vec<String>,
    },
    /// What happens to connections, as it happens, until Ctrl-C
    Watch,
    /// What was counted since the server was started
    Counters,
}

/// Looks.
///
/// # Errors
///
/// If no server is there, or it does not know the connection.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let endpoint = match &options.socket {
        Some(text) => text.parse()?,
        None => Endpoint::from_environment()?,
    };
    let client = Client::connect(&endpoint)?;
    let result = match options.what {
        What::List if options.json => print_json(&client.list()?),
        What::List => print(&table(&client.list()?)),
        What::Show { flow } => {
            let flow = names::flow(&flow.join("-")).map_err(anyhow::Error::msg)?;
            let summary = client.show(&flow)?;
            if options.json {
                print_json(&summary)
            } else {
                print(&portrait(&summary))
            }
        }
        What::Watch => watch(&client, options.json),
        What::Counters => {
            let counted = serde_json::to_value(client.counters()?)?;
            if options.json {
                print_json(&counted)
            } else {
                print(&counters(&counted))
            }
        }
    };
    match result {
        // A reader that has seen enough (`| head`) is no error.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
        other => other?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> io::Result<()> {
    io::stdout().write_all(text.as_bytes())
}

fn print_json(value: &impl Serialize) -> io::Result<()> {
    print(&(serde_json::to_string_pretty(value)? + "\n"))
}

fn table(connections: &[Summary]) -> String {
    if connections.is_empty() {
        return "no connection is protected\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "LOCAL", "PEER", "PHASE", "SINCE", "INC", "SENT", "UNACKED", "RECEIVED", "LAG", "HELD",
    ]);
    for summary in connections {
        table.add_row([
            summary.flow.local.to_string(),
            summary.flow.remote.to_string(),
            phase(summary),
            age(summary.phase_age),
            summary.hard.incarnation.to_string(),
            summary.sent.to_string(),
            summary.sent.saturating_sub(summary.acked).to_string(),
            summary.received.to_string(),
            lag(summary).to_string(),
            if summary.held { "yes" } else { "" }.to_owned(),
        ]);
    }
    for column in 3..9 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect();
    lines.concat()
}

fn phase(summary: &Summary) -> String {
    match (summary.registered, summary.ending) {
        (_, Some(ending)) => ended(ending).to_owned(),
        (true, None) => summary.phase.to_string(),
        (false, None) => format!("{}, unregistered", summary.phase),
    }
}

fn ended(ending: Ending) -> &'static str {
    match ending {
        Ending::Finished => "finished",
        Ending::ResetByPeer => "reset by peer",
        Ending::Aborted => "aborted",
        Ending::Expired => "expired",
    }
}

/// Input that the peer has sent and the application has not checkpointed.
fn lag(summary: &Summary) -> u64 {
    summary.received.saturating_sub(summary.hard.checkpoint)
}

fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", time.as_secs_f64()),
        10..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// One connection, for people.
fn portrait(summary: &Summary) -> String {
    let hard = &summary.hard;
    let mut lines = vec![
        ("connection", summary.flow.to_string()),
        (
            "phase",
            format!("{} for {}", phase(summary), age(summary.phase_age)),
        ),
        ("incarnation", hard.incarnation.to_string()),
        (
            "output",
            format!(
                "{} sent, {} acknowledged, {} on the way",
                summary.sent,
                summary.acked,
                summary.sent.saturating_sub(summary.acked)
            ),
        ),
        (
            "input",
            format!(
                "{} received, {} acknowledged by the local TCP, {} checkpointed: {} behind",
                summary.received,
                summary.local_ack,
                hard.checkpoint,
                lag(summary)
            ),
        ),
        (
            "windows",
            format!(
                "{} told to the peer, {} told by it",
                summary.window, summary.peer_window
            ),
        ),
        (
            "held",
            if summary.held {
                "segments of the peer wait for the application"
            } else {
                "nothing"
            }
            .to_owned(),
        ),
    ];
    let mut agreed = vec![format!("peer's MSS {}", hard.peer_mss)];
    agreed.push(match hard.scales {
        Some(scales) => format!(
            "window scale {} and {} (the local TCP's now: {})",
            scales.ours, scales.peers, scales.inside
        ),
        None => "no window scale".to_owned(),
    });
    for (name, is_used) in [
        ("SACK", hard.sack),
        ("timestamps", hard.timestamps),
        ("ECN", hard.ecn),
    ] {
        agreed.push(format!("{}{name}", if is_used { "" } else { "no " }));
    }
    lines.push(("agreed", agreed.join(", ")));
    lines.push((
        "shifts",
        format!(
            "sequence numbers by {}, timestamps by {}",
            hard.delta, hard.timestamp_offset
        ),
    ));
    lines.push((
        "began at",
        format!("{} here, {} there", hard.ours.initial, hard.peers.initial),
    ));
    if let Some(port) = hard.inside_port {
        lines.push(("local port", format!("{port}, unlike the peer sees it")));
    }
    if hard.done_reading {
        lines.push(("reading", "done: all input counts as checkpointed".into()));
    }
    if let Some(end) = hard.done_writing {
        lines.push(("writing", format!("done: the output ends at {end}")));
    }
    if let Some(end) = hard.peer_fin {
        lines.push(("peer", format!("has closed: its output ends at {end}")));
    }
    aligned(&lines)
}

fn aligned(lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    lines
        .iter()
        .map(|(name, text)| format!("{name:width$}  {text}\n"))
        .collect()
}

/// Groups of counters, those that are zero left out.
fn counters(counted: &serde_json::Value) -> String {
    let mut text = String::new();
    for (group, values) in counted.as_object().into_iter().flatten() {
        text += &format!("{group}\n");
        let mut nothing = true;
        for (name, value) in values.as_object().into_iter().flatten() {
            if value.as_u64() == Some(0) {
                continue;
            }
            nothing = false;
            text += &format!("  {:<20} {value:>14}\n", name.replace('_', " "));
        }
        if nothing {
            text += "  nothing yet\n";
        }
    }
    text
}

fn watch(client: &Client, json: bool) -> io::Result<()> {
    let notices = client.watch().map_err(io::Error::other)?;
    let (mut lost, mut is_open) = (0, true);
    loop {
        let notice = notices.next(Duration::from_secs(1));
        if is_open != client.is_open() {
            is_open = !is_open;
            eprintln!(
                "{}",
                if is_open {
                    "the server is back"
                } else {
                    "the server has gone"
                }
            );
        }
        if notices.lost() > lost {
            eprintln!("{} notices were not shown in time", notices.lost() - lost);
            lost = notices.lost();
        }
        let Some(notice) = notice else {
            continue;
        };
        let now = jiff::Zoned::now();
        if json {
            let seen = Seen {
                time: now.timestamp().to_string(),
                notice,
            };
            print(&(serde_json::to_string(&seen)? + "\n"))?;
        } else {
            let time = now.strftime("%H:%M:%S%.6f");
            let (flow, what) = told(&notice);
            let flow = flow.map_or_else(String::new, |flow| flow.to_string());
            print(&format!("{time}  {flow}  {what}\n"))?;
        }
        io::stdout().flush()?;
    }
}

#[derive(Serialize)]
struct Seen {
    time: String,
    #[serde(flatten)]
    notice: Notice,
}

fn told(notice: &Notice) -> (Option<Flow>, String) {
    let what = match notice {
        Notice::Established { .. } => "established".to_owned(),
        Notice::Acked { offset, .. } => format!("peer has acknowledged {offset}"),
        Notice::Failed { .. } => "its TCP has failed; the peer does not know".to_owned(),
        Notice::Spliced { hard } => format!("recovered, incarnation {}", hard.incarnation),
        Notice::Closed { ending, .. } => format!("ended: {}", ended(*ending)),
        Notice::Removed { .. } => "forgotten".to_owned(),
        Notice::Unknown => "something that this release does not know".to_owned(),
    };
    (notice.flow(), what)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tcpr::core::{Hard, Phase, Scales, Stream};

    use super::*;

    fn summary() -> Summary {
        let flow = Flow {
            local: "[2001:db8::1]:179".parse().unwrap(),
            remote: "[2001:db8::2]:40000".parse().unwrap(),
        };
        Summary {
            flow,
            phase: Phase::Live,
            phase_age: Duration::from_millis(2345),
            registered: true,
            hard: Hard {
                flow,
                inside_port: None,
                incarnation: 3,
                ours: Stream { initial: 1 },
                peers: Stream { initial: 2 },
                peer_mss: 1440,
                scales: Some(Scales {
                    ours: 7,
                    peers: 8,
                    inside: 7,
                }),
                sack: true,
                timestamps: false,
                timestamp_offset: 0,
                tsval: 0,
                ecn: false,
                checkpoint: 100,
                done_reading: false,
                done_writing: Some(900),
                peer_fin: None,
                delta: 5,
                spliced: 3,
                acked: 500,
            },
            sent: 900,
            acked: 500,
            received: 140,
            local_ack: 120,
            window: 65_536,
            peer_window: 1024,
            held: false,
            ending: None,
        }
    }

    #[test]
    fn a_row_has_what_is_on_the_way_and_what_is_not_checkpointed() {
        let text = table(&[summary()]);
        let row: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(
            row,
            [
                "[2001:db8::1]:179",
                "[2001:db8::2]:40000",
                "live",
                "2.3s",
                "3",
                "900",
                "400",
                "140",
                "40"
            ]
        );
    }

    #[test]
    fn a_portrait_says_everything_agreed() {
        let text = portrait(&summary());
        for part in [
            "live for 2.3s",
            "400 on the way",
            "100 checkpointed: 40 behind",
            "window scale 7 and 8",
            "no timestamps",
            "the output ends at 900",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn counters_that_are_zero_are_left_out() {
        let counted =
            serde_json::json!({"channel": {"wrong_key": 4, "full": 0}, "dataplane": {"lost": 0}});
        let text = counters(&counted);
        assert!(text.contains("wrong key") && text.contains('4'));
        assert!(!text.contains("full") && text.contains("nothing yet"));
    }
}
