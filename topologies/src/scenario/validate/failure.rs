//! What fails, when and how often, and the filler that stretches what follows.
//!
//! *Assumes* a network and a router that passed their own checks. *Guarantees* that no key is
//! taken that the failure would not heed.

use serde_saphyr::Location;

use super::Checked;
use super::value::{number, seconds_after};
use crate::addressing::MAX_FILLER;
use crate::kinds::{FailureKind, FailureTime, InjectorKind, Strategy, TcprFate, TopologyKind};
use crate::resolved::{FailureSettings, Filler, RouterSettings};
use crate::scenario::authored::{At, AuthoredFailure, AuthoredFiller, AuthoredRepeat};
use crate::scenario::network::Network;
use crate::scenario::refusal::Flaw;
use crate::units::Span;

/// The first table transfer is as quick as every injector can make it.
const INITIAL_FILLER_RATE: u32 = 2_000;
/// Rounds of an MRAI probe unless given.
const ROUNDS: u32 = 5;
/// After its start the injector needs about this long until its sessions are up: connections are
/// tried anew each second.
const REESTABLISHMENT_S: f64 = 1.0;
/// A transfer that the failure is to interrupt outlasts the MRAI, over which the failure's phase
/// is drawn, by this much.
const TRANSFER_BEYOND_MRAI_S: f64 = 5.0;

pub(super) fn failure(
    authored: &AuthoredFailure,
    topology: TopologyKind,
    network: &Network,
    strategies: &[Strategy],
) -> Checked<FailureSettings> {
    let kind = authored.kind.value;
    if kind.loses_the_primary_link() && network.backup.is_none() {
        return Err(Flaw::new(
            authored.kind.place,
            format!(
                "failure `{kind}` loses the primary link for good, and this {topology} has no backup: \
                 the destination could never be reached again"
            ),
            "give `injector: {backup: r2}`, or use topology `b-clique`, or failure `control`",
        ));
    }
    if kind == FailureKind::MraiProbe && network.backup.is_some() {
        return Err(Flaw::new(
            authored.kind.place,
            format!(
                "failure `{kind}` withdraws the destination, and this {topology} has a backup, which would be \
                 announced instead"
            ),
            "remove `injector: {backup: …}`, or use a topology without, such as `chain`",
        ));
    }
    heeded(authored, kind)?;
    if let Some(tcpr) = &authored.tcpr
        && !strategies.contains(&Strategy::Tcpr)
    {
        return Err(Flaw::new(
            tcpr.place,
            "`tcpr` means nothing without the arm `tcpr`",
            "add `tcpr` to `strategies`, or remove the key",
        ));
    }
    let span = |at: &Option<At<Span>>| at.as_ref().map_or(Span::ZERO, |s| s.value);
    let restart_delay = span(&authored.restart_delay);
    let (kills, kill_interval) = match &authored.repeat {
        None => (1, Span::ZERO),
        Some(repeat) => repeated(repeat, restart_delay)?,
    };
    Ok(FailureSettings {
        kind,
        phase: Span::ZERO,
        detect_delay: span(&authored.detect_delay),
        when: (authored.when.as_ref()).map_or(FailureTime::Settled, |w| w.value),
        restart_delay,
        kills,
        kill_interval,
        tcpr: (authored.tcpr.as_ref()).map_or(TcprFate::Survives, |t| t.value),
        rounds: (authored.rounds.as_ref())
            .map_or(Ok(ROUNDS), |r| number(r, "rounds", "rounds", (1, 100)))?,
    })
}

/// Refuses the keys that this kind of failure would not heed.
fn heeded(authored: &AuthoredFailure, kind: FailureKind) -> Checked<()> {
    fn place<T>(at: Option<&At<T>>) -> Option<Location> {
        at.map(|at| at.place)
    }
    let killed = kind.kills_the_injector();
    let transfer = (authored.when.as_ref()).filter(|w| w.value == FailureTime::InitialTransfer);
    let why_killed = "remove it: only failures `control` and `correlated` kill the injector";
    let keys = [
        (
            "detect_delay",
            place(authored.detect_delay.as_ref()),
            kind == FailureKind::Forwarding,
            "remove it: only after failure `forwarding` does the living injector withdraw the destination",
        ),
        (
            "restart_delay",
            place(authored.restart_delay.as_ref()),
            killed,
            why_killed,
        ),
        (
            "repeat",
            place(authored.repeat.as_ref()),
            killed,
            why_killed,
        ),
        ("tcpr", place(authored.tcpr.as_ref()), killed, why_killed),
        (
            "when: initial-transfer",
            place(transfer),
            killed,
            why_killed,
        ),
        (
            "rounds",
            place(authored.rounds.as_ref()),
            kind == FailureKind::MraiProbe,
            "remove it: only `mrai-probe` goes in rounds; `runs` says how often a failure is tried",
        ),
    ];
    for (key, place, heeded, remedy) in keys {
        if let Some(place) = place
            && !heeded
        {
            let problem = format!("`{key}` means nothing for failure `{kind}`");
            return Err(Flaw::new(place, problem, remedy));
        }
    }
    Ok(())
}

