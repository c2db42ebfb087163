"""Weight transport from the forward to the feedback memory."""
