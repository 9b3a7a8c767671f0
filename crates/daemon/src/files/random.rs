//! Names that nobody else uses.

/// Sixteen letters that cannot be guessed.
pub(super) fn letters() -> Result<String, rustix::io::Errno> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|_no_entropy| rustix::io::Errno::IO)?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}
