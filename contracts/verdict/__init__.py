"""What counts in a run: findings, policy and waivers."""
