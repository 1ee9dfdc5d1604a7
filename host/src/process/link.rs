//! The connection to one shim: frames in both directions, many at a time, without blocking.

use interprocess::local_socket::tokio::Stream;
use rosey_wire::{
    event::Event,
    frame::{FrameError, Reader, decode, encode, encode_event},
    message::{ToHost, ToShim},
};
use std::{
    cell::Cell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that may wait for a write before a generation gets no further events. The kernel buffers some 200 KiB besides.
const FULL_AT: usize = 256 << 10;

thread_local! {
    /// The buffers that all links read into and write from. Links share them while they are empty: memory that was just
    /// used is in the processor's caches, and the buffers of a hundred links would not fit there.
    static READING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static WRITING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Why a link cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The shim closed the connection or is gone.
    #[error("the connection to the shim ended")]
    Closed,
    /// The shim sent bytes that are not of the protocol.
    #[error("a frame is not of the protocol")]
    Protocol(#[from] FrameError),
    /// The operating system reports an error.
    #[error("the connection to the shim failed")]
    Io(#[from] io::Error),
}

/// The connection to one shim.
#[derive(Debug)]
pub struct Link {
    stream: Stream,
    reader: Reader,
    out: Vec<u8>,
    written: usize,
}

impl Link {
    /// A link over a connected stream.
    pub fn new(stream: Stream) -> Self {
        Self { stream, reader: Reader::default(), out: Vec::new(), written: 0 }
    }

    /// Puts a message into the output buffer. [`Link::poll_flush`] sends it.
    ///
    /// # Errors
    /// When it does not fit a frame; the link stays as it was.
    pub fn push(&mut self, message: &ToShim<'_>) -> Result<(), FrameError> {
        encode(message, self.output())
    }

    /// As [`push`](Self::push), for an event.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_event(&mut self, event: &Event<'_>) -> Result<(), FrameError> {
        encode_event(event, self.output())
    }

    fn output(&mut self) -> &mut Vec<u8> {
        if self.out.capacity() == 0 {
            self.out = WRITING.take();
        }
        &mut self.out
    }

    /// Whether so many bytes wait for a write that the caller should push no more.
    pub fn is_full(&self) -> bool {
        self.waiting() >= FULL_AT
    }

    /// Bytes that wait for a write.
    pub fn waiting(&self) -> usize {
        self.out.len() - self.written
    }

    /// Writes the bytes that wait.
    ///
    /// # Errors
    /// When the shim is gone.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        while self.written < self.out.len() {
            let rest = &self.out[self.written..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(LinkError::Closed)),
                bytes => self.written += bytes,
            }
        }
        self.written = 0;
        self.out.clear();
        if (1..=4 * FULL_AT).contains(&self.out.capacity()) {
            WRITING.set(std::mem::take(&mut self.out));
        } else {
            self.out = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once. After `Ready(Ok)` there may be frames for [`Link::next_message`].
    ///
    /// # Errors
    /// At the end of the stream, or when the shim is gone.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.reader.take_up(|| READING.take());
        let mut space = ReadBuf::new(self.reader.space());
        // Not through `&Stream`, which would read once more to learn that nothing is left.
        let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(cx, &mut space) else {
            if let Some(buffer) = self.reader.put_down() {
                READING.set(buffer);
            }
            return Poll::Pending;
        };
        result?;
        let bytes = space.filled().len();
        if bytes == 0 {
            return Poll::Ready(Err(LinkError::Closed));
        }
        self.reader.filled(bytes);
        Poll::Ready(Ok(()))
    }

    /// The next message that has arrived in full.
    ///
    /// # Errors
    /// [`LinkError::Protocol`]; no later message can be trusted.
    pub fn next_message(&mut self) -> Result<Option<ToHost<'_>>, LinkError> {
        match self.reader.next_frame()? {
            Some(frame) => Ok(Some(decode(frame)?)),
            None => Ok(None),
        }
    }

    /// Writes everything. Cancellation loses nothing; the next flush writes the rest.
    ///
    /// # Errors
    /// As [`Link::poll_flush`].
    pub async fn flush(&mut self) -> Result<(), LinkError> {
        std::future::poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Waits for a frame and returns it undecoded. For the handshake, which has other messages.
    ///
    /// # Errors
    /// As [`Link::poll_read`] and [`Link::next_message`].
    pub async fn frame(&mut self) -> Result<Vec<u8>, LinkError> {
        loop {
            if let Some(frame) = self.reader.next_frame()? {
                return Ok(frame.to_vec());
            }
            std::future::poll_fn(|cx| self.poll_read(cx)).await?;
        }
    }

    /// Writes bytes that already are a frame. For the handshake.
    pub fn push_raw(&mut self, frame: &[u8]) {
        self.out.extend_from_slice(frame);
    }
}
