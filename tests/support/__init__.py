"""What several tests need: small models, traces, and a real server in a process of its own."""
