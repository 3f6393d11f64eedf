"""Point-to-point messages between ranks, which `remote` stands on."""
