"""Forward pass: events to accumulators, firing rule, spikes, tape and active list."""
