//! What an archive is without its compression, whatever its media type says it is.

use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The longest distance back that a compressed archive may refer to: 128 MiB, as the program `zstd` has it by default.
const MAX_WINDOW_LOG: u32 = 27;

/// How much is read at once.
const BUFFER: usize = 128 * 1024;

/// Reads an archive that may be compressed by gzip or zstd.
pub(crate) fn decompress<'a>(mut archive: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut magic = [0u8; 4];
    let mut length = 0usize;
    while length < magic.len() {
        match archive.read(magic.get_mut(length..).unwrap_or_default())? {
            0 => break,
            read => length = length.saturating_add(read),
        }
    }
    let begun = magic.get(..length).unwrap_or_default().to_vec();
    let is_gzip = begun.starts_with(&GZIP);
    let is_zstd = begun.starts_with(&ZSTD);
    let whole = BufReader::with_capacity(BUFFER, io::Cursor::new(begun).chain(archive));
    if is_gzip {
        return Ok(Box::new(MultiGzDecoder::new(whole)));
    }
    if is_zstd {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(whole)?;
        decoder.window_log_max(MAX_WINDOW_LOG)?;
        return Ok(Box::new(decoder));
    }
    Ok(Box::new(whole))
}

/// How much may be read until it is said anew. All clones are one.
///
/// Whoever reads entries has the name and the attributes of each in memory, however long an archive says that they are.
#[derive(Debug, Clone)]
pub(crate) struct Leash(Rc<Cell<u64>>);

impl Leash {
    /// One that ends nowhere.
    pub(crate) fn new() -> Self {
        Self(Rc::new(Cell::new(u64::MAX)))
    }

    /// So many bytes, and no more.
    pub(crate) fn set(&self, bytes: u64) {
        self.0.set(bytes);
    }

    /// Lets everything be read again, and begins to count.
    pub(crate) fn let_go(&self) {
        self.set(u64::MAX);
    }

    /// How much was read since it was let go.
    pub(crate) fn read(&self) -> u64 {
        u64::MAX.saturating_sub(self.0.get())
    }

    fn take(&self, bytes: u64) -> io::Result<()> {
        let left = self.0.get().checked_sub(bytes);
        self.0.set(left.ok_or_else(|| io::Error::other("what it says of an entry is too long"))?);
        Ok(())
    }
}

/// Passes bytes on and computes their digest.
pub(crate) struct Digesting<R> {
    inner: R,
    digest: Sha256,
    left: u64,
    leash: Leash,
}

impl<R: Read> Digesting<R> {
    /// Reads `most` bytes at most: what is compressed can be without end.
    pub(crate) fn new(inner: R, most: u64, leash: Leash) -> Self {
        Self { inner, digest: Sha256::new(), left: most, leash }
    }

    /// Reads what is left, and answers the digest of everything in hexadecimal digits. Archives end before their last
    /// bytes do.
    pub(crate) fn finish(mut self) -> io::Result<String> {
        let mut rest = vec![0u8; BUFFER];
        while self.read(&mut rest)? > 0 {}
        Ok(self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let length = u64::try_from(read).unwrap_or(u64::MAX);
        self.leash.take(length)?;
        let left = self.left.checked_sub(length);
        self.left = left.ok_or_else(|| io::Error::other("it does not end where it must"))?;
        self.digest.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn text() -> Vec<u8> {
        b"a layer ".repeat(10_000)
    }

    fn read(archive: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        decompress(archive)?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn every_usual_compression_is_known_by_its_first_bytes() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text()).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::encode_all(text().as_slice(), 1).unwrap();
        for archive in [gzip.clone(), zstd, text()] {
            assert_eq!(read(&archive).unwrap(), text());
        }
        // Some tools write a layer as several members.
        let twice = [gzip.clone(), gzip].concat();
        assert_eq!(read(&twice).unwrap(), text().repeat(2));
        assert_eq!(read(b"").unwrap(), b"");
        assert_eq!(read(b"x").unwrap(), b"x");
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text()).unwrap();
        let gzip = gzip.finish().unwrap();
        let half =
            |archive: &[u8]| archive.iter().copied().take(archive.len() / 2).collect::<Vec<_>>();
        read(&half(&gzip)).unwrap_err();
        let zstd = zstd::encode_all(text().as_slice(), 1).unwrap();
        read(&half(&zstd)).unwrap_err();
    }

    #[test]
    fn the_digest_is_of_everything() {
        let mut digesting = Digesting::new(text().leak() as &[u8], 90_000, Leash::new());
        digesting.read_exact(&mut [0; 10]).unwrap();
        let wanted: String =
            Sha256::digest(text()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digesting.finish().unwrap(), wanted);
        let without_end = Digesting::new(io::repeat(0), 1 << 20, Leash::new());
        assert_eq!(without_end.finish().unwrap_err().to_string(), "it does not end where it must");
    }
}
