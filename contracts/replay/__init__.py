"""Send events once more, into a place that is meant for it, and account for every one of them."""
