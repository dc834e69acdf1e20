"""Crash tests: the bank's load on Apache Kafka while workers and broker are killed, held up and cut off.

`python -m tests.chaos` (make chaos) runs them. In the end what is on the topics and in the state must be what a replay
of the same records says, which the generated tests hold to be the oracle's; some customers are held against the oracle
itself.
"""
