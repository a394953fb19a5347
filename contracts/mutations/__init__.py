"""Break a payload in every single-rule way: what `fixtures mutate` and the generators share."""
