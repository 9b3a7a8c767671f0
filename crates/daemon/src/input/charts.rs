//! What a program says it has drawn, and the text that it wrote meanwhile.
//!
//! A figure is a line of JSON, `{"type": "chart", "value": {…}}`. A program may write such lines itself, after a marker;
//! they are taken out of its text then. Fields of other types than expected are left out: clients are strict about them.

use memchr::{memchr, memmem};
use pitlane_wire::toolbox::{Axes, Chart, ChartElement};
use serde_json::{Map, Value};

/// What a line in a program's output begins with when it tells of a figure.
pub const MARKER: &[u8] = b"dtn_artifact_k39fd2:";
/// The longest line about a figure, and all that is kept of all of them, in bytes.
const MOST_LINE: usize = 16 << 20;
const MOST_ALL: usize = 32 << 20;
/// Charts in charts, and no more.
const DEPTH: usize = 2;

/// Figures as they come.
#[derive(Debug, Default)]
pub struct Charts {
    told: Vec<Chart>,
    bytes: usize,
    /// How many were too large.
    dropped: usize,
}

/// Takes marked lines out of a text that comes in pieces.
#[derive(Debug, Default)]
pub struct Marked {
    charts: Charts,
    /// The beginning of what may become a marker, or a marked line without its end.
    held: Vec<u8>,
    is_in_line: bool,
    /// The line is too long to be kept.
    is_too_long: bool,
}

impl Charts {
    /// Takes one line; false when it is not about a figure.
    pub fn take(&mut self, line: &[u8]) -> bool {
        if line.len() > MOST_LINE.min(MOST_ALL.saturating_sub(self.bytes)) {
            self.dropped = self.dropped.saturating_add(1);
            return true;
        }
        let Some(chart) = parse(line) else { return false };
        self.bytes = self.bytes.saturating_add(line.len());
        self.told.push(chart);
        true
    }

    /// Takes all lines of a text; the last one of too long a text is not whole.
    pub fn take_lines(&mut self, text: &[u8]) {
        if text.len() > MOST_ALL {
            self.dropped = self.dropped.saturating_add(1);
        }
        for line in text.split(|byte| *byte == b'\n') {
            if !line.is_empty() {
                self.take(line);
            }
        }
    }

    /// The figures, and a sentence about those that are missing.
    #[must_use]
    pub fn finish(self) -> (Vec<Chart>, Option<String>) {
        let note = match self.dropped {
            0 => None,
            1 => Some(String::from("\n[pitlane: a figure was too large to be told]\n")),
            count => Some(format!("\n[pitlane: {count} figures were too large to be told]\n")),
        };
        (self.told, note)
    }

    /// How many bytes there may be of all figures together.
    #[must_use]
    pub const fn most() -> usize {
        MOST_ALL
    }
}

