//! Requests, as bytes of the kernel's.

use rustix::io::Errno;

/// The bytes before what a request says.
const HEADER: usize = 40;

/// A request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) operation: u32,
    /// By which its answer is told from others.
    pub(super) unique: u64,
    pub(super) node: u64,
    pub(super) user: u32,
    pub(super) group: u32,
    pub(super) said: Fields<'a>,
}

/// What a request says, from one field to the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Request<'a> {
    /// Reads a request; nothing, if it is shorter than requests are.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (header, said) = bytes.split_at_checked(HEADER)?;
        let mut header = Fields(header);
        let read = |header: &mut Fields<'_>| {
            let _length = header.u32()?;
            let operation = header.u32()?;
            let unique = header.u64()?;
            let node = header.u64()?;
            let user = header.u32()?;
            let group = header.u32()?;
            Ok::<_, Errno>((operation, unique, node, user, group))
        };
        let (operation, unique, node, user, group) = read(&mut header).ok()?;
        Some(Self { operation, unique, node, user, group, said: Fields(said) })
    }
}

impl<'a> Fields<'a> {
    pub(super) fn u32(&mut self) -> Result<u32, Errno> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Errno::INVAL)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*field))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Errno> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Errno::INVAL)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*field))
    }

    /// Leaves so many bytes out.
    pub(super) fn skip(&mut self, bytes: usize) -> Result<(), Errno> {
        self.0 = self.0.get(bytes..).ok_or(Errno::INVAL)?;
        Ok(())
    }

    /// A name, which ends with a zero.
    pub(super) fn name(&mut self) -> Result<&'a [u8], Errno> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Errno::INVAL)?;
        let (name, rest) = self.0.split_at_checked(end).ok_or(Errno::INVAL)?;
        self.0 = rest.get(1..).unwrap_or_default();
        Ok(name)
    }

    /// So many bytes.
    pub(super) fn bytes(&mut self, length: u32) -> Result<&'a [u8], Errno> {
        let length = usize::try_from(length).map_err(|_large| Errno::INVAL)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Errno::INVAL)?;
        self.0 = rest;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::Request;

    #[test]
    fn requests_are_read_to_their_end_and_no_further() {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&52u32.to_le_bytes());
        bytes.extend_from_slice(&1u32.to_le_bytes());
        bytes.extend_from_slice(&7u64.to_le_bytes());
        bytes.extend_from_slice(&9u64.to_le_bytes());
        bytes.extend_from_slice(&[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(b"name\0rest");
        let mut request = Request::read(&bytes).unwrap();
        assert_eq!((request.operation, request.unique, request.node), (1, 7, 9));
        assert_eq!((request.user, request.group), (1, 2));
        assert_eq!(request.said.name(), Ok(b"name".as_slice()));
        assert_eq!(request.said.bytes(5), Err(rustix::io::Errno::INVAL));
        assert_eq!(request.said.bytes(4), Ok(b"rest".as_slice()));
        assert!(request.said.u32().is_err() && request.said.name().is_err());
        assert!(Request::read(&bytes[..39]).is_none());
    }
}