/// Whether packets measure the disconnection, too.
pub(super) fn probed(authored: Option<At<bool>>, kind: FailureKind) -> Checked<bool> {
    let Some(wanted) = authored.filter(|wanted| wanted.value) else {
        return Ok(false);
    };
    if kind == FailureKind::MraiProbe {
        return Err(Flaw::new(
            wanted.place,
            format!("`data_plane_probe` means nothing for failure `{kind}`"),
            "remove it: an MRAI probe measures no disconnection",
        ));
    }
    Ok(true)
}

fn repeated(repeat: &At<AuthoredRepeat>, restart_delay: Span) -> Checked<(u32, Span)> {
    let AuthoredRepeat { kills, interval } = &repeat.value;
    let least = seconds_after(restart_delay, REESTABLISHMENT_S);
    if interval.value <= least {
        return Err(Flaw::new(
            interval.place,
            format!(
                "`interval` is {}: the injector, back {restart_delay} after each kill, would have no second \
                 for its sessions to come up before the next",
                interval.value
            ),
            format!("write more than {least}, so that each kill ends a session"),
        ));
    }
    let kills = number(kills, "kills", "kills", (2, 100))?;
    Ok((kills, interval.value))
}

pub(super) fn filler(
    authored: At<AuthoredFiller>,
    failure: &FailureSettings,
    injector: InjectorKind,
    router: &RouterSettings,
) -> Checked<Filler> {
    let AuthoredFiller { count, rate } = authored.value;
    let rate_max = injector.limits().filler_rate_max;
    let rate_per_s = number(&rate, "rate", "prefixes per second", (1, rate_max))?;
    let filler = Filler {
        count: number(&count, "count", "prefixes", (1, MAX_FILLER))?,
        rate_per_s,
        initial_rate_per_s: match failure.when {
            FailureTime::Settled => INITIAL_FILLER_RATE.max(rate_per_s),
            FailureTime::InitialTransfer => rate_per_s,
        },
    };
    if !failure.kind.kills_the_injector() {
        return Err(Flaw::new(
            authored.place,
            format!(
                "a filler follows the injector's restart, and failure `{}` has none",
                failure.kind
            ),
            "remove `filler`, or use failure `control` or `correlated`",
        ));
    }
    let takes = format!(
        "the filler takes {} ({} prefixes at {} per second)",
        filler.duration(),
        filler.count,
        filler.rate_per_s
    );
    let limits = [
        ("stale_path_time", router.stale_path_time),
        ("hold_time", router.hold_time),
    ];
    for (key, limit) in limits {
        if filler.duration() >= limit {
            return Err(Flaw::new(
                authored.place,
                format!("{takes}: not less than `{key}`, {limit}"),
                format!("announce fewer or faster, or raise `router: {{{key}: …}}`"),
            ));
        }
    }
    let interruptible = seconds_after(router.mrai, TRANSFER_BEYOND_MRAI_S);
    if failure.when == FailureTime::InitialTransfer && filler.duration() <= interruptible {
        return Err(Flaw::new(
            authored.place,
            format!("{takes}, and could be over before the failure comes"),
            format!(
                "announce more or slower: longer than {interruptible}, the MRAI and {TRANSFER_BEYOND_MRAI_S} s"
            ),
        ));
    }
    Ok(filler)
}

/// A failure within the first transfer needs a transfer that takes its time.
pub(super) fn interrupted_transfer(
    when: Option<&At<FailureTime>>,
    filler: Option<&Filler>,
) -> Checked<()> {
    match when {
        Some(at) if at.value == FailureTime::InitialTransfer && filler.is_none() => Err(Flaw::new(
            at.place,
            "there is no table transfer to fail within: the destination alone is told at once",
            "give `injector: {filler: {count: 600, rate: 20}}`, a transfer of 30 s, or remove `when`",
        )),
        _ => Ok(()),
    }
}
