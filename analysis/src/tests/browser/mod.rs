//! The page in a browser: a synthetic campaign whose course is known to the instant is analysed, and its
//! page driven in a headless Chromium by keys and mouse.
//!
//! Colours are looked at as pixels, state and curves as elements. Of screenshots, those of one session are
//! compared with one another; the one that is compared with a committed picture shows no letter, so that
//! fonts do not matter.

mod devtools;

use std::path::{Path, PathBuf};

use results::{Finding, FindingKind, Severity};
use serde_json::{Value, json};
use topologies::Strategy;

use self::devtools::{Browser, Picture};
use super::disk::{campaign, manifest, write_run};
use super::network::{Story, by_way_of, clique};
use super::page::page_of;
use crate::frame::{Frame, Install, Update};

/// Okabe and Ito's bluish green, orange and vermilion: reached, loop, blackhole.
const GREEN: [u8; 3] = [0, 158, 115];
const ORANGE: [u8; 3] = [230, 159, 0];
const VERMILION: [u8; 3] = [213, 94, 0];

/// r1 to r4 and an injector at r1 and r2, whose primary link is dead from the failure on. So r1 is a
/// blackhole at once, and what goes by way of it; r4 loses its route from 1 s to 2 s; from 3 s r3 and
/// r4 point at one another; at 5 s all go by way of r2 and its backup.
fn story(late_s: f64) -> Frame {
    let topology = clique(4, true);
    let r4_to_r3 = by_way_of(&topology, "r4", "r3");
    let mut story = Story::settled(topology);
    story.frame.dead_link = Some(0);
    story
        .delete(1.0, "r4", "r1")
        .add(2.0, "r4", r4_to_r3, Install::First)
        .turn(3.0, "r3", "r4")
        .turn(5.0 + late_s, "r2", "injector")
        .turn(5.0 + late_s, "r1", "r2")
        .turn(5.0 + late_s, "r3", "r2")
        .turn(5.0 + late_s, "r4", "r2");
    for second in 0..5 {
        story.frame.updates.push(Update {
            t_ns: 1_000_000_000 * second + 500_000_000,
            from: 0,
            to: 1,
            advertisements: 1,
            withdrawals: u32::from(second == 0),
        });
    }
    story.frame
}

/// The page of three runs of each of two arms; the last one of `tcpr` is invalid.
fn page(folder: &Path) -> PathBuf {
    let campaign = campaign(folder);
    for i in 0..3 {
        for strategy in [Strategy::None, Strategy::Tcpr] {
            let late_s = f64::from(i) * 0.5 + if strategy == Strategy::Tcpr { 2.0 } else { 0.0 };
            let frame = story(late_s);
            let mut m = manifest(&frame.topology, strategy, i);
            m.failure = topologies::FailureKind::Correlated;
            let mut find = |severity| {
                m.findings.push(Finding {
                    kind: FindingKind::CpuPressure,
                    severity,
                    place: "host".to_owned(),
                    message: "the CPU was short".to_owned(),
                });
            };
            find(Severity::Warning);
            if i == 2 && strategy == Strategy::Tcpr {
                find(Severity::Invalidating);
            }
            write_run(&campaign, &frame, m);
        }
    }
    page_of(&campaign);
    campaign.report_html()
}

fn opened() -> (Browser, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = page(folder.path());
    let mut browser = Browser::start(1280, 900);
    browser.emulate("screen", "light");
    browser.open(&file);
    (browser, folder)
}

/// The states of r1 to r4, as the page draws them.
fn states(browser: &mut Browser) -> Value {
    browser.evaluate("[...document.querySelectorAll('#stage .router')].map((r) => r.dataset.state)")
}

/// The colour in a router's shape, beside its name.
fn colour(browser: &mut Browser, router: &str) -> [u8; 3] {
    let shape = format!("#stage .router[data-node={router}] .shape");
    browser.picture(&shape).at(0.5, 0.2)
}

fn same(a: &Picture, b: &Picture) -> bool {
    a.difference(b) == 0.0
}

fn time(browser: &mut Browser) -> Value {
    browser.evaluate("document.getElementById('time').textContent")
}

