"""Send recorded events again: events, plan, target, send."""
