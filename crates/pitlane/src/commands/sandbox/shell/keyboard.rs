//! This process' own terminal: what is typed, byte for byte, and how it was before.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

/// What a terminal is that does not say how large it is, and the most that one may be.
const DEFAULT_SIZE: (u16, u16) = (80, 24);
const MAX_SIDE: u16 = 1000;

/// Ends what a program in a sandbox may have begun and cannot end any more: the other screen, a hidden cursor, reports of
/// the mouse, brackets around what is pasted, keys of its own, colours.
const CALM: &[u8] = b"\x1b[?1047l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>\x1b[0m\r\n";

/// The terminal while every key is passed on. It is as it was before when this is dropped.
pub(super) struct Keyboard {
    before: Termios,
    keys: Receiver,
}

impl Keyboard {
    /// Whether standard input is a terminal.
    pub(super) fn is_there() -> bool {
        io::stdin().is_terminal()
    }

    /// Has the terminal give every key to this process, and shows none of them.
    pub(super) fn take() -> io::Result<Self> {
        let keys = Receiver::from_owned_fd_unchecked(keys()?)?;
        let before = tcgetattr(io::stdin())?;
        let keyboard = Self { before, keys };
        keyboard.take_again()?;
        Ok(keyboard)
    }

    /// The same after somebody else had it.
    pub(super) fn take_again(&self) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.make_raw();
        Ok(tcsetattr(io::stdin(), OptionalActions::Drain, &raw)?)
    }

    /// Waits for keys. Dropping the future loses nothing.
    pub(super) async fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut typed = vec![0; 4096];
        let count = self.keys.read(&mut typed).await?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the terminal is gone"));
        }
        typed.truncate(count);
        Ok(typed)
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing any more.
        tcsetattr(io::stdin(), OptionalActions::Drain, &self.before).ok();
    }
}

/// The terminal opened anew: whether it waits is then this process' own matter, and not that of everybody who has it open.
fn keys() -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = open(c"/proc/self/fd/0", flags, Mode::empty());
    // Another user's terminal can be used and not opened, except by this name.
    Ok(opened.or_else(|_refused| open(c"/dev/tty", flags, Mode::empty()))?)
}

/// How large the terminal is: columns and rows.
pub(super) fn size() -> (u16, u16) {
    match tcgetwinsize(io::stdin()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            (size.ws_col.min(MAX_SIDE), size.ws_row.min(MAX_SIDE))
        }
        _ => DEFAULT_SIZE,
    }
}

/// Undoes what a program that was left behind has done to the screen.
pub(super) fn calm() {
    let mut screen = io::stdout();
    if screen.is_terminal() {
        // Nobody looks at a screen that cannot be written to.
        screen.write_all(CALM).and_then(|()| screen.flush()).ok();
    }
}