#[test]
fn the_page_opens_without_a_word_on_the_console_and_the_bar_moves_by_key_and_mouse() {
    let (mut browser, _folder) = opened();
    assert_eq!(time(&mut browser), "-0.500 s");
    browser.evaluate("document.getElementById('bar').focus()");
    // Of the first arm the median run, with 5.5 s: the failure; then the changes one by one; then back.
    for (key, t) in [
        ("Home", "0.000 s"),
        ("ArrowRight", "0.000 s"),
        ("ArrowRight", "0.000 s"),
        ("ArrowRight", "1.000 s"),
        ("ArrowRight", "2.000 s"),
        ("ArrowRight", "3.000 s"),
        ("ArrowRight", "5.500 s"),
        ("ArrowLeft", "3.000 s"),
        ("End", "10.000 s"),
    ] {
        browser.press(key);
        assert_eq!(time(&mut browser), t, "after {key}");
    }
    let bar = "Number(document.getElementById('bar').value)";
    assert_eq!(browser.evaluate(bar), 10_000_000);
    // By mouse on the bar, and on the strips.
    for place in ["#bar", "#strips"] {
        let (x, y, width, height) = browser.place(place);
        let at = |share: f64| (x + share * width, y + height / 2.0);
        browser.drag(at(0.75), at(0.25));
        let low = browser.evaluate(bar).as_f64().unwrap();
        browser.drag(at(0.25), at(0.75));
        let high = browser.evaluate(bar).as_f64().unwrap();
        assert!(
            low > 0.0 && low < 4e6 && high > 6e6 && high < 9e6,
            "{place}: {low} {high}"
        );
    }
    // Played, it comes to its end by itself.
    browser.evaluate(
        "document.getElementById('speed').value = '20'; document.getElementById('bar').focus()",
    );
    browser.press("Home");
    browser.press(" ");
    browser.wait("document.getElementById('time').textContent === '10.000 s'");
    browser.wait("document.getElementById('play').getAttribute('aria-pressed') === 'false'");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_router_is_in_the_colour_and_shape_of_its_state_at_each_instant() {
    let (mut browser, _folder) = opened();
    let at = |browser: &mut Browser, address: &str| {
        let address = format!("replay=none-0000@{address}");
        browser.evaluate(&format!("location.hash = {address:?}"));
        let seconds: f64 = address.split_once('@').unwrap().1.parse().unwrap();
        let us = seconds * 1e6;
        browser.wait(&format!(
            "Math.abs(document.getElementById('bar').value - {us}) < 0.5"
        ));
    };
    at(&mut browser, "-0.1");
    assert_eq!(
        states(&mut browser),
        json!(["reached", "reached", "reached", "reached"])
    );
    assert_eq!(colour(&mut browser, "r3"), GREEN);
    let outline = "document.querySelector('#stage [data-node=r3] .shape').getAttribute('d')";
    let circle = browser.evaluate(outline);

    at(&mut browser, "0");
    assert_eq!(
        states(&mut browser),
        json!(["blackhole", "blackhole", "blackhole", "blackhole"])
    );
    assert_eq!(colour(&mut browser, "r3"), VERMILION);
    let square = browser.evaluate(outline);
    let cut = "document.querySelectorAll('#stage .cut').length";
    assert_eq!(browser.evaluate(cut), 1, "the dead link is struck out");

    at(&mut browser, "1.5");
    let states_now = states(&mut browser);
    assert_eq!(
        states_now,
        json!(["blackhole", "blackhole", "blackhole", "no-route"])
    );
    at(&mut browser, "2.999999");
    assert_eq!(states(&mut browser)[2], "blackhole");
    at(&mut browser, "3");
    assert_eq!(
        states(&mut browser),
        json!(["blackhole", "blackhole", "loop", "loop"])
    );
    assert_eq!(colour(&mut browser, "r3"), ORANGE);
    let diamond = browser.evaluate(outline);
    assert!(circle != square && square != diamond && diamond != circle);
    let to = |hop: &str| format!("document.querySelector('#stage [data-hop={hop}]').dataset.to");
    assert_eq!(browser.evaluate(&to("r3")), "r4");
    assert_eq!(
        browser.evaluate(&to("r1")),
        "injector",
        "it does not know yet"
    );

    at(&mut browser, "5");
    assert_eq!(
        states(&mut browser),
        json!(["reached", "reached", "reached", "reached"])
    );
    assert_eq!(colour(&mut browser, "r3"), GREEN);
    assert_eq!(browser.evaluate(&to("r1")), "r2");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn pictures_differ_where_an_instant_or_the_colours_differ_and_nowhere_else() {
    let (mut browser, _folder) = opened();
    let picture = |browser: &mut Browser, key: &str| {
        browser.evaluate("document.getElementById('bar').focus()");
        browser.press(key);
        browser.picture("#stage")
    };
    let failure = picture(&mut browser, "Home");
    let end = picture(&mut browser, "End");
    assert!(failure.difference(&end) > 0.01);
    let again = picture(&mut browser, "Home");
    // The edges of shapes may differ by a shade, which is not counted.
    assert!(same(&again, &failure), "an instant looks the same again");
    browser.emulate("screen", "dark");
    let dark = browser.picture("#stage");
    assert!(
        dark.difference(&failure) > 0.5,
        "{}",
        dark.difference(&failure)
    );
    // The page's own switch goes before the system's.
    browser.evaluate("document.getElementById('theme').click()");
    assert!(same(&browser.picture("#stage"), &failure), "light again");
    let state = colour(&mut browser, "r1");
    browser.evaluate("document.getElementById('theme').click()");
    assert_eq!(
        colour(&mut browser, "r1"),
        state,
        "a state has one colour, light or dark"
    );
}

#[test]
fn the_network_at_the_loop_looks_as_it_did() {
    let (mut browser, _folder) = opened();
    browser.evaluate("location.hash = 'replay=none-0000@3'");
    browser.wait("document.getElementById('time').textContent === '3.000 s'");
    browser.resize(900, 900);
    // Letters are another machine's matter, and so is how wide its window's frame makes the picture.
    browser.evaluate(
        "(() => { const sheet = document.styleSheets[0]; const add = (rule) => sheet.insertRule(rule, sheet.cssRules.length); \
         add('#stage text { visibility: hidden !important }'); add('#stage { width: 480px !important; height: 480px !important }'); })()",
    );
    let now = browser.picture("#stage");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/browser/loop.png");
    if std::env::var_os("UPDATE_SCREENSHOTS").is_some() {
        std::fs::write(&file, now.encode()).unwrap();
    }
    let before = Picture::decode(&std::fs::read(&file).unwrap());
    let difference = now.difference(&before);
    if difference > 0.01 {
        let other = std::env::temp_dir().join("flaplab-loop.png");
        std::fs::write(&other, now.encode()).unwrap();
        panic!(
            "{:.2} % of the pixels differ: compare {} with {}, and if the new one is right, renew it with \
             UPDATE_SCREENSHOTS=1 cargo test -p analysis browser",
            100.0 * difference,
            other.display(),
            file.display()
        );
    }
}

#[test]
fn an_arm_that_is_switched_off_has_no_curve_and_the_axis_can_be_logarithmic() {
    let (mut browser, _folder) = opened();
    let curves = |browser: &mut Browser, arm: u32| {
        browser.evaluate(&format!(
            "document.querySelectorAll('#charts .curve[data-arm=\"{arm}\"]').length"
        ))
    };
    let charts = browser.evaluate("document.querySelectorAll('#charts .chart').length");
    assert_eq!(charts, 3);
    assert_eq!(curves(&mut browser, 0), 3);
    let both = browser.picture("#charts svg");
    browser.evaluate("document.querySelector('#arms input[data-arm=\"0\"]').click()");
    assert_eq!(
        (curves(&mut browser, 0), curves(&mut browser, 1)),
        (json!(0), json!(3))
    );
    assert!(browser.picture("#charts svg").difference(&both) > 0.001);
    browser.evaluate("document.querySelector('#arms input[data-arm=\"0\"]').click()");
    assert!(same(&browser.picture("#charts svg"), &both), "as before");

    // Steps are as wide apart as values: 5, 5.5 and 6 s are evenly spaced on a linear axis alone.
    let steps = |browser: &mut Browser| -> Vec<f64> {
        let d = browser
            .evaluate("document.querySelector('#charts .curve[data-arm=\"0\"]').getAttribute('d')");
        let steps = d.as_str().unwrap().split('H').skip(1);
        steps
            .map(|s| s.split('V').next().unwrap().parse().unwrap())
            .collect()
    };
    let linear = steps(&mut browser);
    assert_eq!(linear.len(), 3);
    assert!(
        (linear[2] - 2.0 * linear[1] + linear[0]).abs() < 0.3,
        "{linear:?}"
    );
    browser.evaluate("document.querySelector('button[data-scale=log]').click()");
    let log = steps(&mut browser);
    let ratio = (log[2] - log[1]) / (log[1] - log[0]);
    let wanted = (6.0f64 / 5.5).ln() / (5.5f64 / 5.0).ln();
    assert!(
        (ratio - wanted).abs() < 0.02,
        "{log:?}: {ratio}, not {wanted}"
    );
    browser.evaluate("document.querySelector('button[data-scale=linear]').click()");

    // Dragging narrows what is seen, and reading by keys comes to the values.
    let (x, y, width, height) = browser.place("#charts svg");
    let at = |share: f64| (x + share * width, y + height / 2.0);
    browser.drag(at(0.6), at(0.95));
    browser.wait("!document.querySelector('#charts .whole').hidden");
    assert!(steps(&mut browser)[1] - steps(&mut browser)[0] > 1.5 * (linear[1] - linear[0]));
    browser.evaluate("document.querySelector('#charts svg').focus()");
    browser.press("0");
    assert_eq!(steps(&mut browser), linear);
    browser.press("Home");
    let read = browser.evaluate("document.querySelector('#charts .readout').textContent");
    assert!(
        read.as_str().unwrap().contains("none: 33 % (1 of 3) ≤ 5 s"),
        "{read}"
    );
    let sample = "document.querySelector('#charts .readout svg').clientWidth";
    assert_eq!(
        browser.evaluate(sample),
        24,
        "a sample of the line, no picture"
    );
    browser.press("Enter");
    browser.wait("location.hash === '#replay=none-0000'");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn findings_are_narrowed_runs_sorted_and_on_paper_there_are_no_controls() {
    let (mut browser, folder) = opened();
    let shown =
        "[...document.querySelectorAll('#finding-table tbody tr')].filter((r) => !r.hidden).length";
    assert_eq!(browser.evaluate(shown), 7);
    browser.evaluate("document.querySelector('#finding-filter [data-severity=warning]').click()");
    assert_eq!(browser.evaluate(shown), 1);
    browser.evaluate("document.querySelector('#finding-filter [data-severity=warning]').click()");
    browser.evaluate("document.getElementById('finding-text').focus()");
    browser.tell("Input.insertText", json!({ "text": "none-0001 short" }));
    assert_eq!(browser.evaluate(shown), 1);

    let first = "document.querySelector('#run-table tbody td').textContent";
    let by_convergence = "[...document.querySelectorAll('#run-table th button')].find((b) => b.textContent.includes('onvergence')).click()";
    browser.evaluate(by_convergence);
    assert_eq!(browser.evaluate(first), "none-0000");
    browser.evaluate(by_convergence);
    assert_eq!(browser.evaluate(first), "tcpr-0002");
    let invalid = "document.querySelectorAll('#run-table tr.invalid').length";
    assert_eq!(browser.evaluate(invalid), 1);

    let seen = |selector: &str| {
        format!("document.querySelector({selector:?}).getClientRects().length > 0")
    };
    for (medium, controls) in [("screen", true), ("print", false)] {
        browser.emulate(medium, "dark");
        for selector in ["#theme", "#replay", "#finding-filter", "nav"] {
            assert_eq!(
                browser.evaluate(&seen(selector)),
                controls,
                "{medium}: {selector}"
            );
        }
        for selector in [".summary", "#charts svg", "#finding-table", "#run-table"] {
            assert_eq!(
                browser.evaluate(&seen(selector)),
                true,
                "{medium}: {selector}"
            );
        }
    }
    let paper = "getComputedStyle(document.body).backgroundColor";
    assert_eq!(
        browser.evaluate(paper),
        "rgb(255, 255, 255)",
        "dark is not printed"
    );
    drop(folder);
}
