//! The end of a connection.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// Closes in such a way that the client knows that nothing was cut off, and that one that still
/// sends gets the answer: without draining, the kernel resets the connection, and the answer is
/// lost on the way.
pub async fn farewell(mut stream: impl AsyncRead + AsyncWrite + Unpin, more_to_come: bool) {
    const TIME: Duration = Duration::from_secs(1);
    const BYTES: usize = 4 << 20;
    let close = async {
        if stream.shutdown().await.is_err() || !more_to_come {
            return;
        }
        let mut waste = vec![0; 16 << 10];
        let mut drained = 0;
        while drained < BYTES {
            match stream.read(&mut waste).await {
                Ok(0) | Err(_) => return,
                Ok(read) => drained += read,
            }
        }
    };
    let _ = timeout(TIME, close).await;
}