impl Marked {
    /// Takes a piece of output and gives the text in it.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        let mut left = bytes;
        while !left.is_empty() {
            left = if self.is_in_line {
                self.push_line(left, &mut text)
            } else {
                self.push_text(left, &mut text)
            };
        }
        text
    }

    /// Gives what is left of the text, and the figures.
    #[must_use]
    pub fn finish(mut self) -> (Vec<u8>, Charts) {
        let mut text = Vec::new();
        if self.is_in_line {
            self.end_line(b"", &mut text);
        } else {
            text = std::mem::take(&mut self.held);
        }
        (text, self.charts)
    }

    /// Up to a marker. Gives what comes after that.
    fn push_text<'a>(&mut self, bytes: &'a [u8], text: &mut Vec<u8>) -> &'a [u8] {
        // What is held and this much of what follows is enough for a marker that is in both.
        let before = self.held.len();
        let joint = bytes.get(..MARKER.len()).unwrap_or(bytes);
        self.held.extend_from_slice(joint);
        if let Some(at) = memmem::find(&self.held, MARKER)
            && at < before
        {
            text.extend_from_slice(self.held.get(..at).unwrap_or_default());
            self.held.clear();
            self.is_in_line = true;
            let taken = at.saturating_add(MARKER.len()).saturating_sub(before);
            return bytes.get(taken..).unwrap_or_default();
        }
        self.held.truncate(before);
        if let Some(at) = memmem::find(bytes, MARKER) {
            text.append(&mut self.held);
            text.extend_from_slice(bytes.get(..at).unwrap_or_default());
            self.is_in_line = true;
            return bytes.get(at.saturating_add(MARKER.len())..).unwrap_or_default();
        }
        self.held.extend_from_slice(joint);
        if bytes.len() > joint.len() {
            text.append(&mut self.held);
            text.extend_from_slice(bytes.get(joint.len()..).unwrap_or_default());
            self.hold_back(text, bytes.len());
        } else {
            let mut all = std::mem::take(&mut self.held);
            let length = all.len();
            self.hold_back(&mut all, length);
            text.append(&mut all);
        }
        &[]
    }

    /// Takes the beginning of a marker off the end of a text, of whose last `length` bytes it may consist.
    fn hold_back(&mut self, text: &mut Vec<u8>, length: usize) {
        let most = MARKER.len().saturating_sub(1).min(length).min(text.len());
        for count in (1..=most).rev() {
            let at = text.len().saturating_sub(count);
            if MARKER.starts_with(text.get(at..).unwrap_or_default()) {
                self.held = text.split_off(at);
                return;
            }
        }
    }

    /// Up to the end of a marked line. Gives what comes after that.
    fn push_line<'a>(&mut self, bytes: &'a [u8], text: &mut Vec<u8>) -> &'a [u8] {
        let (line, rest, has_end) = match memchr(b'\n', bytes) {
            Some(end) => {
                let rest = bytes.get(end.saturating_add(1)..).unwrap_or_default();
                (bytes.get(..end).unwrap_or_default(), rest, true)
            }
            None => (bytes, &[][..], false),
        };
        if self.held.len().saturating_add(line.len()) > MOST_LINE {
            self.is_too_long = true;
            self.held = Vec::new();
        }
        if !self.is_too_long {
            self.held.extend_from_slice(line);
        }
        if has_end {
            self.end_line(b"\n", text);
        }
        rest
    }

    fn end_line(&mut self, end: &[u8], text: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.held);
        self.is_in_line = false;
        if std::mem::take(&mut self.is_too_long) {
            self.charts.dropped = self.charts.dropped.saturating_add(1);
        } else if !self.charts.take(&line) {
            // It only looked like one.
            text.extend_from_slice(MARKER);
            text.extend_from_slice(&line);
            text.extend_from_slice(end);
        }
    }
}

fn parse(line: &[u8]) -> Option<Chart> {
    let line: Value = serde_json::from_slice(line).ok()?;
    if line.get("type")? != "chart" {
        return None;
    }
    let value = line.get("value")?.as_object()?;
    Some(Chart {
        axes: axes(value),
        elements: elements(value, DEPTH).unwrap_or_default(),
        png: text(value, "png"),
    })
}

fn axes(value: &Map<String, Value>) -> Axes {
    Axes {
        kind: text(value, "type"),
        title: text(value, "title"),
        x_label: text(value, "x_label"),
        x_scale: text(value, "x_scale"),
        x_ticks: numbers(value.get("x_ticks")),
        x_tick_labels: texts(value, "x_tick_labels"),
        y_label: text(value, "y_label"),
        y_scale: text(value, "y_scale"),
        y_ticks: numbers(value.get("y_ticks")),
        y_tick_labels: texts(value, "y_tick_labels"),
    }
}

fn elements(value: &Map<String, Value>, depth: usize) -> Option<Vec<ChartElement>> {
    let depth = depth.checked_sub(1)?;
    let objects = value.get("elements")?.as_array()?.iter().filter_map(Value::as_object);
    Some(objects.map(|object| element(object, depth)).collect())
}

fn element(value: &Map<String, Value>, depth: usize) -> ChartElement {
    let number = |name: &str| value.get(name).and_then(Value::as_f64);
    let points = value.get("points").and_then(Value::as_array);
    let is_part = value.contains_key("type");
    ChartElement {
        axes: axes(value),
        // Clients want every part of a chart to have one.
        label: text(value, "label").or_else(|| (!is_part).then(String::new)),
        points: points.map(|points| points.iter().filter_map(all_numbers).collect()),
        group: text(value, "group"),
        value: text(value, "value")
            .or_else(|| value.get("value")?.as_number().map(ToString::to_string)),
        angle: number("angle"),
        radius: number("radius"),
        autopct: text(value, "autopct"),
        min: number("min"),
        first_quartile: number("first_quartile"),
        median: number("median"),
        third_quartile: number("third_quartile"),
        max: number("max"),
        outliers: numbers(value.get("outliers")),
        elements: elements(value, depth),
        png: text(value, "png"),
    }
}

fn text(value: &Map<String, Value>, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

fn texts(value: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    let texts = value.get(name)?.as_array()?.iter();
    Some(texts.filter_map(Value::as_str).map(str::to_owned).collect())
}

fn numbers(value: Option<&Value>) -> Option<Vec<f64>> {
    Some(value?.as_array()?.iter().filter_map(Value::as_f64).collect())
}

fn all_numbers(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(Value::as_f64).collect()
}

#[cfg(test)]
mod tests;
