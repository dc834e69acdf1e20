"""What things look like: decode, validate, describe; no other behaviour."""
