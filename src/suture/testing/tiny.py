"""Tiny models: a two-layer random Llama with a trained tokenizer and a chat template, built in a second, offline."""

from __future__ import annotations

from pathlib import Path

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CORPUS = (
    "The patient reports a cough and takes amoxicillin 500 mg twice daily.",
    "Write one sentence in capital letters. No fever, no chest pain, left knee swelling.",
    "Findings: the lungs are clear. Impression: no acute disease. Follow up in 2 weeks.",
)


def tiny_model(
    path: Path, *, seed: int = 0, chat_template: bool = True, hidden: int = 32, layers: int = 2, dtype: str = "float32"
) -> Path:
    """Write a random Llama checkpoint to the new folder `path` and return it.

    Models of one `hidden` and `layers` share shapes and tokenizer, so they merge; `seed` draws the weights; `dtype` is
    a name of torch. Embeddings are tied, as in small models of the field. Needs the extra `suture[model]`.
    """
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(CORPUS, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    if chat_template:
        tokenizer.chat_template = CHAT_TEMPLATE
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = transformers.LlamaForCausalLM(config).to(getattr(torch, dtype))
    from suture.checkpoint.save import save_model

    save_model(model, tokenizer, path)
    return path
