"""Chat templates of model folders: read as bytes, never rendered; and the files that carry another one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

JINJA, SETTINGS, PROCESSOR = "chat_template.jinja", "tokenizer_config.json", "chat_template.json"


def chat_template_of(folder: Path) -> str | None:
    """Return the chat template of a model folder, from its own file or from the tokenizer's settings; None for none.

    Of several named ones in the settings, the one called default.
    """
    if (folder / JINJA).is_file():
        return (folder / JINJA).read_text(encoding="utf-8")
    for name in (PROCESSOR, SETTINGS):
        found = _json(folder / name).get("chat_template")
        if isinstance(found, list):
            found = next((t.get("template") for t in found if isinstance(t, dict) and t.get("name") == "default"), None)
        if isinstance(found, str) and found:
            return found
    return None


def template_files(folder: Path, template: str) -> dict[str, bytes]:
    """Return the files, name -> bytes, that give the tokenizer of `folder` the chat template `template`."""
    files = {JINJA: template.encode()}
    for name in (SETTINGS, PROCESSOR):
        settings = _json(folder / name)
        if settings.pop("chat_template", None) is not None or name == SETTINGS:
            settings.pop("auto_map", None)
            if name == PROCESSOR:
                settings["chat_template"] = template
            files[name] = (json.dumps(settings, indent=2, ensure_ascii=False) + "\n").encode()
    return files


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    data = json.loads(file.read_text(encoding="utf-8"))
    return data if isinstance(data, dict) else {}
