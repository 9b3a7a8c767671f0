//! What the process of an interpreter's context says: a letter, a run's number, a length and that many bytes.
//!
//! Code that runs in a context shares its process and can say anything here. A message is bounded, and nothing that is
//! none gets through.

/// The longest text of a message: more than name, value and traceback of any error are allowed. As JSON it may be six
/// times that, and as many contexts as there can be may each have one that its client does not read.
const MAX_PAYLOAD: usize = 128 << 10;
/// Letter, number and length.
const HEAD: usize = 13;

/// Something that a context says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextMessage {
    /// It has started.
    Ready,
    /// A run is over.
    Over {
        /// The run's number.
        run: u64,
        /// How it ended.
        outcome: RunOutcome,
    },
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunOutcome {
    /// By itself.
    Completed,
    /// With an exception.
    Failed(RunError),
    /// With the exception that an interruption is.
    Interrupted(RunError),
}

/// An exception that nobody caught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunError {
    /// Its type.
    pub name: String,
    /// Its text.
    pub value: String,
    /// Where it came from.
    pub traceback: String,
}

/// It says something that means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the context said something that means nothing")]
pub struct GarbledContext;

/// Messages from bytes, however they are cut.
#[derive(Debug, Default)]
pub struct ContextMessages(Vec<u8>);

impl ContextMessages {
    /// Takes more bytes. Take all messages out before the next ones.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next message that is whole.
    ///
    /// # Errors
    ///
    /// What came is no message, and nothing that comes after it can be one.
    pub fn take(&mut self) -> Result<Option<ContextMessage>, GarbledContext> {
        let Some((head, rest)) = self.0.split_first_chunk::<HEAD>() else { return Ok(None) };
        let [kind, number @ ..] = head;
        let (run, length) = number.split_first_chunk::<8>().ok_or(GarbledContext)?;
        let run = u64::from_le_bytes(*run);
        let length = number_of(length)?;
        if length > MAX_PAYLOAD || !matches!(kind, b'R' | b'C' | b'E' | b'I') {
            return Err(GarbledContext);
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let outcome = match kind {
            b'R' | b'C' if !payload.is_empty() => return Err(GarbledContext),
            b'R' if run != 0 => return Err(GarbledContext),
            b'R' => None,
            b'C' => Some(RunOutcome::Completed),
            b'E' => Some(RunOutcome::Failed(error_of(payload)?)),
            _ => Some(RunOutcome::Interrupted(error_of(payload)?)),
        };
        self.0.drain(..HEAD.saturating_add(length));
        let message =
            outcome.map_or(ContextMessage::Ready, |outcome| ContextMessage::Over { run, outcome });
        Ok(Some(message))
    }
}

fn number_of(bytes: &[u8]) -> Result<usize, GarbledContext> {
    let bytes = <[u8; 4]>::try_from(bytes).map_err(|_other_length| GarbledContext)?;
    usize::try_from(u32::from_le_bytes(bytes)).map_err(|_too_large| GarbledContext)
}

fn error_of(payload: &[u8]) -> Result<RunError, GarbledContext> {
    let (name, rest) = payload.split_first_chunk::<4>().ok_or(GarbledContext)?;
    let (value, rest) = rest.split_first_chunk::<4>().ok_or(GarbledContext)?;
    let (name, value) = (number_of(name)?, number_of(value)?);
    let (name, rest) = rest.split_at_checked(name).ok_or(GarbledContext)?;
    let (value, traceback) = rest.split_at_checked(value).ok_or(GarbledContext)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(RunError { name: text(name), value: text(value), traceback: text(traceback) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(kind: u8, run: u64, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap();
        [&[kind], &run.to_le_bytes()[..], &length.to_le_bytes(), payload].concat()
    }

    fn error(name: &str, value: &str, traceback: &str) -> Vec<u8> {
        let length = |text: &str| u32::try_from(text.len()).unwrap().to_le_bytes();
        [&length(name)[..], &length(value), name.as_bytes(), value.as_bytes(), traceback.as_bytes()]
            .concat()
    }

    /// All messages, and whether something else came after them.
    fn read(data: &[u8], size: usize) -> (Vec<ContextMessage>, bool) {
        let mut messages = ContextMessages::default();
        let mut found = Vec::new();
        for piece in data.chunks(size.max(1)) {
            messages.push(piece);
            loop {
                match messages.take() {
                    Ok(Some(message)) => found.push(message),
                    Ok(None) => break,
                    Err(GarbledContext) => return (found, true),
                }
            }
        }
        (found, false)
    }

    #[test]
    fn messages_are_what_was_said() {
        let data = [
            bytes(b'R', 0, b""),
            bytes(b'C', 1, b""),
            bytes(b'E', 2, &error("ValueError", "grün", "Traceback")),
            bytes(b'I', u64::MAX, &error("KeyboardInterrupt", "", "")),
        ]
        .concat();
        let told = |name: &str, value: &str, traceback: &str| RunError {
            name: name.into(),
            value: value.into(),
            traceback: traceback.into(),
        };
        let over = |run, outcome| ContextMessage::Over { run, outcome };
        let wanted = vec![
            ContextMessage::Ready,
            over(1, RunOutcome::Completed),
            over(2, RunOutcome::Failed(told("ValueError", "grün", "Traceback"))),
            over(u64::MAX, RunOutcome::Interrupted(told("KeyboardInterrupt", "", ""))),
        ];
        assert_eq!(read(&data, data.len()), (wanted, false));
    }

    #[test]
    fn nonsense_is_told_at_once() {
        let garbled = [
            bytes(b'X', 1, b""),
            bytes(b'C', 1, b"x"),
            bytes(b'R', 1, b""),
            bytes(b'E', 1, b"short"),
            bytes(b'E', 1, &[9, 0, 0, 0, 0, 0, 0, 0, b'x']),
            [&b"E"[..], &[0; 8], &[255; 4]].concat(),
        ];
        for data in garbled {
            assert_eq!(read(&data, 1), (Vec::new(), true), "{data:?}");
        }
    }

    #[test]
    fn an_error_is_short_even_where_all_of_it_must_be_escaped() {
        let longest = |more| "\u{1}".repeat(MAX_PAYLOAD - 8 + more);
        let (told, is_garbled) = read(&bytes(b'E', 1, &error("", "", &longest(0))), 1 << 14);
        let [ContextMessage::Over { run: 1, outcome: RunOutcome::Failed(told) }] = &told[..] else {
            panic!("{} messages, garbled: {is_garbled}", told.len());
        };
        assert_eq!(told.traceback, longest(0));
        assert!(serde_json::to_string(&told.traceback).unwrap().len() < 1 << 20);
        let too_long = bytes(b'E', 1, &error("", "", &longest(1)));
        assert_eq!(read(&too_long, 1 << 14), (Vec::new(), true));
        // Nothing of it is waited for.
        assert_eq!(read(&too_long[..HEAD], 1), (Vec::new(), true));
    }

    proptest! {
        #[test]
        fn messages_mean_the_same_however_they_are_cut(
            parts in prop::collection::vec(
                (prop::sample::select(b"RCEIX".to_vec()), 0_u64..3, prop::collection::vec(any::<u8>(), 0..20)),
                0..6,
            ),
            tail in prop::collection::vec(any::<u8>(), 0..40),
            size in 1_usize..20,
        ) {
            let mut data: Vec<u8> =
                parts.iter().flat_map(|(kind, run, payload)| bytes(*kind, *run, payload)).collect();
            data.extend(tail);
            prop_assert_eq!(read(&data, size), read(&data, data.len()));
        }
    }
}
