//! The certificate of object storage over https.
//!
//! Where the operator has none, the server makes an authority that may vouch for this machine's names alone, has it sign
//! one certificate, and throws its key away: who trusts it trusts this server and nobody else.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::failure::{Doing as _, Failure};

/// Where what the server makes is kept, in the state folder.
const FOLDER: &str = "tls";

/// What clients have to trust, in that folder.
const AUTHORITY_FILE: &str = "authority.pem";

/// The certificate and its key, in that folder: one file, so that they are never of two.
const CERTIFICATE_FILE: &str = "certificate-and-key.pem";

/// For which names they were made, in that folder. Written last.
const NAMES_FILE: &str = "names";

/// A certificate and its key, as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// What clients have to trust, if the server made it.
    pub(super) authority: Option<PathBuf>,
}

/// The server's own, made for these names unless they are there.
pub(super) fn own(state: &Path, names: &[String]) -> Result<Files, Failure> {
    let folder = state.join(FOLDER);
    let certificate = folder.join(CERTIFICATE_FILE);
    let files = Files {
        key: certificate.clone(),
        certificate,
        authority: Some(folder.join(AUTHORITY_FILE)),
    };
    let text = names.join("\n");
    if std::fs::read_to_string(folder.join(NAMES_FILE)).is_ok_and(|made_for| made_for == text) {
        return Ok(files);
    }
    let (authority, certificate) = make(names).doing("cannot make a certificate")?;
    let at = format!("cannot keep a certificate in {}", folder.display());
    std::fs::create_dir_all(&folder).doing(at.clone())?;
    match std::fs::remove_file(folder.join(NAMES_FILE)) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause).doing(at),
        _ => {}
    }
    for (name, text) in
        [(AUTHORITY_FILE, authority), (CERTIFICATE_FILE, certificate), (NAMES_FILE, text)]
    {
        write(&folder, name, &text).doing(at.clone())?;
    }
    Ok(files)
}

/// Writes a file for its owner's eyes, synced.
fn write(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(folder.join(name))?;
    std::fs::File::open(folder)?.sync_all()
}

/// An authority, and a certificate with its key that it has signed; as PEM.
fn make(names: &[String]) -> Result<(String, String), rcgen::Error> {
    let (first, last) = (date_time_ymd(2025, 1, 1), date_time_ymd(2045, 1, 1));
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, "Pitlane object storage");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority.name_constraints = Some(NameConstraints {
        permitted_subtrees: names.iter().map(|name| subtree(name)).collect(),
        excluded_subtrees: Vec::new(),
    });
    (authority.not_before, authority.not_after) = (first, last);
    let authority_key = KeyPair::generate()?;
    let trusted = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::from_params(&authority, authority_key);

    let mut leaf = CertificateParams::new(names.to_vec())?;
    leaf.distinguished_name.push(DnType::CommonName, "Pitlane");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    (leaf.not_before, leaf.not_after) = (first, last);
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &issuer)?;
    Ok((trusted, format!("{}{}", certificate.pem(), key.serialize_pem())))
}

fn subtree(name: &str) -> GeneralSubtree {
    match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => GeneralSubtree::IpAddress(CidrSubnet::V4(ip.octets(), [255; 4])),
        Ok(IpAddr::V6(ip)) => GeneralSubtree::IpAddress(CidrSubnet::V6(ip.octets(), [255; 16])),
        Err(_) => GeneralSubtree::DnsName(name.to_owned()),
    }
}

/// What a server says with a certificate.
pub(super) fn read(files: &Files) -> Result<Arc<ServerConfig>, Failure> {
    let at = |path: &Path| format!("cannot use {}", path.display());
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_file_iter(&files.certificate).and_then(Iterator::collect);
    let chain = chain.doing(at(&files.certificate))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).doing(at(&files.key))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .doing(at(&files.certificate))?;
    Ok(Arc::new(config))
}
