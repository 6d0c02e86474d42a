"""What DIFFA is told beside the sound: its dialogue in LLaDA's chat template."""

from engines.checkpoints import AUDIO, TEXT

END_OF_TURN = "<|eot_id|>"

TRANSCRIBE = "Write down what is said, no more."

ANSWER = (
    "\n### Instruction:\nNow, strictly follow my instructions: \n1. Do not repeat what you hear. "
    "\n2. Write an answer to response the question in the audio.\n\n### Response:\n"
)
"""The instruction that DIFFA was evaluated with, word for word."""


def chat(user: str) -> str:
    """Render DIFFA's dialogue in LLaDA's template; nothing is trimmed, and `<audio>` stays."""
    return (
        f"<|startoftext|><|start_header_id|>system<|end_header_id|>\n\n"
        f"You are a helpful voice assistant.{END_OF_TURN}"
        f"<|start_header_id|>user<|end_header_id|>\n\n{user}{END_OF_TURN}"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def heard(instruction: str) -> str:
    """The dialogue about a sound, the place of its prefix marked with `AUDIO`."""
    return chat(f"This is the audio:{AUDIO} <audio>. {instruction}")


PROMPTS = {
    "transcribe": heard(TRANSCRIBE),
    "answer": heard(ANSWER),
    "instruct": heard(TEXT),
    "text": chat(TEXT),
}
"""The prompts of a converted checkpoint, by name."""
