//! What each request asks for.

use std::rc::Rc;

use rustix::io::Errno;

use super::{LARGEST_WRITE, Session};
use crate::files::{Entry, FOREVER_FREE, Found, Kind, Node, Opening, Place, Renaming};
use crate::fuse::answers::{Answer, Asker};
use crate::fuse::requests::Request;

// The kernel's numbers.
const LOOKUP: u32 = 1;
const GETATTR: u32 = 3;
const SETATTR: u32 = 4;
const SYMLINK: u32 = 6;
const MKNOD: u32 = 8;
const MKDIR: u32 = 9;
const UNLINK: u32 = 10;
const RMDIR: u32 = 11;
const RENAME: u32 = 12;
const LINK: u32 = 13;
const OPEN: u32 = 14;
const READ: u32 = 15;
const WRITE: u32 = 16;
const STATFS: u32 = 17;
const RELEASE: u32 = 18;
const FSYNC: u32 = 20;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
const FSYNCDIR: u32 = 30;
const CREATE: u32 = 35;
const IOCTL: u32 = 39;
const FALLOCATE: u32 = 43;
const READDIRPLUS: u32 = 44;
const RENAME2: u32 = 45;

/// `FUSE_ASYNC_READ`, `FUSE_ATOMIC_O_TRUNC`, `FUSE_BIG_WRITES`, `FUSE_AUTO_INVAL_DATA`, `FUSE_DO_READDIRPLUS`,
/// `FUSE_READDIRPLUS_AUTO`, `FUSE_PARALLEL_DIROPS`, `FUSE_MAX_PAGES`: what is wanted of what the kernel offers.
const WANTED: u32 = 1 | 1 << 3 | 1 << 5 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 18 | 1 << 22;
/// Pages of 4 KiB that are read with one request.
const PAGES: u16 = 256;
/// How much the kernel reads ahead.
const READ_AHEAD: u32 = 1 << 20;
/// The least version of the protocol, of Linux 4.20.
const LEAST_MINOR: u32 = 28;

/// `FATTR_SIZE`, `FATTR_MTIME`, `FATTR_MTIME_NOW`.
const SIZE: u32 = 1 << 3;
const MODIFIED: u32 = 1 << 5;
const MODIFIED_NOW: u32 = 1 << 8;

/// `FUSE_WRITE_CACHE`: memory that was mapped.
const FROM_CACHE: u32 = 1;

/// What `mknod` makes without rights.
const FILE_TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;

impl Session {
    /// Does what is asked for.
    pub(super) async fn answer(&self, request: Request<'_>) -> Result<Answer, Errno> {
        match request.operation {
            INIT => introduce(request),
            LOOKUP => self.look_up(request).await,
            GETATTR => self.tell(request).await,
            SETATTR => self.change(request).await,
            MKNOD => self.make_file(request).await,
            MKDIR => self.make_folder(request).await,
            UNLINK | RMDIR => self.remove(request).await,
            RENAME | RENAME2 => self.rename(request).await,
            OPEN => self.open(request).await,
            CREATE => self.create(request).await,
            READ => self.read(request).await,
            WRITE => self.write(request).await,
            FLUSH | FSYNC => self.files.sync(request.node).await.map(|()| Answer::default()),
            RELEASE => {
                self.files.release(request.node).await;
                Ok(Answer::default())
            }
            OPENDIR => Ok(self.open_folder()),
            READDIR | READDIRPLUS => self.list(request).await,
            RELEASEDIR => self.close_folder(request),
            FSYNCDIR => Ok(Answer::default()),
            STATFS => Ok(room()),
            SYMLINK | LINK => Err(Errno::PERM),
            FALLOCATE => Err(Errno::OPNOTSUPP),
            IOCTL => Err(Errno::NOTTY),
            // The kernel does without, and asks for it no more.
            _ => Err(Errno::NOSYS),
        }
    }

    async fn look_up(&self, mut request: Request<'_>) -> Result<Answer, Errno> {
        let name = request.said.name()?;
        let node = self.files.lookup(request.node, name).await?;
        self.entry(request, &node).await
    }

    /// A node that was looked up; if that fails, it was not.
    async fn entry(&self, request: Request<'_>, node: &Rc<Node>) -> Result<Answer, Errno> {
        match self.files.attributes(node).await {
            Ok(attributes) => Ok(Answer::default().entry(attributes, asker(request))),
            Err(errno) => {
                self.files.forget(node.id(), 1);
                Err(errno)
            }
        }
    }

    async fn tell(&self, request: Request<'_>) -> Result<Answer, Errno> {
        let node = self.files.node(request.node)?;
        let attributes = self.files.attributes(&node).await?;
        Ok(Answer::default().told(attributes, asker(request)))
    }

