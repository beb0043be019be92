"""What `make bench` runs: every piece of work here beside a peer, and the page that says how they compare."""
