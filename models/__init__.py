"""Online learning, pure like the engine: questions and answers in, models as plain numbers out. No Kafka here.

- `labels`: which questions of a partition are open, and what answers them.
- `transform`: what a feature's value becomes before it is learned from or scored.
- `learner`: a River pipeline per target; its state goes to JSON and back, bit for bit.
- `snapshot`: a learned model as plain numbers.
- `progress`: how good its predictions were, judged by what came.
- `lately`: the ids of questions answered lately.
- `state`, `entries`: what is kept between two runs.
- `trainer`: examples of a target in, snapshots out.
"""
