//! Filters of system calls. See `seccomp(2)`.
//!
//! The kernel runs a filter once for every system call number when it is installed, to learn which calls need no
//! filter later. A filter that asks for one number after the other costs 0.8 ms then; this one searches the numbers in
//! halves and costs a tenth.

use std::collections::BTreeMap;

use crate::error::{Context as _, SyscallError, check};

/// What an argument of a system call must be for the call to be allowed. Only the low 32 bits are looked at where that
/// is all the kernel looks at; all 64 otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// The argument at this position equals the value, in all 64 bits.
    Equals(u8, u64),
    /// The low 32 bits of the argument at this position differ from the value.
    Differs(u8, u32),
    /// The argument at this position has none of these bits, in its low 32.
    HasNone(u8, u32),
}

/// A system call that is allowed: always, or when one of several lists of conditions holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// Its number, `libc::SYS_…`.
    pub call: i64,
    /// Alternatives; in each, every condition must hold. Empty means always.
    pub when: Vec<Vec<Argument>>,
}

/// A compiled filter.
#[derive(Debug, Clone)]
pub struct Filter(Vec<libc::sock_filter>);

/// A list of rules that cannot be compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// Not the number of a system call.
    #[error("{0} is not the number of a system call")]
    Number(i64),
    /// System calls have six arguments.
    #[error("a system call has no argument {0}")]
    Argument(u8),
    /// A jump does not fit an instruction.
    #[error("too many conditions on one system call")]
    TooLong,
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;

// Offsets in the kernel's `struct seccomp_data`; arguments are little-endian on both architectures.
const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCHITECTURE: u32 = 4;
const OFFSET_ARGUMENTS: u32 = 16;

const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7FFF_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const ERRNO: u32 = 0x0005_0000;
const NOT_IMPLEMENTED: u32 = ERRNO | libc::ENOSYS.cast_unsigned();

/// What happens to all numbers from one to the next segment's.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    first: u32,
    verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Allow,
    Refuse,
    When(Vec<Vec<Argument>>),
}

impl Filter {
    /// Compiles an allow list. Every other call answers `ENOSYS`, as if the kernel did not have it, so that programs
    /// fall back to what it has; a call of another architecture ends the process.
    ///
    /// # Errors
    ///
    /// A number or an argument's position does not exist, or a call has more conditions than fit.
    pub fn allow(list: &[Allowed]) -> Result<Self, CompileError> {
        let mut program = vec![
            instruction(LOAD, 0, 0, OFFSET_ARCHITECTURE),
            instruction(JUMP_EQUAL, 1, 0, ARCHITECTURE),
            instruction(RETURN, 0, 0, KILL_PROCESS),
            instruction(LOAD, 0, 0, OFFSET_NUMBER),
        ];
        search(&segments(list)?, &mut program)?;
        Ok(Self(program))
    }

    /// Applies the filter to the calling thread and everything it executes, for ever.
    ///
    /// Does not set `no_new_privs`: the caller has `CAP_SYS_ADMIN` in its user namespace.
    ///
    /// # Errors
    ///
    /// The kernel has no filters, or the caller lacks the capability.
    #[expect(unsafe_code, reason = "seccomp has no wrapper that leaves no_new_privs alone")]
    pub fn install(&self) -> Result<(), SyscallError> {
        let program = libc::sock_fprog {
            len: u16::try_from(self.0.len()).unwrap_or(0),
            filter: self.0.as_ptr().cast_mut(),
        };
        // SAFETY: SECCOMP_SET_MODE_FILTER reads `len` instructions at `filter`; both come from the same vector, which
        // outlives the call. The kernel does not write to it.
        let result = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
        };
        check(result).context("seccomp").map(|_| ())
    }
}

const fn instruction(code: u16, if_true: u8, if_false: u8, value: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: if_true, jf: if_false, k: value }
}

