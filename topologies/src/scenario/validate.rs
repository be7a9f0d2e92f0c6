//! From what an author wrote to a scenario that can be run.
//!
//! *Assumes* the shape that [`super::authored`] gives. *Guarantees* that what passes can be
//! resolved without fail, and that nothing is mended in silence: each impossible or contradictory
//! value is a [`Flaw`] at its own place.

use std::collections::BTreeMap;

use serde_saphyr::Location;

use super::Scenario;
use super::authored::{
    At, Authored, AuthoredDeadlines, AuthoredFailure, AuthoredFiller, AuthoredRouter, ExtraConfig,
};
use super::network::{self, Network};
use super::refusal::Flaw;
use crate::addressing::{INJECTOR, MAX_FILLER};
use crate::graph::router_index;
use crate::kinds::{FailureKind, InjectorKind, RouterLimits, Strategy, TopologyKind};
use crate::resolved::{Deadlines, Filler, InjectorSettings, RouterSettings, quiet_period};
use crate::units::Span;

/// Most runs per arm: run numbers have four digits, so that names sort in order.
const MAX_RUNS: u32 = 9_999;
/// ExaBGP's API manages about 2,400 routes per second.
const MAX_FILLER_RATE: u32 = 2_000;
/// HOLDTIME is a 16-bit number of seconds (RFC 4271, section 4.2), and at least 3 (ibid.).
const HOLD_TIME_S: (u64, u64) = (3, 65_535);
/// Restart Time is a 12-bit number of seconds (RFC 4724, section 3).
const RESTART_TIME_MAX_S: u64 = 4_095;

type Checked<T> = Result<T, Flaw>;

pub(crate) fn scenario(authored: Authored, text: &str) -> Checked<Scenario> {
    let name = name(authored.name)?;
    let injector = authored.injector.unwrap_or_default();
    let topology_kind = authored.topology.value.kind.value;
    let network = network::network(authored.topology, injector.primary, injector.backup)?;
    let destination = network::destination(authored.destination)?;
    let mrai_place = (authored.router.as_ref()).and_then(|r| r.mrai.as_ref().map(|m| m.place));
    let router = router(authored.router.unwrap_or_default(), network.graph.size())?;
    let detect_place = (authored.failure.detect_delay.as_ref()).map(|d| d.place);
    let (failure, detect_delay) = failure(&authored.failure, topology_kind, &network)?;
    let filler_place = injector.filler.as_ref().map(|f| f.place);
    let filler = injector
        .filler
        .map(|f| filler(f, failure, &router))
        .transpose()?;
    let restart_time = whole(
        injector.restart_time.as_ref(),
        "restart_time",
        120,
        "BGP",
        (1, RESTART_TIME_MAX_S),
    )?;
    let deadlines = deadlines(
        authored.deadlines.unwrap_or_default(),
        &Busy {
            silence: quiet_period(router.mrai),
            fill: filler.map_or(Span::ZERO, |f| f.duration()),
            detect_delay,
            place: [mrai_place, filler_place, detect_place],
        },
    )?;

    Ok(Scenario {
        name,
        description: authored.description,
        topology_kind,
        shuffle: network.shuffle,
        injector: InjectorSettings {
            kind: injector.kind.unwrap_or(InjectorKind::Exabgp),
            restart_time,
            // The longest path through the primary has an ASN of each router and the injector's
            // where it leaves the last router; where the backup router hears it, one less.
            backup_path_length: network.graph.size() + 1,
            filler,
        },
        primary: network.primary,
        backup: network.backup,
        graph: network.graph,
        router,
        destination,
        failure,
        detect_delay,
        strategies: strategies(authored.strategies)?,
        runs: runs(authored.runs)?,
        seed: authored.seed.map_or(1, |s| s.value),
        deadlines,
        text: text.to_owned(),
    })
}

fn name(name: At<String>) -> Checked<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let n = &name.value;
    let first = n.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if first && n.len() <= 64 && n.chars().all(fits) {
        return Ok(name.value);
    }
    Err(Flaw::new(
        name.place,
        format!("`{n}` cannot be a scenario's name: it becomes part of file names"),
        "use letters, digits, `.`, `_` and `-`, at most 64, the first a letter or digit",
    ))
}

