//! What is no scenario by its shape: files, YAML, keys, words, types, names.

use std::path::Path;

use topologies::{Scenario, ScenarioError};

use crate::{clique4, refusal, refused, with_topology};

#[test]
fn a_refusal_shows_its_line_and_marks_the_value() {
    let shown = refusal(&with_topology("{kind: clique, size: 1}")).to_string();
    assert_eq!(
        shown,
        "s.yaml:2:32: a clique of 1 has nobody to peer with\n \
         --> s.yaml:2:32\n  \
           |\n\
         2 | topology: {kind: clique, size: 1}\n  \
           |                                ^\n   \
            = help: write a size from 2 to 500"
    );
}

#[test]
fn unknown_keys_are_refused_with_those_that_exist() {
    refused(
        &with_topology("{kind: clique, sise: 4}"),
        (2, 26),
        "unknown key `sise`",
        "did you mean `size`? the keys here are `kind`, `size`, `edges`, `shuffle`",
    );
    refused(
        &clique4("colour: red"),
        (4, 1),
        "unknown key `colour`",
        "the keys here are `schema`, `name`, `description`, `topology`, `router`, `injector`, \
         `destination`, `failure`, `strategies`, `runs`, `seed`, `matrix`, `deadlines`, `data_plane_probe`, `fresh`",
    );
}

#[test]
fn duplicate_keys_are_refused() {
    refused(
        &clique4("name: b"),
        (4, 1),
        "the key `name` is given a second time",
        "keep one of the two",
    );
    refused(
        &clique4("router:\n  extra_config:\n    r3: [a]\n    r3: [b]"),
        (7, 5),
        "the key `r3` is given a second time",
        "keep one of the two",
    );
}

#[test]
fn missing_keys_are_refused() {
    for (text, key) in [
        (
            "topology: {kind: clique, size: 4}\nfailure: {kind: control}\n",
            "name",
        ),
        ("name: a\nfailure: {kind: control}\n", "topology"),
        ("name: a\ntopology: {kind: clique, size: 4}\n", "failure"),
    ] {
        let r = refusal(text);
        assert_eq!(r.problem, format!("the key `{key}` is missing"));
        assert!(r.line >= 1 && r.column >= 1);
    }
}

#[test]
fn wrong_types_are_refused() {
    for (value, column) in [("four", 32), ("4.5", 32), ("99999999999999999999", 32)] {
        refused(
            &with_topology(&format!("{{kind: clique, size: {value}}}")),
            (2, column),
            "this is not a whole number",
            "write a whole number",
        );
    }
    refused(
        &with_topology("{kind: clique, size: 4, shuffle: maybe}"),
        (2, 44),
        "this is not `true` or `false`",
        "write `true` or `false`",
    );
    refused(
        &with_topology("clique"),
        (2, 11),
        "a value of another type is wanted here",
        "write a mapping (`key: value`)",
    );
    refused(
        &clique4("strategies: none"),
        (4, 13),
        "a value of another type is wanted here",
        "write a list (`[a, b]`)",
    );
    refused(
        &clique4("seed: -1"),
        (4, 7),
        "this is not a whole number, zero or more",
        "write a whole number, zero or more",
    );
    refused(
        "name: ~\ntopology: {kind: clique, size: 4}\nfailure: {kind: control}\n",
        (1, 7),
        "nothing where a text should be",
        "write a text, in quotes if it is `null` or `~`",
    );
}

#[test]
fn unknown_words_are_refused_with_those_that_exist() {
    refused(
        &with_topology("{kind: clik, size: 4}"),
        (2, 18),
        "unknown word `clik`",
        "did you mean `clique`? write one of `clique`, `b-clique`, `chain`, `ring`, `star`, `edges`",
    );
    refused(
        &clique4("strategies: [none, graceful_restart]"),
        (4, 20),
        "unknown word `graceful_restart`",
        "did you mean `graceful-restart`? write one of `none`, `graceful-restart`, \
         `graceful-restart-f0`, `graceful-restart-withdraw`, `tcpr`",
    );
}

