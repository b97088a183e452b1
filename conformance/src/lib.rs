//! Black-box checks, load generators and fault drills against a running server. Nothing here
//! knows the server's code: it talks HTTP and starts processes.

pub mod booking;
pub mod client;
pub mod data;
pub mod drill;
pub mod load;
pub mod postgres;
pub mod process;
pub mod records;
pub mod server;
pub mod smart;
