"""Other engines and other versions of Compose than this machine has, and the tests on each of them."""
