"""Messages about an agent's tasks to people and programs. Imported only if there is an address for them."""
