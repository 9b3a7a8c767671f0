//! Numbers that the kernel writes as text.

/// The number beside a name in a list of them, as `/proc/meminfo` and `memory.stat` are.
#[must_use]
pub fn field(list: &str, name: &str) -> Option<u64> {
    list.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some(name)).then(|| words.next()?.parse().ok()).flatten()
    })
}

/// The processor time of a process and of those it has waited for, as `/proc/PID/stat` counts it.
///
/// The second field is the program's name, in which anything may stand.
#[must_use]
pub fn cpu_ticks(stat: &str) -> Option<u64> {
    /// The fourteenth to the seventeenth field, counted from the third.
    const FIRST: usize = 11;
    const COUNT: usize = 4;
    let (_name, rest) = stat.rsplit_once(')')?;
    let times: Vec<u64> = rest
        .split_ascii_whitespace()
        .skip(FIRST)
        .take(COUNT)
        .filter_map(|time| time.parse().ok())
        .collect();
    (times.len() == COUNT).then(|| times.into_iter().fold(0, u64::saturating_add))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_by_its_whole_name() {
        let list = "MemTotal:  24 kB\ncache 1\ntotal_cache 7\nbroken x\nempty\n";
        let found: Vec<_> = ["MemTotal:", "cache", "total_cache", "broken", "empty", "total"]
            .map(|name| field(list, name))
            .into();
        assert_eq!(found, [Some(24), Some(1), Some(7), None, None, None]);
    }

    #[test]
    fn a_programs_name_cannot_pretend_to_be_a_number() {
        let tail = "S 1 1 1 0 -1 4194560 1 2 3 4 10 20 3 4 20 0 1 0 100 1000 10";
        assert_eq!(cpu_ticks(&format!("7 (a) 9 9 (b) {tail}")), Some(37));
        assert_eq!(cpu_ticks("7 (a) S 1"), None);
        assert_eq!(cpu_ticks(""), None);
    }
}
