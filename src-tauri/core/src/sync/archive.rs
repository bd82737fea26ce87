//! Files as a tar on their way to the engine and back, streamed: neither side's files are ever whole in memory. Only
//! numbers name what comes back, so that no name of the other side's is taken from an archive.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::manifest::{Entry, PERMISSIONS};
use super::scan::Seen;
use super::tree::{Tree, stamp};
use crate::digest::hexadecimal;

/// How much is read ahead of the network, in pieces of [`PIECE`].
const AHEAD: usize = 16;
const PIECE: usize = 64 * 1024;

/// Something to send.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    /// Its name in the archive.
    pub(super) name: String,
    /// Its path here.
    pub(super) path: String,
    /// What it was when it was looked at.
    pub(super) seen: Seen,
}

/// The digests of the files that were sent whole, by their path here.
pub(super) type Sent = HashMap<String, String>;

/// Writes the tar on a thread of its own, and hands it on in pieces; whoever takes no more ends it. A file that is not
/// what it was when it was looked at is left out.
pub(super) fn pack(
    tree: Arc<Tree>,
    parcels: Vec<Parcel>,
    owner: (u32, u32),
    counted: Arc<AtomicU64>,
) -> (mpsc::Receiver<Result<Bytes, io::Error>>, JoinHandle<io::Result<Sent>>) {
    let (pieces, receiver) = mpsc::channel(AHEAD);
    let packing = tokio::task::spawn_blocking(move || {
        let pipe = Pipe { pieces: pieces.clone(), buffer: Vec::with_capacity(PIECE), counted };
        let packed = write(&tree, &parcels, owner, pipe);
        if let Err(error) = &packed {
            let _ = pieces.blocking_send(Err(io::Error::new(error.kind(), error.to_string())));
        }
        packed
    });
    (receiver, packing)
}

fn write(tree: &Tree, parcels: &[Parcel], (uid, gid): (u32, u32), pipe: Pipe) -> io::Result<Sent> {
    let mut tar = tar::Builder::new(pipe);
    let mut sent = Sent::new();
    for Parcel { name, path, seen } in parcels {
        let mut header = Header::new_gnu();
        header.set_uid(uid.into());
        header.set_gid(gid.into());
        header.set_mode(seen.mode & PERMISSIONS);
        header.set_mtime(u64::try_from(seen.modified).unwrap_or_default());
        header.set_size(0);
        match &seen.entry {
            Entry::Folder => {
                header.set_entry_type(EntryType::Directory);
                tar.append_data(&mut header, format!("{name}/"), io::empty())?;
            }
            Entry::Link { target } => {
                header.set_entry_type(EntryType::Symlink);
                tar.append_link(&mut header, name, target)?;
            }
            Entry::File { .. } => {
                let Ok(mut file) = tree.file(path) else { continue };
                let now = rustix::fs::fstat(&file)?;
                if stamp(&now) != seen.stamp {
                    continue;
                }
                header.set_entry_type(EntryType::Regular);
                header.set_size(seen.length);
                let mut whole = Whole { file: &mut file, left: seen.length, digest: Sha256::new() };
                tar.append_data(&mut header, name, &mut whole)?;
                sent.insert(path.clone(), hexadecimal(&whole.digest.finalize()));
            }
        }
    }
    tar.into_inner()?.flush()?;
    Ok(sent)
}

/// A file of exactly so many bytes, whatever becomes of it while it is read: the header has said so already. What was
/// sent is digested, so that a file that has changed meanwhile is known as such.
struct Whole<'a> {
    file: &'a mut std::fs::File,
    left: u64,
    digest: Sha256,
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let mut read = self.file.read(&mut buffer[..most])?;
        if read == 0 {
            buffer[..most].fill(0);
            read = most;
        }
        self.digest.update(&buffer[..read]);
        self.left -= read as u64;
        Ok(read)
    }
}

struct Pipe {
    pieces: mpsc::Sender<Result<Bytes, io::Error>>,
    buffer: Vec<u8>,
    counted: Arc<AtomicU64>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        self.counted.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if self.buffer.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        let sent = self.pieces.blocking_send(Ok(Bytes::from(piece)));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "nobody takes the archive any more"))
    }
}

/// The reading end of an archive that arrives in pieces.
pub(super) struct Arriving {
    pieces: mpsc::Receiver<Result<Bytes, io::Error>>,
    piece: Bytes,
}

/// A place to put pieces, and what reads them. Blocks: read it off the async runtime.
pub(super) fn arriving() -> (mpsc::Sender<Result<Bytes, io::Error>>, Arriving) {
    let (sender, pieces) = mpsc::channel(AHEAD);
    (sender, Arriving { pieces, piece: Bytes::new() })
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let taken = self.piece.split_to(self.piece.len().min(buffer.len()));
        buffer[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

/// Takes what comes back: `take` is given each file's number and its bytes. Anything that is not a file with a number
/// for a name is passed over, links above all.
///
/// # Errors
/// Where the archive is none, breaks off, or `take` fails.
pub(super) fn unpack(
    from: impl Read,
    largest: u64,
    mut take: impl FnMut(usize, u64, &mut dyn Read) -> io::Result<()>,
) -> io::Result<()> {
    let mut tar = tar::Archive::new(from);
    for entry in tar.entries()? {
        let mut entry = entry?;
        let number = entry.path().ok().and_then(|path| path.file_name()?.to_str()?.parse::<usize>().ok());
        if let (EntryType::Regular, Some(number)) = (entry.header().entry_type(), number) {
            let size = entry.size();
            if size > largest {
                return Err(io::Error::other(format!("a file of {size} bytes is larger than allowed")));
            }
            take(number, size, &mut entry)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (kind, name, text) in entries {
            let mut header = Header::new_gnu();
            header.set_entry_type(*kind);
            // Written past the library, which refuses such names.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            if *kind != EntryType::Regular {
                header.set_link_name(text).unwrap();
            }
            let text = if *kind == EntryType::Regular { text } else { "" };
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append(&header, text.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn only_files_with_numbers_come_out_of_an_archive() {
        let hostile = tar(&[
            (EntryType::Regular, "../../etc/passwd", "bad"),
            (EntryType::Regular, "/etc/passwd", "bad"),
            (EntryType::Symlink, "stage/1", "/etc"),
            (EntryType::Link, "stage/2", "/etc/passwd"),
            (EntryType::Fifo, "stage/3", "nothing"),
            (EntryType::Regular, "stage/4", "good"),
        ]);
        let mut seen = Vec::new();
        unpack(&hostile[..], 100, |number, _, bytes| {
            let mut text = String::new();
            bytes.read_to_string(&mut text)?;
            seen.push((number, text));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(4, "good".to_owned())], "names, links and pipes of the other side's mean nothing");
        let large = tar(&[(EntryType::Regular, "stage/1", "too much")]);
        assert!(unpack(&large[..], 3, |_, _, _| Ok(())).is_err(), "more than allowed is refused before it is read");
        let cut = &large[..600];
        let read = unpack(cut, 100, |_, _, bytes| io::copy(bytes, &mut io::sink()).map(drop));
        assert!(read.is_err() || cut.len() >= 512, "an archive that breaks off gives no whole file: {read:?}");
    }
}
