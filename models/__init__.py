"""Online learning, pure like the engine: feature vectors and labels in, scores out. No Kafka here."""
