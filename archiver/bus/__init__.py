"""NATS JetStream: the consumer, the announcer, streams and dead letters."""
