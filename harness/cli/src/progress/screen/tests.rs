use super::*;

/// A terminal of so many columns and 10 lines, with what was typed at it before.
struct Terminal(vt100::Parser);

impl Write for Terminal {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        // As a terminal's line discipline does it (ONLCR).
        let text = String::from_utf8_lossy(octets).replace("\r\n", "\n");
        self.0.process(text.replace('\n', "\r\n").as_bytes());
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn screen() -> Screen<Terminal> {
    let mut terminal = vt100::Parser::new(10, 20, 100);
    terminal.process(b"$ flaplab run\r\n");
    Screen::new(Terminal(terminal))
}

fn rows(texts: &[&str]) -> Vec<Row> {
    let row = |text: &&str| Row {
        text: (*text).to_owned(),
        columns: text.len(),
    };
    texts.iter().map(row).collect()
}

/// What stands there, scrolled lines included, without empty ones at the end.
fn contents(screen: &mut Screen<Terminal>) -> Vec<String> {
    let terminal = screen.out.0.screen_mut();
    terminal.set_scrollback(usize::MAX);
    let above = terminal.scrollback();
    let mut lines = Vec::new();
    for at in (0..=above).rev() {
        terminal.set_scrollback(at);
        let rows: Vec<String> = terminal.rows(0, 20).collect();
        let take = if at == 0 { rows.len() } else { 1 };
        lines.extend(rows.into_iter().take(take));
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

#[test]
fn a_view_replaces_the_last_one_and_lines_stay_above_it() {
    let mut screen = screen();
    screen.paint(rows(&["view", "1 of 3"]), 20).unwrap();
    screen.paint(rows(&["view", "2 of 3"]), 20).unwrap();
    screen.say("said\n").unwrap();
    screen.paint(rows(&["view", "3", "of 3"]), 20).unwrap();
    screen.say("said, too\nat length").unwrap();
    let expected = [
        "$ flaplab run",
        "said",
        "said, too",
        "at length",
        "view",
        "3",
        "of 3",
    ];
    assert_eq!(contents(&mut screen), expected);
    screen.paint(rows(&["short"]), 20).unwrap();
    assert_eq!(contents(&mut screen)[4..], ["short"]);
    screen.clear().unwrap();
    assert_eq!(contents(&mut screen), expected[..4]);
    let terminal = screen.out.0.screen();
    assert_eq!(terminal.cursor_position(), (4, 0));
    assert!(!terminal.hide_cursor() && !terminal.alternate_screen());
}

#[test]
fn a_row_that_becomes_shorter_leaves_nothing_of_the_old_one() {
    let mut screen = screen();
    screen.paint(rows(&["a long row", "b"]), 20).unwrap();
    screen.paint(rows(&["a", "b"]), 20).unwrap();
    assert_eq!(contents(&mut screen), ["$ flaplab run", "a", "b"]);
}

#[test]
fn what_is_said_scrolls_back_in_order_and_the_view_is_there_once() {
    let mut screen = screen();
    screen.paint(rows(&["view", "of two rows"]), 20).unwrap();
    for i in 0..12 {
        screen.say(&format!("line {i}\n")).unwrap();
        screen
            .paint(rows(&["view", &format!("after {i}")]), 20)
            .unwrap();
    }
    let mut expected = vec!["$ flaplab run".to_owned()];
    expected.extend((0..12).map(|i| format!("line {i}")));
    expected.extend(["view".to_owned(), "after 11".to_owned()]);
    assert_eq!(contents(&mut screen), expected);
}

#[test]
fn a_terminal_made_narrower_has_broken_the_rows_and_all_of_them_go() {
    let mut screen = screen();
    screen
        .paint(rows(&["0123456789abcdefgh", "x"]), 20)
        .unwrap();
    // What a terminal that breaks lines anew shows at 10 columns.
    screen
        .out
        .0
        .process(b"\x1b[2J\x1b[H$ flaplab \r\nrun\r\n0123456789\r\nabcdefgh\r\nx\r\n");
    screen.paint(rows(&["0123", "x"]), 10).unwrap();
    assert_eq!(contents(&mut screen), ["$ flaplab ", "run", "0123", "x"]);
}

#[test]
fn what_is_typed_leaves_the_first_row_behind_and_no_more() {
    let mut screen = screen();
    screen.paint(rows(&["", "view"]), 20).unwrap();
    screen.out.0.process(b"\r\n");
    screen.paint(rows(&["", "view again"]), 20).unwrap();
    // The row that is left behind is empty, and the line that was the view's last is taken.
    screen.clear().unwrap();
    assert_eq!(
        contents(&mut screen),
        ["$ flaplab run", "", "view again"][..1]
    );
}

#[test]
fn a_view_that_is_forgotten_stays_and_the_next_one_comes_below() {
    let mut screen = screen();
    screen.paint(rows(&["old"]), 20).unwrap();
    screen.forget();
    screen.paint(rows(&["new"]), 20).unwrap();
    assert_eq!(contents(&mut screen), ["$ flaplab run", "old", "new"]);
}
