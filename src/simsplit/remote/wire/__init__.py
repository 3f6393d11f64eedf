"""Values and messages as bytes. Nothing here knows a communicator."""
