//! The framing of netlink: messages and nested attributes, in the byte order of the machine.

use rustix::io::Errno;

/// `nlmsghdr`.
const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// Messages being written.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Writes a message whose body `body` appends.
    pub(crate) fn message(
        &mut self,
        kind: u16,
        flags: u16,
        sequence: u32,
        body: impl FnOnce(&mut Self),
    ) {
        let start = self.bytes.len();
        self.put(&[0; 4]);
        self.put(&kind.to_ne_bytes());
        self.put(&flags.to_ne_bytes());
        self.put(&sequence.to_ne_bytes());
        self.put(&[0; 4]);
        body(self);
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Appends bytes as they are.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes an attribute whose content `body` appends.
    pub(crate) fn nest(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.put(&[0; 2]);
        self.put(&kind.to_ne_bytes());
        body(self);
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.nest(kind, |writer| writer.put(value));
    }

    /// Writes a text attribute, with the zero byte the kernel wants after it.
    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        self.nest(kind, |writer| {
            writer.put(value.as_bytes());
            writer.put(&[0]);
        });
    }

    pub(crate) fn number(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_ne_bytes());
    }
}

/// One received message.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    kind: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Whether this acknowledges a request, and if so the refusal in it.
    pub(crate) fn acknowledgement(&self) -> Option<Option<Errno>> {
        if self.kind != NLMSG_ERROR {
            return None;
        }
        let code = word(self.body, 0).map_or(i32::MIN, u32::cast_signed);
        Some(if code == 0 { None } else { Some(Errno::from_raw_os_error(code.saturating_neg())) })
    }

    pub(crate) fn ends_dump(&self) -> bool {
        self.kind == NLMSG_DONE
    }

    pub(crate) fn is(&self, kind: u16) -> bool {
        self.kind == kind
    }

    /// The attributes after a fixed part of `fixed` bytes.
    pub(crate) fn attributes(&self, fixed: usize) -> Attributes<'a> {
        Attributes { bytes: self.body.get(fixed..).unwrap_or_default() }
    }
}

/// The messages of one datagram. A malformed rest ends the iteration.
#[derive(Debug)]
pub(crate) struct Messages<'a> {
    bytes: &'a [u8],
}

impl<'a> Messages<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let length = usize::try_from(word(self.bytes, 0)?).ok()?;
        let message = self.bytes.get(..length)?;
        let found = Message {
            kind: half(message, 4)?,
            sequence: word(message, 8)?,
            body: message.get(HEADER..)?,
        };
        self.bytes = self.bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(found)
    }
}

/// The attributes of a message: kind and content.
#[derive(Debug)]
pub(crate) struct Attributes<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let length = usize::from(half(self.bytes, 0)?);
        let kind = half(self.bytes, 2)?;
        let content = self.bytes.get(4..length)?;
        self.bytes = self.bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, content))
    }
}

/// The 32-bit number at an offset.
pub(crate) fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn half(bytes: &[u8], offset: usize) -> Option<u16> {
    let bytes = bytes.get(offset..offset + 2)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_message_is_read_back_with_its_attributes() {
        let mut writer = Writer::default();
        writer.message(16, 1, 7, |writer| {
            writer.put(&[9; 16]);
            writer.text(3, "lo");
            writer.number(4, 1500);
        });
        let messages: Vec<_> = Messages::new(writer.bytes())
            .map(|message| {
                (message.kind, message.sequence, message.attributes(16).collect::<Vec<_>>())
            })
            .collect();
        let mtu = 1500_u32.to_ne_bytes();
        assert_eq!(messages, vec![(16, 7, vec![(3, &b"lo\0"[..]), (4, &mtu[..])])]);
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_end_the_iteration(bytes: Vec<u8>) {
            for message in Messages::new(&bytes) {
                let _count = message.attributes(16).count();
            }
        }
    }
}
