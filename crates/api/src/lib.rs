//! The Daytona-compatible HTTP and WebSocket rim.
#![forbid(unsafe_code)]