fn router(authored: AuthoredRouter, size: usize) -> Checked<RouterSettings> {
    let kind = authored.kind.unwrap_or(crate::kinds::RouterKind::Frr);
    let RouterLimits {
        name,
        mrai_max_s,
        connect_retry_max_s,
        stale_path_time_max_s,
    } = kind.limits();
    let timer = |value: &Option<At<Span>>, key, default, range| {
        whole(value.as_ref(), key, default, name, range)
    };
    let mrai = timer(&authored.mrai, "mrai", 5, (0, mrai_max_s))?;
    let connect_retry = timer(
        &authored.connect_retry,
        "connect_retry",
        1,
        (1, connect_retry_max_s),
    )?;
    let hold_time = hold_time(authored.hold_time.as_ref(), name)?;
    let keepalive = keepalive(
        authored.keepalive.as_ref(),
        name,
        &hold_time,
        authored.hold_time.as_ref(),
    )?;
    let stale_path_time = timer(
        &authored.stale_path_time,
        "stale_path_time",
        360,
        (1, stale_path_time_max_s),
    )?;
    Ok(RouterSettings {
        kind,
        mrai,
        connect_retry,
        keepalive,
        hold_time,
        stale_path_time,
        extra_config: authored
            .extra_config
            .map_or_else(|| Ok(BTreeMap::new()), |e| extra_config(e, size))?,
    })
}

fn hold_time(authored: Option<&At<Span>>, router: &str) -> Checked<Span> {
    if let Some(hold) = authored
        && hold.value < Span::from_secs(HOLD_TIME_S.0)
    {
        return Err(Flaw::new(
            hold.place,
            format!("`hold_time` is {}: less than 3 s", hold.value),
            "write `3s` or more (RFC 4271, section 4.2); a session without a hold time is not supported",
        ));
    }
    whole(authored, "hold_time", 180, router, HOLD_TIME_S)
}

fn keepalive(
    authored: Option<&At<Span>>,
    router: &str,
    hold: &Span,
    hold_authored: Option<&At<Span>>,
) -> Checked<Span> {
    let third_s = hold.as_duration().as_secs() / 3;
    let Some(keepalive) = authored else {
        // A shorter hold time alone takes the keepalive with it, as RFC 4271, section 10, has it.
        return Ok(Span::from_secs(third_s.min(60)));
    };
    let value = whole(authored, "keepalive", 60, router, (1, HOLD_TIME_S.1 / 3))?;
    if value > Span::from_secs(third_s) {
        let whose = match hold_authored {
            Some(at) => format!("the `hold_time` of line {}, {hold}", at.place.line()),
            None => format!("the default `hold_time`, {hold}"),
        };
        return Err(Flaw::new(
            keepalive.place,
            format!("`keepalive` is {value}: more than a third of {whose}"),
            format!("write `{third_s}s` or less (RFC 4271, section 10), or a longer `hold_time`"),
        ));
    }
    Ok(value)
}

fn extra_config(authored: ExtraConfig, size: usize) -> Checked<BTreeMap<String, Vec<String>>> {
    let mut all = BTreeMap::new();
    for (node, lines) in authored.0 {
        if node.value == INJECTOR || router_index(&node.value).is_none_or(|i| i >= size) {
            return Err(network::no_such_router(&node, size));
        }
        if let Some(line) = lines.iter().find(|l| l.value.contains(['\n', '\r'])) {
            return Err(Flaw::new(
                line.place,
                "one line of configuration has a line break in it",
                "give each line as an item of its own",
            ));
        }
        all.insert(node.value, lines.into_iter().map(|l| l.value).collect());
    }
    Ok(all)
}

fn failure(
    authored: &AuthoredFailure,
    topology: TopologyKind,
    network: &Network,
) -> Checked<(FailureKind, Span)> {
    let kind = authored.kind.value;
    if kind != FailureKind::Control && network.backup.is_none() {
        return Err(Flaw::new(
            authored.kind.place,
            format!(
                "failure `{kind}` loses the primary link for good, and this {topology} has no backup: \
                 the destination could never be reached again"
            ),
            "give `injector: {backup: r2}`, or use topology `b-clique`, or failure `control`",
        ));
    }
    match &authored.detect_delay {
        Some(delay) if kind != FailureKind::Forwarding => Err(Flaw::new(
            delay.place,
            format!("`detect_delay` means nothing for failure `{kind}`"),
            "remove it: only after failure `forwarding` does the living injector withdraw the destination",
        )),
        delay => Ok((kind, delay.as_ref().map_or(Span::ZERO, |d| d.value))),
    }
}

fn filler(
    authored: At<AuthoredFiller>,
    failure: FailureKind,
    router: &RouterSettings,
) -> Checked<Filler> {
    let AuthoredFiller { count, rate } = authored.value;
    let filler = Filler {
        count: number(&count, "count", "prefixes", (1, MAX_FILLER))?,
        rate_per_s: number(&rate, "rate", "prefixes per second", (1, MAX_FILLER_RATE))?,
    };
    if failure == FailureKind::Forwarding {
        return Err(Flaw::new(
            authored.place,
            "a filler follows the injector's restart, and failure `forwarding` has none",
            "remove `filler`, or use failure `control` or `correlated`",
        ));
    }
    let limits = [
        ("stale_path_time", router.stale_path_time),
        ("hold_time", router.hold_time),
    ];
    for (key, limit) in limits {
        if filler.duration() >= limit {
            return Err(Flaw::new(
                authored.place,
                format!(
                    "the filler takes {} ({} prefixes at {} per second): not less than `{key}`, {limit}",
                    filler.duration(),
                    filler.count,
                    filler.rate_per_s
                ),
                format!("announce fewer or faster, or raise `router: {{{key}: …}}`"),
            ));
        }
    }
    Ok(filler)
}

