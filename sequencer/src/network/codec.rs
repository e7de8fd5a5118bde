//! Reads and writes requests and responses on a stream, at most so many bytes each.
//!
//! A stream carries one request and one response, each ended by closing its side, so no length is believed: bytes
//! are read until the end or the limit.

use std::io;

use async_trait::async_trait;
use borsh::BorshDeserialize;
use libp2p::StreamProtocol;
use libp2p::futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::request_response;

use super::frame::{Request, Response};
use super::topic::MESSAGE_BYTES_MAX;

/// Longest request: it names things by hash (96 of a list take 3 KiB) and carries none.
pub(crate) const REQUEST_BYTES_MAX: usize = 16 << 10;

/// Longest response: the longest message, and the frame around it.
pub(crate) const RESPONSE_BYTES_MAX: usize = MESSAGE_BYTES_MAX + 64;

/// Bytes of frame around a caller's request or answer.
pub(crate) const FRAME_BYTES: usize = 16;

/// The codec; it has no state.
#[derive(Clone, Default)]
pub(crate) struct FrameCodec;

async fn read<T: BorshDeserialize>(
    io: &mut (impl AsyncRead + Unpin + Send),
    bytes_max: usize,
) -> io::Result<T> {
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    io.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .await?;
    if bytes.len() > bytes_max {
        let text = format!("frame is longer than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    T::try_from_slice(&bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

#[async_trait]
impl request_response::Codec for FrameCodec {
    type Protocol = StreamProtocol;
    type Request = Request;
    type Response = Response;

    async fn read_request<T>(&mut self, _: &Self::Protocol, io: &mut T) -> io::Result<Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io, REQUEST_BYTES_MAX).await
    }

    async fn read_response<T>(&mut self, _: &Self::Protocol, io: &mut T) -> io::Result<Response>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io, RESPONSE_BYTES_MAX).await
    }

    async fn write_request<T>(
        &mut self,
        _: &Self::Protocol,
        io: &mut T,
        request: Request,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&borsh::to_vec(&request)?).await
    }

    async fn write_response<T>(
        &mut self,
        _: &Self::Protocol,
        io: &mut T,
        response: Response,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&borsh::to_vec(&response)?).await
    }
}

#[cfg(test)]
mod tests {
    use libp2p::futures::executor::block_on;
    use libp2p::futures::io::Cursor;

    use super::*;

    #[test]
    fn frames_pass_and_longer_or_broken_ones_are_errors() {
        let request = Request::Call(vec![5; 100]);
        let bytes = borsh::to_vec(&request).expect("encode");
        let decoded: Request = block_on(read(&mut Cursor::new(&bytes), 200)).expect("decode");
        assert_eq!(decoded, request);
        let refused = block_on(read::<Request>(&mut Cursor::new(&bytes), 50));
        assert_eq!(
            refused.expect_err("too long").kind(),
            io::ErrorKind::InvalidData
        );
        // A length of 4 GiB with nothing behind it.
        let lying = [3, 255, 255, 255, 255];
        assert!(block_on(read::<Request>(&mut Cursor::new(&lying), 200)).is_err());
    }

    #[test]
    fn limits_leave_room_for_the_frame() {
        let request = Request::Call(vec![0; REQUEST_BYTES_MAX - FRAME_BYTES]);
        assert!(borsh::to_vec(&request).expect("encode").len() <= REQUEST_BYTES_MAX);
        let response = Response::Bytes(Some(vec![0; MESSAGE_BYTES_MAX]));
        assert!(borsh::to_vec(&response).expect("encode").len() <= RESPONSE_BYTES_MAX);
    }
}
