"""The link between ranks: messages, first contact, termination."""
