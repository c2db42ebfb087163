"""The serial link of a board: bytes, frames, requests and their replies (docs/link.md)."""
