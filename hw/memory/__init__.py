"""Block memories: plain, transposable, packet queue."""