    /// Sizes and times change; whose a file is and what may be done with it does not, and nobody is told so: programs
    /// that copy set them, and would fail.
    async fn change(&self, mut request: Request<'_>) -> Result<Answer, Errno> {
        let said = &mut request.said;
        let valid = said.u32()?;
        said.skip(12)?;
        let size = said.u64()?;
        said.skip(16)?;
        let seconds = said.u64()?;
        said.skip(12)?;
        let nanoseconds = said.u32()?;
        let node = self.files.node(request.node)?;
        if valid & SIZE != 0 {
            if node.kind() == Kind::Folder {
                return Err(Errno::ISDIR);
            }
            // What is cut is what others have closed.
            self.files.attributes(&node).await?;
            self.files.truncate(&node, size).await?;
        }
        if valid & MODIFIED_NOW != 0 {
            node.touch(jiff::Timestamp::now());
        } else if valid & MODIFIED != 0 {
            let seconds = i64::try_from(seconds).map_err(|_early| Errno::INVAL)?;
            let nanoseconds = i32::try_from(nanoseconds).map_err(|_many| Errno::INVAL)?;
            let time = jiff::Timestamp::new(seconds, nanoseconds);
            node.touch(time.map_err(|_range| Errno::INVAL)?);
        }
        let attributes = self.files.attributes(&node).await?;
        Ok(Answer::default().told(attributes, asker(request)))
    }

    async fn make_file(&self, mut request: Request<'_>) -> Result<Answer, Errno> {
        let mode = request.said.u32()?;
        request.said.skip(12)?;
        let name = request.said.name()?;
        if mode & FILE_TYPE != REGULAR {
            return Err(Errno::PERM);
        }
        let node = self.files.create(request.node, name).await?;
        let made = self.files.sync(node.id()).await;
        self.files.release(node.id()).await;
        if let Err(errno) = made {
            self.files.forget(node.id(), 1);
            return Err(errno);
        }
        self.entry(request, &node).await
    }

    async fn make_folder(&self, mut request: Request<'_>) -> Result<Answer, Errno> {
        request.said.skip(8)?;
        let name = request.said.name()?;
        let node = self.files.make_folder(request.node, name).await?;
        self.entry(request, &node).await
    }

    async fn remove(&self, mut request: Request<'_>) -> Result<Answer, Errno> {
        let name = request.said.name()?;
        if request.operation == RMDIR {
            self.files.remove_folder(request.node, name).await?;
        } else {
            self.files.unlink(request.node, name).await?;
        }
        Ok(Answer::default())
    }

    async fn rename(&self, mut request: Request<'_>) -> Result<Answer, Errno> {
        let folder = request.said.u64()?;
        let flags = if request.operation == RENAME2 {
            let flags = request.said.u32()?;
            request.said.skip(4)?;
            flags
        } else {
            0
        };
        // Exchanging two files would leave one of them in between.
        if flags & !libc::RENAME_NOREPLACE != 0 {
            return Err(Errno::INVAL);
        }
        let (from, to) = (request.said.name()?, request.said.name()?);
        let renaming = Renaming {
            from: (request.node, from),
            to: (folder, to),
            replace: flags & libc::RENAME_NOREPLACE == 0,
        };
        self.files.rename(renaming).await?;
        Ok(Answer::default())
    }

    async fn open(&self, mut request: Request<'_>) -> Result<Answer, Errno> {
        let flags = request.said.u32()?;
        let how = Opening { truncate: flags & libc::O_TRUNC.cast_unsigned() != 0 };
        self.files.open(request.node, how).await?;
        Ok(Answer::default().opened_file(request.node))
    }

    async fn create(&self, mut request: Request<'_>) -> Result<Answer, Errno> {
        let flags = request.said.u32()?;
        request.said.skip(12)?;
        let name = request.said.name()?;
        let node = match self.files.create(request.node, name).await {
            // Somebody else has made it since the kernel looked.
            Err(Errno::EXIST) if flags & libc::O_EXCL.cast_unsigned() == 0 => {
                let node = self.files.lookup(request.node, name).await?;
                let how = Opening { truncate: flags & libc::O_TRUNC.cast_unsigned() != 0 };
                if let Err(errno) = self.files.open(node.id(), how).await {
                    self.files.forget(node.id(), 1);
                    return Err(errno);
                }
                node
            }
            node => node?,
        };
        match self.entry(request, &node).await {
            Ok(answer) => Ok(answer.opened_file(node.id())),
            Err(errno) => {
                self.files.release(node.id()).await;
                Err(errno)
            }
        }
    }

