"""What is sent, when, and what is refused."""
