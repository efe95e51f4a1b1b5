//! emulator/host.
