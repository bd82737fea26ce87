//! Cuts a stream of bytes into lines, however its pieces fall. Knows nothing of where the bytes come from.

use std::collections::VecDeque;
use std::time::SystemTime;

use super::{LONGEST_LINE, Output};

/// How much of an oversized line is kept, to say what it was.
const HEAD: usize = 200;

/// Cuts stdout into [`Output`]s. Pieces may end anywhere, in the middle of a character too: only whole lines are
/// decoded.
#[derive(Debug)]
pub struct LineSplitter {
    buffer: Vec<u8>,
    longest: usize,
    /// Bytes of the current line that were passed over because it is too long.
    skipped: usize,
}

impl Default for LineSplitter {
    fn default() -> Self {
        Self::with_longest(LONGEST_LINE)
    }
}

impl LineSplitter {
    /// A splitter that hands on lines of up to `longest` bytes.
    pub fn with_longest(longest: usize) -> Self {
        Self { buffer: Vec::new(), longest, skipped: 0 }
    }

    /// Takes the next piece and hands each line that it ends to `emit`.
    pub fn push(&mut self, mut piece: &[u8], mut emit: impl FnMut(Output)) {
        while let Some(end) = piece.iter().position(|&byte| byte == b'\n') {
            self.extend(&piece[..end]);
            self.finish(&mut emit);
            piece = &piece[end + 1..];
        }
        self.extend(piece);
    }

    /// Hands on what came after the last newline: the half line of an agent that died while writing.
    pub fn end(&mut self, mut emit: impl FnMut(Output)) {
        if !self.buffer.is_empty() || self.skipped > 0 {
            self.finish(&mut emit);
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = self.longest.saturating_sub(self.buffer.len());
        let taken = if self.skipped > 0 { 0 } else { room.min(bytes.len()) };
        self.buffer.extend_from_slice(&bytes[..taken]);
        self.skipped += bytes.len() - taken;
    }

    fn finish(&mut self, emit: &mut impl FnMut(Output)) {
        let mut line = std::mem::take(&mut self.buffer);
        let skipped = std::mem::take(&mut self.skipped);
        if skipped > 0 {
            let head = String::from_utf8_lossy(&line[..line.len().min(HEAD)]).into_owned();
            emit(Output::Oversized { bytes: line.len() + skipped, head });
            return;
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let text = match String::from_utf8(line) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        emit(Output::Line { text, at: SystemTime::now() });
    }
}

/// Keeps the last bytes of a stream.
#[derive(Debug)]
pub struct Tail {
    bytes: VecDeque<u8>,
    most: usize,
}

impl Tail {
    /// Keeps up to `most` bytes.
    pub fn new(most: usize) -> Self {
        Self { bytes: VecDeque::new(), most }
    }

    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        let piece = &piece[piece.len().saturating_sub(self.most)..];
        let surplus = (self.bytes.len() + piece.len()).saturating_sub(self.most);
        self.bytes.drain(..surplus);
        self.bytes.extend(piece);
    }

    /// What was kept, as text.
    pub fn text(&self) -> String {
        let bytes: Vec<u8> = self.bytes.iter().copied().collect();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(longest: usize, pieces: &[&[u8]]) -> Vec<String> {
        let mut splitter = LineSplitter::with_longest(longest);
        let mut seen = Vec::new();
        let mut emit = |output| {
            seen.push(match output {
                Output::Line { text, .. } => text,
                Output::Oversized { bytes, head } => format!("<{bytes} bytes: {head}>"),
            });
        };
        for piece in pieces {
            splitter.push(piece, &mut emit);
        }
        splitter.end(&mut emit);
        seen
    }

    #[test]
    fn lines_come_out_whole_however_the_pieces_fall() {
        let bytes: Vec<&[u8]> = "Übergrößenträger\n".as_bytes().chunks(1).collect();
        let cases: &[(&[&[u8]], &[&str])] = &[
            (&[b"one\ntwo\n"], &["one", "two"]),
            (&[b"o", b"n", b"e\nt", b"wo", b"\n"], &["one", "two"]),
            (&[b"one\r\ntwo\r", b"\n"], &["one", "two"]),
            (&[b"\n\na\n"], &["", "", "a"]),
            (&[b"half"], &["half"]),
            (&[], &[]),
            (&bytes, &["Übergrößenträger"]),
            (&[b"bad \xff\xfe bytes\n"], &["bad \u{fffd}\u{fffd} bytes"]),
        ];
        for (pieces, expected) in cases {
            assert_eq!(&split(64, pieces), expected, "pieces {pieces:?} make these lines");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_an_event_and_the_next_line_is_whole() {
        let long = vec![b'x'; 300];
        let seen = split(250, &[&long, b"xx\nnext\n"]);
        let head = "x".repeat(200);
        assert_eq!(seen, [format!("<302 bytes: {head}>"), "next".to_owned()], "the long line is named, not handed on");
    }

    #[test]
    fn the_tail_keeps_the_last_bytes() {
        let mut tail = Tail::new(8);
        for piece in [&b"abc"[..], b"defgh", b"ij", b"0123456789"] {
            tail.push(piece);
        }
        assert_eq!(tail.text(), "23456789", "only the newest eight bytes are kept");
    }
}
