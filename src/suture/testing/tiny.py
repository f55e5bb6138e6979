"""Tiny models, built in a second, offline: a two-layer random Llama with a trained tokenizer and a chat template, and
random models of the architectures of the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

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


_SIZES: Mapping[str, Any] = MappingProxyType(
    {
        "vocab_size": 64,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
)
_GEMMA = {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 16}
_EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 24, "decoder_sparse_step": 1}
_ARCHITECTURES: Mapping[str, tuple[str, str, Mapping[str, Any]]] = MappingProxyType(
    {  # kind: (config class, model class, what the config has beside the sizes)
        "llama": ("LlamaConfig", "LlamaForCausalLM", {}),
        "mistral": ("MistralConfig", "MistralForCausalLM", {"sliding_window": 16}),
        "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", {"tie_word_embeddings": True}),
        "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", {"head_dim": 8}),
        "gemma2": ("Gemma2Config", "Gemma2ForCausalLM", _GEMMA),
        "gemma3": ("Gemma3TextConfig", "Gemma3ForCausalLM", _GEMMA),
        "phi3": ("Phi3Config", "Phi3ForCausalLM", {}),
        "gpt_neox": ("GPTNeoXConfig", "GPTNeoXForCausalLM", {}),
        "mixtral": ("MixtralConfig", "MixtralForCausalLM", {"num_local_experts": 4}),
        "qwen3_moe": ("Qwen3MoeConfig", "Qwen3MoeForCausalLM", {"num_experts": 4, "head_dim": 8, **_EXPERTS}),
        "llava": ("LlavaConfig", "LlavaForConditionalGeneration", {}),
        "t5": ("T5Config", "T5ForConditionalGeneration", {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2}),
    }
)
ARCHITECTURES = tuple(_ARCHITECTURES)
"""The kinds of `tiny_architecture`."""


def tiny_architecture(kind: str, folder: Path, seed: int = 0) -> Path:
    """Write a random model of an architecture (one of ARCHITECTURES) to the new `folder`, without a tokenizer.

    Every parameter is drawn, norms and biases among them, so that no two seeds share a tensor. Vocabulary 64, two
    layers; llava has a vision tower of one layer on images of 8 x 8. Needs the extra `suture[model]`.
    """
    import torch
    import transformers

    config_name, model_name, own = _ARCHITECTURES[kind]
    if kind == "llava":
        vision = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
        config = transformers.LlavaConfig(
            text_config=transformers.LlamaConfig(**_SIZES),
            vision_config=transformers.CLIPVisionConfig(**vision, image_size=8, patch_size=4),
            image_token_index=3,
            vision_feature_layer=-1,
        )
    else:
        config = getattr(transformers, config_name)(**{**_SIZES, **own})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = getattr(transformers, model_name)(config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.05 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return folder
