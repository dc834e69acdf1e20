"""The engine: rows, rules and time, pure. It knows no Faust, Kafka, clock, environment or network."""
