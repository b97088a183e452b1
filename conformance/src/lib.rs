//! Black-box checks, load generators and fault drills against a running server.