#[test]
fn a_later_version_is_named_before_its_keys() {
    refused(
        "schema: 2\nname: a\nnodes: 3\n",
        (1, 9),
        "version 2 of the scenario format is unknown",
        "this flaplab reads `schema: 1`",
    );
    refused(
        &clique4("schema: 0"),
        (4, 9),
        "version 0 of the scenario format is unknown",
        "this flaplab reads `schema: 1`",
    );
}

#[test]
fn names_that_are_unfit_for_a_directory_are_refused() {
    let long = "x".repeat(65);
    for name in ["a/b", "..", ".hidden", "-rf", "a b", "", "größe", &long] {
        refused(
            &format!(
                "name: {name:?}\ntopology: {{kind: clique, size: 4}}\nfailure: {{kind: control}}\n"
            ),
            (1, 7),
            &format!("`{name}` cannot be a scenario's name: it becomes part of file names"),
            "use letters, digits, `.`, `_` and `-`, at most 64, the first a letter or digit",
        );
    }
}

#[test]
fn a_configuration_line_of_two_lines_is_refused() {
    refused(
        &clique4("router:\n  extra_config:\n    r1: [\"one\\ntwo\"]"),
        (6, 10),
        "one line of configuration has a line break in it",
        "give each line as an item of its own",
    );
}

#[test]
fn broken_yaml_is_refused_at_its_place() {
    for (text, line) in [
        ("name: a\n\ttopology: x\n", 1..=2),
        ("name: a\ntopology: [\n", 1..=3),
        ("name: *nothing\n", 1..=1),
        ("name: \"a\n", 1..=2),
        ("- a\n- b\n", 1..=1),
    ] {
        let r = refusal(text);
        assert!(line.contains(&r.line), "{r}");
        assert!(!r.problem.is_empty() && !r.remedy.is_empty(), "{r}");
    }
    let r = refusal(&clique4("---\nname: b"));
    assert_eq!(r.problem, "a second document begins here");
}

#[test]
fn an_empty_file_is_called_empty() {
    for text in ["", "\n\n", "# nothing but a comment\n", "---\n"] {
        refused(
            text,
            (1, 1),
            "the file is empty",
            "a scenario has at least `name`, `topology` and `failure`",
        );
    }
}

#[test]
fn columns_are_counted_in_characters() {
    refused(
        "name: a\ntopology: {kind: clique, size: 4} # größer\ndescription: äöü\nfailure: {kind: kaputt}\n",
        (4, 17),
        "unknown word `kaputt`",
        "write one of `control`, `forwarding`, `correlated`, `link`, `mrai-probe`",
    );
    refused(
        "{description: äöü, name: a, topology: {kind: clique, size: 1}, failure: {kind: control}}",
        (1, 60),
        "a clique of 1 has nobody to peer with",
        "write a size from 2 to 500",
    );
}

#[test]
fn what_is_no_readable_file_is_refused_by_name() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let missing = dir.join("scenarios/nothing.yaml");
    let error = Scenario::load(&missing).unwrap_err();
    assert!(matches!(&error, ScenarioError::NotFound { path } if *path == missing));
    assert!(
        error.to_string().contains("nothing.yaml: no such file"),
        "{error}"
    );

    let error = Scenario::load(&dir.join("scenarios")).unwrap_err();
    assert!(matches!(&error, ScenarioError::Directory { .. }));
    assert!(
        error.to_string().contains("scenarios: a directory"),
        "{error}"
    );

    let file = std::env::temp_dir().join(format!("flaplab-latin1-{}.yaml", std::process::id()));
    std::fs::write(&file, b"name: a\ndescription: \xc3\xa4 gr\xf6\xdfer\n").unwrap();
    let error = Scenario::load(&file).unwrap_err();
    std::fs::remove_file(&file).unwrap();
    assert!(
        matches!(
            error,
            ScenarioError::NotUtf8 {
                line: 2,
                column: 18,
                octet: 0xf6,
                ..
            }
        ),
        "{error}"
    );
}
