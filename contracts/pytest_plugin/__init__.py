"""The pytest plugin. It loads in every pytest run, so this file imports nothing."""
