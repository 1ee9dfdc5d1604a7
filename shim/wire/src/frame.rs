//! Frames: a little-endian `u32` length, then that many bytes of `postcard`.

use crate::{
    event::{Body, Event, Occurrence},
    message::ToShim,
};
use serde::{Deserialize, Serialize};

/// The largest frame that either side accepts, in bytes without the length. A plugin's state is the largest message.
pub const MAX_FRAME: usize = 16 << 20;

/// Bytes that a reader asks for in one read, at least. Large enough for a full window of small events.
const READ_SIZE: usize = 64 << 10;

const HEADER: usize = 4;

/// What is wrong with a message of the other side, or with one that this side wanted to send.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The length is over [`MAX_FRAME`].
    #[error("a frame of {0} bytes is over the limit of {MAX_FRAME}")]
    TooLarge(usize),
    /// The bytes are not a message.
    #[error("a frame that is not a message")]
    Garbled(#[source] postcard::Error),
    /// Bytes are left after the message.
    #[error("a frame with {0} bytes after its message")]
    Trailing(usize),
}

/// Appends `message` as one frame to `out`. On an error `out` stays as it was.
///
/// # Errors
/// [`FrameError::TooLarge`] when the message does not fit a frame.
pub fn encode<T: Serialize>(message: &T, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    let result = postcard::serialize_with_flavor(message, Append(out));
    if let Err(error) = result {
        out.truncate(start);
        return Err(FrameError::Garbled(error));
    }
    set_length(start, out)
}

/// Appends an event as one frame to `out`: a [`ToShim::Command`], or else a [`ToShim::Occur`]. On an error `out` stays as it
/// was. Nearly all frames are commands, so they are written by hand, in half the instructions of [`encode`].
///
/// # Errors
/// As [`encode`].
#[inline]
pub fn encode_event(event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let Event { id, probe, deadline_ms, handler, user, channel, connector, traceparent, ref body } = *event;
    let &Body::Command { name, args } = body else {
        let event = pack(&Occurrence { handler, user, channel, connector, body: body.clone() })?;
        return encode(&ToShim::Occur { id, probe, deadline_ms, event: &event }, out);
    };
    let texts = [name, args, user, channel, connector, traceparent];
    let start = out.len();
    out.reserve(HEADER + 32 + texts.iter().map(|text| text.len() + 10).sum::<usize>());
    out.extend_from_slice(&[0; HEADER]);
    // The number of the variant.
    out.push(0);
    push_varint(id, out);
    out.push(u8::from(probe));
    push_varint(deadline_ms.into(), out);
    for text in texts {
        push_varint(text.len() as u64, out);
        out.extend_from_slice(text.as_bytes());
    }
    set_length(start, out)
}

fn push_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes the length of the frame that begins at `start`.
fn set_length(start: usize, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let length = out.len() - start - HEADER;
    if length > MAX_FRAME {
        out.truncate(start);
        return Err(FrameError::TooLarge(length));
    }
    let header = u32::try_from(length).expect("MAX_FRAME fits u32").to_le_bytes();
    out[start..start + HEADER].copy_from_slice(&header);
    Ok(())
}

/// Reads the message of one frame, or bytes that [`pack`] made.
///
/// # Errors
/// [`FrameError::Garbled`] and [`FrameError::Trailing`].
pub fn decode<'a, T: Deserialize<'a>>(frame: &'a [u8]) -> Result<T, FrameError> {
    let (message, rest) = postcard::take_from_bytes(frame).map_err(FrameError::Garbled)?;
    if rest.is_empty() { Ok(message) } else { Err(FrameError::Trailing(rest.len())) }
}

/// Encodes data that travels inside another message.
///
/// # Errors
/// [`FrameError::TooLarge`] when it does not fit a frame.
pub fn pack<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let bytes = postcard::to_stdvec(message).map_err(FrameError::Garbled)?;
    if bytes.len() < MAX_FRAME / 2 { Ok(bytes) } else { Err(FrameError::TooLarge(bytes.len())) }
}