/// What takes its time in a run whatever the routers do.
struct Busy {
    silence: Span,
    fill: Span,
    detect_delay: Span,
    /// Where the author asked for it: MRAI, filler, detection.
    place: [Option<Location>; 3],
}

fn deadlines(authored: AuthoredDeadlines, busy: &Busy) -> Checked<Deadlines> {
    let add = |a: Span, b: Span| Span::from(a.as_duration().saturating_add(b.as_duration()));
    let least = add(add(busy.silence, busy.fill), busy.detect_delay);
    let [mrai, filler, detect] = busy.place;
    let elsewhere = filler.or(detect).or(mrai);
    Ok(Deadlines {
        established: deadline("established", authored.established, 60, None, Span::ZERO)?,
        settled: deadline("settled", authored.settled, 180, mrai, busy.silence)?,
        quiet: deadline("quiet", authored.quiet, 600, elsewhere, least)?,
    })
}

/// A deadline that leaves more than `least`; `elsewhere` is to blame if it is the default.
fn deadline(
    key: &str,
    authored: Option<At<Span>>,
    default_s: u64,
    elsewhere: Option<Location>,
    least: Span,
) -> Checked<Span> {
    let own = authored.as_ref().map(|a| a.place);
    let value = authored.map_or(Span::from_secs(default_s), |a| a.value);
    if value > least {
        return Ok(value);
    }
    let whose = if own.is_some() { "" } else { " by default" };
    Err(Flaw::new(
        own.or(elsewhere).unwrap_or(Location::UNKNOWN),
        format!(
            "deadline `{key}` is {value}{whose}, and quiet period, filler and detection alone take {least}"
        ),
        format!("write `deadlines: {{{key}: …}}` with well over {least}"),
    ))
}

fn strategies(authored: Option<At<Vec<At<Strategy>>>>) -> Checked<Vec<Strategy>> {
    let Some(authored) = authored else {
        return Ok(vec![Strategy::None, Strategy::GracefulRestart]);
    };
    let mut all = Vec::new();
    for strategy in authored.value {
        if all.contains(&strategy.value) {
            return Err(Flaw::new(
                strategy.place,
                format!("strategy `{}` is listed twice", strategy.value),
                "list each arm once; `runs` says how often it is run",
            ));
        }
        all.push(strategy.value);
    }
    if all.is_empty() {
        return Err(Flaw::new(
            authored.place,
            "no strategy is listed: there would be nothing to run",
            "list at least one of `none`, `graceful-restart`, or leave the key out for both",
        ));
    }
    Ok(all)
}

fn runs(authored: Option<At<i64>>) -> Checked<u32> {
    authored.map_or(Ok(10), |r| {
        number(&r, "runs", "runs per arm", (1, MAX_RUNS))
    })
}

/// A whole number within its range.
fn number(at: &At<i64>, key: &str, unit: &str, (min, max): (u32, u32)) -> Checked<u32> {
    match u32::try_from(at.value) {
        Ok(n) if (min..=max).contains(&n) => Ok(n),
        _ => Err(Flaw::new(
            at.place,
            format!("`{key}` is {}: out of range", at.value),
            format!("write a number of {unit} from {min} to {max}"),
        )),
    }
}

/// A timer of an implementation that counts in whole seconds.
fn whole(
    authored: Option<&At<Span>>,
    key: &str,
    default_s: u64,
    who: &str,
    (min_s, max_s): (u64, u64),
) -> Checked<Span> {
    let Some(At { value, place }) = authored else {
        return Ok(Span::from_secs(default_s));
    };
    let Some(s) = value.whole_seconds() else {
        let below = value.as_duration().as_secs();
        return Err(Flaw::new(
            *place,
            format!("`{key}` is {value}, but {who} takes whole seconds"),
            format!("write `{}s` or `{}s`", below.max(min_s), below + 1),
        ));
    };
    if (min_s..=max_s).contains(&s) {
        return Ok(*value);
    }
    Err(Flaw::new(
        *place,
        format!("`{key}` is {value}: out of range for {who}"),
        format!("write `{min_s}s` to `{max_s}s`"),
    ))
}
