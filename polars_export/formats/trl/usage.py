"""How to train with TRL on a dataset, for its card."""

from __future__ import annotations

__all__ = ["usage"]

_TRAINERS = {"chatml": "SFT", "prompt-completion": "SFT", "dpo": "DPO", "kto": "KTO"}


def usage(format_name: str, _folder: str, _split: str) -> list[str]:
    """Return paragraphs of Markdown that follow the code that loads a split as `data`."""
    trainer = _TRAINERS[format_name]
    code = [
        "```python",
        f"from trl import {trainer}Config, {trainer}Trainer",
        "",
        f'settings = {trainer}Config(output_dir="model")',
        f'{trainer}Trainer(model="Qwen/Qwen3-0.6B", args=settings, train_dataset=data).train()',
        "```",
    ]
    return ["Train with TRL:", "\n".join(code)]
