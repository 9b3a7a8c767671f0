//! Checksums that clients send, and what came of the bytes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use pitlane_storage::Verification;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::Checksum;

/// What headers and trailers with checksums begin with.
const PREFIX: &str = "x-amz-checksum-";

/// The algorithms, as headers name them.
pub(crate) const ALGORITHMS: [&str; 5] = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"];

/// Checksums by their algorithms.
pub(crate) type Sums = BTreeMap<&'static str, String>;

/// Why a body is not what was announced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SumError {
    #[error("the body is not what its {algorithm} says")]
    Differs { algorithm: &'static str },
    #[error("the {algorithm} is not a checksum")]
    Unreadable { algorithm: &'static str },
    #[error("the {algorithm} that was announced did not come")]
    Missing { algorithm: &'static str },
    #[error("a checksum of checksums needs one for every part")]
    Composite,
}

/// Reads a body along, for all that a client said of it before and says behind it.
pub(crate) struct Reader {
    hasher: ChecksumHasher,
    md5: Option<Md5>,
    said: Sums,
    said_md5: Option<String>,
    behind: Vec<&'static str>,
}

impl Reader {
    /// Of a request's headers; `algorithm` is what it names without saying a checksum.
    pub(crate) fn new(headers: &HeaderMap, algorithm: Option<&str>) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let announced = text("x-amz-trailer").unwrap_or_default().to_ascii_lowercase();
        let behind: Vec<&str> = ALGORITHMS
            .into_iter()
            .filter(|name| {
                announced.split(',').any(|it| it.trim().strip_prefix(PREFIX) == Some(name))
            })
            .collect();
        let said: Sums = ALGORITHMS
            .into_iter()
            .filter_map(|name| Some((name, text(&format!("{PREFIX}{name}"))?.to_owned())))
            .collect();
        let asked = ALGORITHMS
            .into_iter()
            .find(|name| algorithm.is_some_and(|it| it.eq_ignore_ascii_case(name)));
        let said_md5 = text("content-md5").map(str::to_owned);
        let wanted = said.keys().copied().chain(behind.iter().copied()).chain(asked);
        Self {
            hasher: hasher(wanted),
            md5: said_md5.is_some().then(Md5::new),
            said,
            said_md5,
            behind,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
    }

    /// Compares, when the body and what came behind it are there.
    pub(crate) fn finish(self, trailers: Option<&HeaderMap>) -> Result<Sums, SumError> {
        let Self { hasher, md5, mut said, said_md5, behind } = self;
        let computed = sums_of(&hasher.finalize());
        for algorithm in behind {
            let value = trailers.and_then(|it| it.get(format!("{PREFIX}{algorithm}")));
            let value = value.ok_or(SumError::Missing { algorithm })?;
            let value = value.to_str().ok().ok_or(SumError::Unreadable { algorithm })?;
            said.insert(algorithm, value.to_owned());
        }
        for (algorithm, said) in said {
            if computed.get(algorithm).is_none_or(|it| *it != said) {
                return Err(SumError::Differs { algorithm });
            }
        }
        if let (Some(md5), Some(said)) = (md5, said_md5)
            && STANDARD.encode(md5.finalize()) != said
        {
            return Err(SumError::Differs { algorithm: "Content-MD5" });
        }
        Ok(computed)
    }
}

fn hasher(algorithms: impl Iterator<Item = &'static str>) -> ChecksumHasher {
    let mut hasher = ChecksumHasher::default();
    for algorithm in algorithms {
        match algorithm {
            "crc32" => hasher.crc32 = Some(Crc32::new()),
            "crc32c" => hasher.crc32c = Some(Crc32c::new()),
            "crc64nvme" => hasher.crc64nvme = Some(Crc64Nvme::new()),
            "sha1" => hasher.sha1 = Some(Sha1::new()),
            _ => hasher.sha256 = Some(Sha256::new()),
        }
    }
    hasher
}

fn sums_of(checksum: &Checksum) -> Sums {
    let all = [
        ("crc32", &checksum.checksum_crc32),
        ("crc32c", &checksum.checksum_crc32c),
        ("crc64nvme", &checksum.checksum_crc64nvme),
        ("sha1", &checksum.checksum_sha1),
        ("sha256", &checksum.checksum_sha256),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
}

/// Reads a whole archive for a checksum that a client has of it.
pub(crate) struct Whole {
    hasher: ChecksumHasher,
    algorithm: &'static str,
    said: String,
}

impl Whole {
    pub(crate) fn new(algorithm: &'static str, said: String) -> Self {
        Self { hasher: hasher(std::iter::once(algorithm)), algorithm, said }
    }
}

impl Verification for Whole {
    fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    fn is_right(self: Box<Self>) -> bool {
        sums_of(&self.hasher.finalize()).get(self.algorithm) == Some(&self.said)
    }
}

/// The checksum of the parts' checksums, as S3 makes it.
pub(crate) fn composite<'p>(
    algorithm: &'static str,
    parts: impl Iterator<Item = Option<&'p String>>,
) -> Result<String, SumError> {
    let mut hasher = hasher(std::iter::once(algorithm));
    let mut count = 0_usize;
    for part in parts {
        let bytes = part.and_then(|part| STANDARD.decode(part).ok()).ok_or(SumError::Composite)?;
        hasher.update(&bytes);
        count = count.saturating_add(1);
    }
    let sums = sums_of(&hasher.finalize());
    let sum = sums.get(algorithm).ok_or(SumError::Composite)?;
    Ok(format!("{sum}-{count}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        headers: &[(&'static str, &str)],
        trailers: &[(&'static str, &str)],
    ) -> Result<Sums, SumError> {
        let map = |pairs: &[(&'static str, &str)]| -> HeaderMap {
            pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
                .collect()
        };
        let mut reader = Reader::new(&map(headers), None);
        reader.update(b"hel");
        reader.update(b"lo");
        reader.finish(Some(&map(trailers)))
    }

    #[test]
    fn a_body_is_what_its_checksums_say_before_and_behind_it() {
        let crc = ("crc32", "NhCmhg==");
        let sums = || Sums::from([(crc.0, crc.1.to_owned())]);
        assert_eq!(read(&[], &[]), Ok(Sums::new()));
        assert_eq!(read(&[("x-amz-checksum-crc32", crc.1)], &[]), Ok(sums()));
        let behind = ("x-amz-trailer", "x-amz-checksum-crc32");
        assert_eq!(read(&[behind], &[("x-amz-checksum-crc32", crc.1)]), Ok(sums()));
        assert_eq!(read(&[behind], &[]), Err(SumError::Missing { algorithm: "crc32" }));
        let wrong = Err(SumError::Differs { algorithm: "crc32" });
        assert_eq!(read(&[behind], &[("x-amz-checksum-crc32", "AAAAAA==")]), wrong);
        assert_eq!(read(&[("x-amz-checksum-crc32", "AAAAAA==")], &[]), wrong);
        assert_eq!(read(&[("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")], &[]), Ok(Sums::new()));
        let wrong = Err(SumError::Differs { algorithm: "Content-MD5" });
        assert_eq!(read(&[("content-md5", "AUFAKrxLKna5cZ2REBfFkg==")], &[]), wrong);
    }
}
