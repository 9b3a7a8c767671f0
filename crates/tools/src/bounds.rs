//! How long an answer may be, whatever a server, a daemon or another server's tools say.
//!
//! What operations cut themselves is far below; this holds for what they repeat: names, reasons, lists.

use serde_json::Value;

use crate::Answer;

/// How long an answer may be, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    text: usize,
    /// Of texts and names in the structured part.
    structured: usize,
}

/// An answer for a model.
pub(crate) const USUAL: Bounds = Bounds { text: 128 << 10, structured: 256 << 10 };
/// An answer that is a document for programs: a file of a megabyte, as wastefully as JSON can write it.
pub(crate) const DOCUMENT: Bounds = Bounds { text: 8 << 20, structured: 8 << 20 };

/// What stands at the end of what was cut.
const CUT: &str = "… [cut]";

/// How much of a text there is always room for: contracts have words in them.
const WORDS: usize = 256;

/// The answer, cut where it is too long. The contract's own fields are all there.
pub(crate) fn bounded(mut answer: Answer, bounds: Bounds) -> Answer {
    cut(&mut answer.text, bounds.text);
    let mut room = bounds.structured;
    match &mut answer.structured {
        Value::Object(fields) => fields.values_mut().for_each(|field| bound(field, &mut room)),
        other => bound(other, &mut room),
    }
    answer
}

fn bound(value: &mut Value, room: &mut usize) {
    match value {
        Value::String(text) => {
            cut(text, (*room).max(WORDS));
            *room = room.saturating_sub(text.len());
        }
        Value::Array(items) => items.retain_mut(|item| {
            let has_room = *room > 0;
            if has_room {
                // Numbers take room as well.
                *room = room.saturating_sub(4);
                bound(item, room);
            }
            has_room
        }),
        Value::Object(fields) => fields.retain(|name, field| {
            let has_room = name.len() < *room;
            if has_room {
                *room = room.saturating_sub(name.len());
                bound(field, room);
            }
            has_room
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most.saturating_sub(CUT.len())));
        text.push_str(CUT);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_of_a_usual_length_is_left_as_it_is() {
        let answer = Answer::new(json!({"stdout": "a".repeat(16 << 10), "count": 3}), "said");
        assert_eq!(bounded(answer.clone(), USUAL), answer);
    }

    #[test]
    fn an_answer_without_end_has_one() {
        let long = "ä".repeat(1 << 20);
        let lists: Vec<Value> = (0..100_000).map(|number| json!([number, "name"])).collect();
        let structured = json!({"message": "kept", "output": long, "files": lists, "more": long});
        let bounded = bounded(Answer::new(structured, long), USUAL);
        assert!(bounded.text.len() <= USUAL.text && bounded.text.ends_with(CUT));
        assert_eq!(bounded.structured["message"], "kept");
        let length = bounded.structured.to_string().len();
        assert!(length < USUAL.structured * 2, "{length}");
    }
}
