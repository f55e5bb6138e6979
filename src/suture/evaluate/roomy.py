"""A key-value cache with room to grow: a new token is written into it, where transformers' own copies all it holds.

transformers' DynamicLayer concatenates at each step, which at a thousand tokens takes most of the step's time.
"""

from __future__ import annotations

from functools import cache as once
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

STEP = 128  # tokens of room that are added at a time: copies are rare, memory in excess is small


def with_room(cache: Any) -> Any:
    """Return `cache` with room in each layer that keeps all tokens; layers of other kinds stay as they are.

    What `cache` holds is copied at the first token, so other users of it do not see what is written here.
    """
    from transformers.cache_utils import DynamicLayer

    for depth, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer and layer.is_initialized:
            cache.layers[depth] = roomy_layer()(layer.keys, layer.values)
    return cache


@once
def roomy_layer() -> Any:
    """Return the class of a layer with room: made at the first use, which is when transformers is imported."""
    from transformers.cache_utils import DynamicLayer

    class RoomyLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not typed
        """One layer's keys and values [rows, heads, tokens, dimension], each the filled start of a longer tensor."""

        def __init__(self, keys: Tensor, values: Tensor) -> None:
            super().__init__()
            self.lazy_initialization(keys, values)
            self.stores = [keys, values]
            self.keys, self.values = keys, values

        def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
            """Append to what is held, and return all of it."""
            held = self.get_seq_length()
            length = held + key_states.shape[-2]
            if length > self.stores[0].shape[-2]:
                self.stores = [_longer(store, held, length + STEP) for store in self.stores]
            for store, states in zip(self.stores, (key_states, value_states), strict=True):
                store[:, :, held:length] = states
            self.keys, self.values = (store[:, :, :length] for store in self.stores)
            return self.keys, self.values

        def batch_select_indices(self, indices: Tensor) -> None:
            """Keep the rows `indices`."""
            length = self.get_seq_length()
            self.stores = [store[indices] for store in self.stores]
            self.keys, self.values = (store[:, :, :length] for store in self.stores)

    return RoomyLayer


def _longer(store: Tensor, held: int, length: int) -> Tensor:
    longer = store.new_empty(*store.shape[:2], length, store.shape[3])
    longer[:, :, :held] = store[:, :, :held]
    return longer
