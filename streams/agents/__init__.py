"""The Faust agents, thin: decode, call, send."""
