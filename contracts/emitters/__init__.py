"""The thin emitter that the spec foresees: run `schedule prepare`, build the event, spool the bundle, publish."""
