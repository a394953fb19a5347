"""NATS: how to reach a server, publish with confirmation, and run one."""
