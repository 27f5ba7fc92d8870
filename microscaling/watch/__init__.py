"""Looks at the agent's own tasks for what a person should know: warnings, and events for notifications."""
