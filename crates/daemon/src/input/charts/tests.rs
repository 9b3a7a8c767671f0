use proptest::prelude::*;
use serde_json::json;

use super::{Charts, MARKER, MOST_LINE, Marked};

fn pushed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, usize) {
    let mut marked = Marked::default();
    let mut text = Vec::new();
    for piece in pieces {
        text.extend(marked.push(piece));
    }
    let (rest, charts) = marked.finish();
    text.extend(rest);
    (text, charts.finish().0.len())
}

fn line(value: &serde_json::Value) -> Vec<u8> {
    [MARKER, json!({"type": "chart", "value": value}).to_string().as_bytes(), b"\n"].concat()
}

#[test]
fn a_marked_line_is_a_chart_wherever_it_stands() {
    let line = line(&json!({"type": "line"}));
    let text = [b"a", &line[..], b"b\n", &line[..], line.strip_suffix(b"\n").unwrap()].concat();
    assert_eq!(pushed([&text[..]]), (b"ab\n".to_vec(), 3));
}

#[test]
fn a_marked_line_without_a_chart_stays() {
    for rest in ["\n", "x\n", "{}", "{\"type\":\"chart\"}\n", "{\"type\":\"chart\",\"value\":1}\n"]
    {
        let text = [b"a\n", MARKER, rest.as_bytes()].concat();
        assert_eq!(pushed([&text[..]]), (text, 0));
    }
}

#[test]
fn a_line_that_is_too_long_is_dropped_and_counted() {
    let mut marked = Marked::default();
    let mut text = marked.push(&[b"a", MARKER].concat());
    for _ in 0..5 {
        text.extend(marked.push(&vec![b'x'; MOST_LINE / 4]));
    }
    text.extend(marked.push(b"\nb"));
    let (rest, charts) = marked.finish();
    text.extend(rest);
    let note = "\n[pitlane: a figure was too large to be told]\n";
    assert_eq!((text, charts.finish()), (b"ab".to_vec(), (Vec::new(), Some(note.into()))));
}

#[test]
fn what_clients_do_not_expect_is_left_out() {
    let value = json!({
        "type": "bar", "title": 5, "x_ticks": [1, "a", 2.5], "x_tick_labels": ["a", 1], "extra": [],
        "elements": [
            {"label": "a", "group": null, "value": 2.5},
            {"value": "x", "points": [[1, 2], ["2020-01-01", 3]], "min": "no", "outliers": [1, null]},
            7,
        ],
    });
    let mut charts = Charts::default();
    let line = json!({"type": "chart", "value": value}).to_string();
    charts.take_lines(format!("{line}\nnothing\n").as_bytes());
    let wanted = json!([{
        "type": "bar", "x_ticks": [1.0, 2.5], "x_tick_labels": ["a"],
        "elements": [
            {"label": "a", "value": "2.5"},
            {"label": "", "value": "x", "points": [[1.0, 2.0]], "outliers": [1.0]},
        ],
    }]);
    assert_eq!(serde_json::to_value(charts.finish().0).unwrap(), wanted);
}

#[test]
fn charts_in_charts_are_told_to_one_depth() {
    let part =
        json!({"type": "line", "elements": [{"label": "l", "points": [[0, 1]], "elements": [{}]}]});
    let value = json!({"type": "composite_chart", "elements": [part]});
    let mut charts = Charts::default();
    charts.take(json!({"type": "chart", "value": value}).to_string().as_bytes());
    let part = json!({"type": "line", "elements": [{"label": "l", "points": [[0.0, 1.0]]}]});
    let wanted = json!([{"type": "composite_chart", "elements": [part]}]);
    assert_eq!(serde_json::to_value(charts.finish().0).unwrap(), wanted);
}

proptest! {
    #[test]
    fn pieces_cut_anywhere_are_what_the_whole_is(
        parts in proptest::collection::vec(prop_oneof![
            Just(MARKER.to_vec()),
            Just(MARKER[..7].to_vec()),
            Just(b"d".to_vec()),
            Just(b"\n".to_vec()),
            Just(line(&json!({"type": "pie"}))),
            proptest::collection::vec(any::<u8>(), 0..8),
        ], 0..12),
        size in 1usize..40,
    ) {
        let whole = parts.concat();
        prop_assert_eq!(pushed(whole.chunks(size)), pushed([&whole[..]]));
    }

    #[test]
    fn text_without_a_marker_stays_as_it_is(
        pieces in proptest::collection::vec(proptest::collection::vec(prop_oneof![
            any::<u8>(), Just(b'd'), Just(b't'), Just(b'n'), Just(b'_')
        ], 0..9), 0..9),
    ) {
        let whole = pieces.concat();
        prop_assert_eq!(pushed(pieces.iter().map(Vec::as_slice)), (whole, 0));
    }
}
