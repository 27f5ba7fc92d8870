"""The JSON between agent, server and configuration."""
