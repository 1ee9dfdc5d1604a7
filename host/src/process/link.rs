//! The connection to one shim: frames in, frames out, many at a time, without blocking.

use interprocess::local_socket::tokio::Stream;
use rosey_wire::{
    frame::{FrameError, Reader, decode, encode},
    message::{ToHost, ToShim},
};
use std::{
    cell::Cell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much may wait to be written before a generation gets no further events. The kernel holds some 200 KiB besides.
const FULL_AT: usize = 256 << 10;

thread_local! {
    /// What links read into and write from. While nothing of it is under way, they share it: memory that was just used is
    /// in the processor's caches, and that of a hundred links does not fit there.
    static READING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static WRITING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Why a link is of no further use.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The shim closed it, or is gone.
    #[error("the connection to the shim ended")]
    Closed,
    /// The shim sent something that is not the protocol.
    #[error("a frame made no sense")]
    Protocol(#[from] FrameError),
    /// The operating system says no.
    #[error("the connection to the shim failed")]
    Io(#[from] io::Error),
}

/// One connection.
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

    /// Puts a message into the output; it leaves with the next [`Link::poll_flush`].
    ///
    /// # Errors
    /// When it does not fit a frame; the link is as it was.
    pub fn push(&mut self, message: &ToShim<'_>) -> Result<(), FrameError> {
        if self.out.capacity() == 0 {
            self.out = WRITING.take();
        }
        encode(message, &mut self.out)
    }

    /// Whether so much waits to be written that no more should be pushed.
    pub fn is_full(&self) -> bool {
        self.out.len() - self.written >= FULL_AT
    }

    /// Writes what waits.
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
        // Not by `&Stream`, which tries to read once more to know that there is nothing left.
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

    /// The next message that has arrived whole.
    ///
    /// # Errors
    /// [`LinkError::Protocol`]; nothing after it can be trusted.
    pub fn next_message(&mut self) -> Result<Option<ToHost<'_>>, LinkError> {
        match self.reader.next_frame()? {
            Some(frame) => Ok(Some(decode(frame)?)),
            None => Ok(None),
        }
    }

    /// Writes everything. Cancellation loses nothing but leaves a rest for the next flush.
    ///
    /// # Errors
    /// As [`Link::poll_flush`].
    pub async fn flush(&mut self) -> Result<(), LinkError> {
        std::future::poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Waits until a frame has arrived, and gives it undecoded. For the handshake, where the messages differ.
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

    /// Writes bytes that are a frame already. For the handshake.
    pub fn push_raw(&mut self, frame: &[u8]) {
        self.out.extend_from_slice(frame);
    }
}
