"""Where bundles come from: the spool directory and the NATS Object Store."""
