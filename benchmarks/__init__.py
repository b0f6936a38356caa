"""Times of Pullback beside its peers, in one run on the same work."""