    async fn read(&self, mut request: Request<'_>) -> Result<Answer, Errno> {
        request.said.skip(8)?;
        let offset = request.said.u64()?;
        let length = request.said.u32()?.min(u32::from(PAGES).saturating_mul(4096));
        let length = usize::try_from(length).map_err(|_large| Errno::INVAL)?;
        let bytes = self.files.read(request.node, offset, length).await?;
        Ok(Answer { bytes, ..Answer::default() })
    }

    async fn write(&self, mut request: Request<'_>) -> Result<Answer, Errno> {
        request.said.skip(8)?;
        let offset = request.said.u64()?;
        let length = request.said.u32()?;
        let origin = request.said.u32()?;
        request.said.skip(8)?;
        let flags = request.said.u32()?;
        request.said.skip(4)?;
        let data = request.said.bytes(length)?;
        let is_appended = flags & libc::O_APPEND.cast_unsigned() != 0 && origin & FROM_CACHE == 0;
        let place = if is_appended { Place::End } else { Place::At(offset) };
        self.files.write(request.node, place, data).await?;
        Ok(Answer::default().u32(length).u32(0))
    }

    fn open_folder(&self) -> Answer {
        let handle = self.next_list.replace_with(|next| next.saturating_add(1));
        Answer::default().opened_folder(handle)
    }

    fn close_folder(&self, mut request: Request<'_>) -> Result<Answer, Errno> {
        self.lists.borrow_mut().remove(&request.said.u64()?);
        Ok(Answer::default())
    }

    async fn list(&self, mut request: Request<'_>) -> Result<Answer, Errno> {
        let handle = request.said.u64()?;
        let offset = request.said.u64()?;
        let room = usize::try_from(request.said.u32()?).map_err(|_large| Errno::INVAL)?;
        let known = self.lists.borrow().get(&handle).cloned();
        let list = match known {
            Some(list) if offset > 0 => list,
            _ => {
                let list: Rc<[Entry]> = self.files.list(request.node).await?.into();
                self.lists.borrow_mut().insert(handle, Rc::clone(&list));
                list
            }
        };
        let has_attributes = request.operation == READDIRPLUS;
        let mut answer = Answer::default();
        let entries = list.iter().zip(1u64..).skip(usize::try_from(offset).unwrap_or(usize::MAX));
        for (entry, next) in entries {
            let name = entry.name.as_bytes();
            let more = Answer::listed_length(name).saturating_add(if has_attributes {
                Answer::ENTRY
            } else {
                0
            });
            if answer.bytes.len().saturating_add(more) > room {
                break;
            }
            answer = self.enter(answer, request, (entry, next), has_attributes);
        }
        Ok(answer)
    }

    /// One line of a list.
    fn enter(
        &self,
        answer: Answer,
        request: Request<'_>,
        (entry, next): (&Entry, u64),
        has_attributes: bool,
    ) -> Answer {
        let kind = match entry.found {
            Found::Folder => Kind::Folder,
            Found::File(_) => Kind::File,
        };
        let name = entry.name.as_bytes();
        if !has_attributes {
            // The number is nobody's: what has none is not listed by programs.
            return answer.listed((u64::MAX, kind), next, name);
        }
        match self.files.entered(request.node, entry) {
            Ok(node) => {
                let attributes = node.attributes();
                let answer = answer.entry(attributes, asker(request));
                answer.listed((attributes.id, attributes.kind), next, name)
            }
            // Named, but to be looked up on its own.
            Err(_gone) => {
                let mut answer = answer;
                let length = answer.bytes.len().saturating_add(Answer::ENTRY);
                answer.bytes.resize(length, 0);
                answer.listed((u64::MAX, kind), next, name)
            }
        }
    }
}

const fn asker(request: Request<'_>) -> Asker {
    Asker { user: request.user, group: request.group }
}

/// `fuse_init_out`.
fn introduce(mut request: Request<'_>) -> Result<Answer, Errno> {
    let (major, minor) = (request.said.u32()?, request.said.u32()?);
    let (_read_ahead, offered) = (request.said.u32()?, request.said.u32()?);
    if major != 7 || minor < LEAST_MINOR {
        return Err(Errno::PROTO);
    }
    let head = Answer::default().u32(7).u32(LEAST_MINOR).u32(READ_AHEAD).u32(offered & WANTED);
    let bounds = head.u16(64).u16(48).u32(LARGEST_WRITE).u32(1).u16(PAGES).u16(0);
    Ok((0..8).fold(bounds, |answer, _unused| answer.u32(0)))
}

/// `fuse_kstatfs`: there is room as long as the storage takes more.
fn room() -> Answer {
    let blocks = Answer::default().u64(FOREVER_FREE).u64(FOREVER_FREE).u64(FOREVER_FREE);
    let files = blocks.u64(FOREVER_FREE).u64(FOREVER_FREE).u32(4096).u32(255).u32(4096);
    (0..7).fold(files, |answer, _unused| answer.u32(0))
}
