"""Trains the network of the benchmark in PyTorch: `train.py BATCHES.npz ROUNDS`.

The batches are those of `fit`, cut by its buckets; the loss, the optimizer and the clip
are the same. Prints the seconds of the processor of each pass, as JSON. Runs in an
environment of its own, without this repository.
"""

import json
import sys
import time

import numpy as np
import torch

UNITS, EMBEDDING, RATE, CLIP = 96, 32, 0.003, 1.0


class Network(torch.nn.Module):
    """Embedding, LSTM, softmax."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(labels, EMBEDDING)
        self.lstm = torch.nn.LSTM(EMBEDDING, UNITS, batch_first=True)
        self.head = torch.nn.Linear(UNITS, labels)

    def forward(self, events: torch.Tensor) -> torch.Tensor:
        """Return logits at every timestep."""
        hidden, _ = self.lstm(self.embedding(events))
        return self.head(hidden)


def main() -> None:
    """Pass over the batches once to warm up, then as often as is asked."""
    path, rounds = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(1)
    torch.manual_seed(1)
    arrays = np.load(path)
    batches = [
        tuple(torch.from_numpy(arrays[f"{name}{k}"]) for name in ("s", "t", "w"))
        for k in range(int(arrays["count"]))
    ]
    network = Network(int(arrays["labels"]))
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    seconds, losses = [], []
    for _ in range(rounds + 1):
        began = time.process_time()
        losses.append(train(network, optimizer, batches))
        seconds.append(time.process_time() - began)
    print(json.dumps({"seconds": seconds[1:], "losses": losses}))


def train(network: Network, optimizer: torch.optim.Optimizer, batches: list) -> float:
    """Pass over the batches; return the mean loss of a batch."""
    total = 0.0
    for sequences, targets, weights in batches:
        optimizer.zero_grad()
        logits = network(sequences.long())
        each = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.long().flatten(), reduction="none"
        )
        loss = (each * weights.flatten()).sum() / weights.numel()
        loss.backward()
        for parameter in network.parameters():
            torch.nn.utils.clip_grad_norm_([parameter], CLIP)
        optimizer.step()
        total += float(loss)
    return total / len(batches)


if __name__ == "__main__":
    main()