/// Divides all numbers into runs with the same verdict.
fn segments(list: &[Allowed]) -> Result<Vec<Segment>, CompileError> {
    let mut verdicts = BTreeMap::new();
    for allowed in list {
        let number =
            u32::try_from(allowed.call).map_err(|_negative| CompileError::Number(allowed.call))?;
        let verdict = if allowed.when.is_empty() {
            Verdict::Allow
        } else {
            Verdict::When(allowed.when.clone())
        };
        verdicts.insert(number, verdict);
    }
    let mut segments: Vec<Segment> = vec![Segment { first: 0, verdict: Verdict::Refuse }];
    let mut next = 0;
    let mut append = |first: u32, verdict: Verdict| match segments.last_mut() {
        Some(last) if last.first == first => last.verdict = verdict,
        Some(last) if last.verdict == verdict => {}
        _ => segments.push(Segment { first, verdict }),
    };
    for (number, verdict) in verdicts {
        if number > next {
            append(next, Verdict::Refuse);
        }
        append(number, verdict);
        next = number.checked_add(1).ok_or(CompileError::Number(i64::from(number)))?;
    }
    append(next, Verdict::Refuse);
    Ok(segments)
}

/// Appends instructions that find the segment of the loaded number and give its verdict.
fn search(segments: &[Segment], program: &mut Vec<libc::sock_filter>) -> Result<(), CompileError> {
    let (left, right) = segments.split_at(segments.len() / 2);
    let (Some(middle), false) = (right.first(), left.is_empty()) else {
        return segments.first().map_or(Ok(()), |only| give(&only.verdict, program));
    };
    let mut lower = Vec::new();
    search(left, &mut lower)?;
    let distance = u32::try_from(lower.len()).map_err(|_huge| CompileError::TooLong)?;
    // A conditional jump reaches 255 instructions, an unconditional one any number.
    program.push(instruction(JUMP_GREATER_OR_EQUAL, 0, 1, middle.first));
    program.push(instruction(JUMP, 0, 0, distance));
    program.append(&mut lower);
    search(right, program)
}

fn give(verdict: &Verdict, program: &mut Vec<libc::sock_filter>) -> Result<(), CompileError> {
    let alternatives = match verdict {
        Verdict::Allow => {
            program.push(instruction(RETURN, 0, 0, ALLOW));
            return Ok(());
        }
        Verdict::Refuse => &[][..],
        Verdict::When(alternatives) => alternatives,
    };
    for conditions in alternatives {
        let mut tests = Vec::new();
        for condition in conditions {
            tests.extend(test(*condition)?);
        }
        // Each test ends with a jump that leaves this alternative when it fails: the distance is known only now.
        let length = tests.len();
        for (position, (mut test, fails_when)) in tests.into_iter().enumerate() {
            let distance = u8::try_from(length - position).map_err(|_far| CompileError::TooLong)?;
            match fails_when {
                Some(true) => test.jt = distance,
                Some(false) => test.jf = distance,
                None => {}
            }
            program.push(test);
        }
        program.push(instruction(RETURN, 0, 0, ALLOW));
    }
    program.push(instruction(RETURN, 0, 0, NOT_IMPLEMENTED));
    Ok(())
}