/// Writes postcard straight into the output buffer.
struct Append<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        // Mostly the length of something short, for which a call of `copy` costs more than this match.
        match *bytes {
            [byte] => self.0.push(byte),
            _ => self.0.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Collects bytes that arrive and hands out whole frames, many for each read.
///
/// Memory: 64 KiB once used, and as much as the largest frame until that frame is consumed.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Reader {
    /// The buffer for the next read; never empty. Call [`Reader::filled`] after the read.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.buffer.len() > READ_SIZE {
                self.buffer = Vec::new();
            }
        }
        if self.buffer.len() - self.end < READ_SIZE / 2 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            let wanted = (self.end + READ_SIZE / 2).max(READ_SIZE).max(self.pending_frame());
            if self.buffer.len() < wanted {
                self.buffer.resize(wanted, 0);
            }
        }
        &mut self.buffer[self.end..]
    }

    /// Reads into this buffer from now on, unless it has one. Many readers that share one buffer touch less memory.
    pub fn take_up(&mut self, buffer: impl FnOnce() -> Vec<u8>) {
        if self.buffer.is_empty() {
            self.buffer = buffer();
        }
    }

    /// Returns the buffer, unless it has part of a frame.
    pub fn put_down(&mut self) -> Option<Vec<u8>> {
        if self.is_mid_frame() {
            return None;
        }
        (self.start, self.end) = (0, 0);
        Some(std::mem::take(&mut self.buffer))
    }

    /// Says how many bytes of [`Reader::space`] the read filled.
    pub fn filled(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.buffer.len());
    }

    /// The next whole frame, if one has arrived.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`], before the reader stores anything of the frame.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let Some(length) = self.pending_length() else { return Ok(None) };
        if length > MAX_FRAME {
            return Err(FrameError::TooLarge(length));
        }
        let body = self.start + HEADER;
        if self.end - body < length {
            return Ok(None);
        }
        self.start = body + length;
        Ok(Some(&self.buffer[body..body + length]))
    }

    /// Whether part of a frame has arrived and the rest has not.
    pub fn is_mid_frame(&self) -> bool {
        self.start < self.end
    }

    fn pending_length(&self) -> Option<usize> {
        let header = self.buffer[self.start..self.end].first_chunk::<HEADER>()?;
        Some(u32::from_le_bytes(*header) as usize)
    }

    fn pending_frame(&self) -> usize {
        self.pending_length().map_or(0, |length| HEADER + length.min(MAX_FRAME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Answer, Command, ToHost};
    use proptest::prelude::*;

    fn feed(reader: &mut Reader, mut bytes: &[u8], step: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let space = reader.space();
            let take = step.min(bytes.len()).min(space.len());
            space[..take].copy_from_slice(&bytes[..take]);
            reader.filled(take);
            bytes = &bytes[take..];
            while let Some(frame) = reader.next_frame().expect("frames of this test are small") {
                frames.push(frame.to_vec());
            }
        }
        frames
    }

    proptest! {
        #[test]
        fn an_event_has_the_same_bytes_either_way(
            (id, probe, deadline_ms) in (any::<u64>(), any::<bool>(), any::<u32>()),
            texts in prop::array::uniform6(".{0,200}"),
        ) {
            let [name, args, user, channel, connector, traceparent] = texts.each_ref().map(String::as_str);
            let body = Body::Command { name, args };
            let event = Event { id, probe, deadline_ms, handler: 0, user, channel, connector, traceparent, body };
            let command = Command { id, probe, deadline_ms, command: name, args, user, channel, connector, traceparent };
            let (mut usual, mut quick) = (vec![7], vec![7]);
            encode(&ToShim::Command(command), &mut usual).expect("small");
            encode_event(&event, &mut quick).expect("small");
            prop_assert_eq!(usual, quick);
        }

        #[test]
        fn readers_that_share_a_buffer_do_not_mix_their_frames(
            texts in prop::collection::vec(".{0,300}", 1..40),
            steps in prop::collection::vec(1usize..2000, 1..20),
        ) {
            let mut streams = [Vec::new(), Vec::new()];
            for (n, text) in texts.iter().enumerate() {
                encode(text, &mut streams[n % 2]).expect("small");
            }
            let (mut readers, mut at, mut got) = ([Reader::default(), Reader::default()], [0; 2], [Vec::new(), Vec::new()]);
            let mut shared = Vec::new();
            for (turn, step) in steps.iter().cycle().enumerate() {
                if at[0] == streams[0].len() && at[1] == streams[1].len() {
                    break;
                }
                let (who, reader) = (turn % 2, &mut readers[turn % 2]);
                let bytes = &streams[who][at[who]..(at[who] + step).min(streams[who].len())];
                reader.take_up(|| std::mem::take(&mut shared));
                got[who].extend(feed(reader, bytes, usize::MAX));
                at[who] += bytes.len();
                if let Some(buffer) = reader.put_down() {
                    shared = buffer;
                }
            }
            for (n, text) in texts.iter().enumerate() {
                prop_assert_eq!(&decode::<String>(&got[n % 2][n / 2]).expect("whole"), text);
            }
        }

        #[test]
        fn frames_survive_any_split(texts in prop::collection::vec(".{0,300}", 1..40), step in 1usize..5000) {
            let mut out = Vec::new();
            for (id, text) in texts.iter().enumerate() {
                let message = ToHost::Reply { event: id as u64, answer: Answer::Replied(text) };
                encode(&message, &mut out).expect("small");
            }
            let mut reader = Reader::default();
            let frames = feed(&mut reader, &out, step);
            prop_assert!(!reader.is_mid_frame());
            prop_assert_eq!(frames.len(), texts.len());
            for (frame, text) in frames.iter().zip(&texts) {
                let ToHost::Reply { answer: Answer::Replied(got), .. } = decode(frame).expect("whole") else { panic!() };
                prop_assert_eq!(got, text);
            }
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = decode::<ToHost<'_>>(&bytes);
            let _ = decode::<ToShim<'_>>(&bytes);
            let mut reader = Reader::default();
            reader.space()[..bytes.len()].copy_from_slice(&bytes);
            reader.filled(bytes.len());
            while let Ok(Some(_)) = reader.next_frame() {}
        }
    }

    #[test]
    fn a_large_frame_arrives_and_its_room_is_given_back() {
        let state = vec![7u8; 3 << 20];
        let mut out = Vec::new();
        encode(&ToHost::State { version: 1, state: &state }, &mut out).expect("under the limit");
        let mut reader = Reader::default();
        let frames = feed(&mut reader, &out, 10_000);
        assert_eq!(frames.len(), 1);
        assert!(reader.space().len() <= READ_SIZE);
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_from_its_header() {
        let mut reader = Reader::default();
        reader.space()[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        reader.filled(4);
        assert!(matches!(reader.next_frame(), Err(FrameError::TooLarge(_))));
        let mut out = vec![1, 2, 3];
        assert!(encode(&ToHost::State { version: 1, state: &vec![0; MAX_FRAME] }, &mut out).is_err());
        assert_eq!(out, [1, 2, 3]);
    }
}
