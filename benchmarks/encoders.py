"""How quickly image networks learn here: pictures a second through one step, of encoders side by side.

    python benchmarks/encoders.py --encoder resnet18 --encoder regnetx_002 [--size 64 --size 96] [--batch-size 64]

Forwards and backwards on random pictures in memory, in the precision that ``iem pretrain`` would take, in turns, the
best of ``--rounds``; without heads, losses and the optimiser. What they learn is another question.
The last line is JSON: for every encoder its parameters, its features, and pictures a second by size.
"""

import argparse
import json
from time import perf_counter
from typing import Any

import torch

from iem.nn.encoders import ImageEncoder
from iem.workflows.running.trainer import precision_of


def seconds_of(encoder: ImageEncoder, pictures: torch.Tensor, *, bf16: bool) -> float:
    """One step."""
    encoder.zero_grad()
    start = perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        encoder(pictures).float().square().mean().backward()
    return perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", action="append")
    parser.add_argument("--size", type=int, action="append")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    bf16 = precision_of("auto") == "bf16"
    torch.manual_seed(0)
    encoders = {name: ImageEncoder(name).train() for name in options.encoder or ["resnet18", "regnetx_002"]}
    result: dict[str, Any] = {
        name: {"parameters": sum(one.numel() for one in encoder.parameters()), "features": encoder.dim}
        for name, encoder in encoders.items()
    }
    for size in options.size or [96]:
        pictures = torch.randint(0, 255, (options.batch_size, size, size, 3), dtype=torch.uint8)
        for encoder in encoders.values():
            seconds_of(encoder, pictures, bf16=bf16)  # warms up
        taken = [
            {name: seconds_of(encoder, pictures, bf16=bf16) for name, encoder in encoders.items()}
            for _ in range(options.rounds)
        ]
        for name in encoders:
            result[name][f"{size}²"] = round(options.batch_size / min(one[name] for one in taken), 1)
    for name, found in result.items():
        print(f"{name:28} {found}")
    print(json.dumps({"precision": "bf16" if bf16 else "float32", "threads": torch.get_num_threads(), **result}))


if __name__ == "__main__":
    main()