/// The instructions of one condition; for jumps, which outcome means that the condition does not hold.
fn test(condition: Argument) -> Result<Vec<(libc::sock_filter, Option<bool>)>, CompileError> {
    let load = |position: u8, half: u32| {
        if position > 5 {
            return Err(CompileError::Argument(position));
        }
        Ok((instruction(LOAD, 0, 0, OFFSET_ARGUMENTS + 8 * u32::from(position) + half), None))
    };
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a number")]
    let halves = |value: u64| (value as u32, (value >> 32) as u32);
    Ok(match condition {
        Argument::Equals(position, value) => {
            let (low, high) = halves(value);
            vec![
                load(position, 0)?,
                (instruction(JUMP_EQUAL, 0, 0, low), Some(false)),
                load(position, 4)?,
                (instruction(JUMP_EQUAL, 0, 0, high), Some(false)),
            ]
        }
        Argument::Differs(position, value) => {
            vec![load(position, 0)?, (instruction(JUMP_EQUAL, 0, 0, value), Some(true))]
        }
        Argument::HasNone(position, bits) => {
            vec![load(position, 0)?, (instruction(JUMP_ANY_BIT, 0, 0, bits), Some(true))]
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs a filter as the kernel would.
    fn run(filter: &Filter, architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let load = |offset: u32| match offset {
            OFFSET_NUMBER => number,
            OFFSET_ARCHITECTURE => architecture,
            offset => {
                let index = usize::try_from((offset - OFFSET_ARGUMENTS) / 8).expect("small");
                let shift = if (offset - OFFSET_ARGUMENTS).is_multiple_of(8) { 0 } else { 32 };
                u32::try_from((arguments[index] >> shift) & 0xffff_ffff).expect("masked")
            }
        };
        let mut accumulator = 0;
        let mut position = 0usize;
        loop {
            let instruction = filter.0[position];
            position += 1;
            let holds = match instruction.code {
                LOAD => {
                    accumulator = load(instruction.k);
                    continue;
                }
                JUMP => {
                    position += usize::try_from(instruction.k).expect("small");
                    continue;
                }
                RETURN => return instruction.k,
                JUMP_EQUAL => accumulator == instruction.k,
                JUMP_GREATER_OR_EQUAL => accumulator >= instruction.k,
                JUMP_ANY_BIT => accumulator & instruction.k != 0,
                code => panic!("instruction {code:#x}"),
            };
            position += usize::from(if holds { instruction.jt } else { instruction.jf });
        }
    }

    proptest! {
        #[test]
        fn exactly_the_listed_calls_are_allowed(numbers in prop::collection::btree_set(0u32..600, 0..300)) {
            let list: Vec<Allowed> =
                numbers.iter().map(|number| Allowed { call: i64::from(*number), when: Vec::new() }).collect();
            let filter = Filter::allow(&list).expect("the list compiles");
            for number in (0..700).chain([0x4000_0000, u32::MAX]) {
                let expected = if numbers.contains(&number) { ALLOW } else { NOT_IMPLEMENTED };
                prop_assert_eq!(run(&filter, ARCHITECTURE, number, [0; 6]), expected, "number {}", number);
            }
        }

        #[test]
        fn conditions_decide_by_argument(value in any::<u64>(), other in any::<u64>(), bits in any::<u32>()) {
            let low = u32::try_from(value & 0xffff_ffff).expect("masked");
            let when = vec![
                vec![Argument::Equals(0, value)],
                vec![Argument::Differs(1, low), Argument::HasNone(2, bits)],
            ];
            let filter = Filter::allow(&[Allowed { call: 7, when }]).expect("the list compiles");
            for arguments in [[value, value, 0, 0, 0, 0], [other, value, 0, 0, 0, 0], [other, other, other, 0, 0, 0]] {
                let half = |index: usize| u32::try_from(arguments[index] & 0xffff_ffff).expect("masked");
                let is_allowed = arguments[0] == value || (half(1) != low && half(2) & bits == 0);
                let expected = if is_allowed { ALLOW } else { NOT_IMPLEMENTED };
                prop_assert_eq!(run(&filter, ARCHITECTURE, 7, arguments), expected);
            }
        }
    }

    #[test]
    fn another_architecture_ends_the_process() {
        let filter =
            Filter::allow(&[Allowed { call: 0, when: Vec::new() }]).expect("the list compiles");
        assert_eq!(run(&filter, 0x4000_0003, 0, [0; 6]), KILL_PROCESS);
    }

    #[test]
    fn what_cannot_be_compiled_is_named() {
        let refused = |call, when| Filter::allow(&[Allowed { call, when }]).err();
        assert_eq!(refused(-1, Vec::new()), Some(CompileError::Number(-1)));
        assert_eq!(refused(1, vec![vec![Argument::Equals(6, 0)]]), Some(CompileError::Argument(6)));
        assert_eq!(
            refused(1, vec![vec![Argument::Differs(0, 0); 200]]),
            Some(CompileError::TooLong)
        );
    }
}
