"""What packs hang onto a `ModelPatcher`: attachments, models, injections, callbacks, wrappers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfykit.compat.host.comfy.patcher_extension import PatcherInjection


class HasExtras:
    """The methods that keep them, each under a key."""

    attachments: dict[str, Any]
    additional_models: dict[str, list[Any]]
    injections: dict[str, list[PatcherInjection]]
    callbacks: dict[str, dict[Any, list[Callable[..., Any]]]]
    wrappers: dict[str, dict[Any, list[Callable[..., Any]]]]

    def set_attachments(self, key: str, attachment: Any) -> None:
        """Keep something under a key."""
        self.attachments[key] = attachment

    def get_attachment(self, key: str) -> Any:
        """What is kept under a key."""
        return self.attachments.get(key)

    def remove_attachments(self, key: str) -> None:
        """Forget it."""
        self.attachments.pop(key, None)

    def set_additional_models(self, key: str, models: list[Any]) -> None:
        """Models that are to be there in runs."""
        self.additional_models[key] = models

    def get_additional_models_with_key(self, key: str) -> list[Any]:
        """Those under a key."""
        return self.additional_models.get(key, [])

    def get_additional_models(self) -> list[Any]:
        """All of them."""
        return [one for some in self.additional_models.values() for one in some]

    def get_nested_additional_models(self) -> list[Any]:
        """All of them, and theirs."""
        own = self.get_additional_models()
        return [*own, *(inner for one in own for inner in one.get_nested_additional_models())]

    def set_injections(self, key: str, injections: list[PatcherInjection]) -> None:
        """Functions that change the model before a run and back after it."""
        self.injections[key] = injections

    def get_injections(self, key: str) -> list[PatcherInjection] | None:
        """Those under a key."""
        return self.injections.get(key)

    def remove_injections(self, key: str) -> None:
        """Forget them."""
        self.injections.pop(key, None)

    def add_callback(self, call_type: str, callback: Callable[..., Any]) -> None:
        """A function to be told at a moment."""
        self.add_callback_with_key(call_type, None, callback)

    def add_callback_with_key(self, call_type: str, key: Any, callback: Callable[..., Any]) -> None:
        """The same, under a key."""
        self.callbacks.setdefault(call_type, {}).setdefault(key, []).append(callback)

    def remove_callbacks_with_key(self, call_type: str, key: Any) -> None:
        """Forget those under a key."""
        self.callbacks.get(call_type, {}).pop(key, None)

    def get_callbacks(self, call_type: str, key: Any) -> list[Callable[..., Any]]:
        """Those under a key."""
        return self.callbacks.get(call_type, {}).get(key, [])

    def get_all_callbacks(self, call_type: str) -> list[Callable[..., Any]]:
        """All of a moment."""
        return [one for some in self.callbacks.get(call_type, {}).values() for one in some]

    def add_wrapper(self, wrapper_type: str, wrapper: Callable[..., Any]) -> None:
        """A function around a part of a run."""
        self.add_wrapper_with_key(wrapper_type, None, wrapper)

    def add_wrapper_with_key(self, wrapper_type: str, key: Any, wrapper: Callable[..., Any]) -> None:
        """The same, under a key."""
        self.wrappers.setdefault(wrapper_type, {}).setdefault(key, []).append(wrapper)

    def remove_wrappers_with_key(self, wrapper_type: str, key: Any) -> None:
        """Forget those under a key."""
        self.wrappers.get(wrapper_type, {}).pop(key, None)

    def get_wrappers(self, wrapper_type: str, key: Any) -> list[Callable[..., Any]]:
        """Those under a key."""
        return self.wrappers.get(wrapper_type, {}).get(key, [])

    def get_all_wrappers(self, wrapper_type: str) -> list[Callable[..., Any]]:
        """All of a part."""
        return [one for some in self.wrappers.get(wrapper_type, {}).values() for one in some]
