//! The kernel's lists of TCP sockets.

/// The state of a socket that listens, as the kernel writes it.
const LISTEN: &str = "0A";

/// The port on which a line of `/proc/net/tcp` or `tcp6` says that something listens.
#[must_use]
pub fn listening_port(line: &str) -> Option<u16> {
    let mut fields = line.split_ascii_whitespace();
    let (_number, local, _remote) = (fields.next()?, fields.next()?, fields.next()?);
    if fields.next()? != LISTEN {
        return None;
    }
    let (_address, port) = local.rsplit_once(':')?;
    u16::from_str_radix(port, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::listening_port;

    #[test]
    fn only_what_listens_counts() {
        let tail = "00000000:00000000 00:00000000 00000000  1000        0 61 1 0 100 0 0 10 0";
        for (line, wanted) in [
            (format!("   0: 0100007F:1F90 00000000:0000 0A {tail}"), Some(8080)),
            (
                format!("  12: {}:0BB8 {}:0000 0A {tail}", "0".repeat(32), "0".repeat(32)),
                Some(3000),
            ),
            (format!("   1: 0100007F:1F90 0100007F:D2F0 01 {tail}"), None),
            ("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when".into(), None),
            (String::new(), None),
            ("0: 1:XX 2 0A".into(), None),
        ] {
            assert_eq!(listening_port(&line), wanted, "{line}");
        }
    }
}
