"""A node class in the newer form: its schema, its methods, and what it returns."""

from __future__ import annotations

import enum
import inspect
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from comfykit.compat.host.comfy_api.latest._dynamic import grouped
from comfykit.compat.host.comfy_api.latest._types import Input, Output

Value = TypeVar("Value")


class Hidden(enum.StrEnum):
    """What the executor fills in."""

    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"
    dynprompt = "DYNPROMPT"
    auth_token_comfy_org = "AUTH_TOKEN_COMFY_ORG"
    api_key_comfy_org = "API_KEY_COMFY_ORG"


class HiddenHolder:
    """What `cls.hidden` gives; None for what the schema does not ask for."""

    def __init__(
        self,
        unique_id: str | None = None,
        prompt: Any = None,
        extra_pnginfo: Any = None,
        dynprompt: Any = None,
        auth_token_comfy_org: str | None = None,
        api_key_comfy_org: str | None = None,
        **further: Any,
    ) -> None:
        self.unique_id = unique_id
        self.prompt = prompt
        self.extra_pnginfo = extra_pnginfo
        self.dynprompt = dynprompt
        self.auth_token_comfy_org = auth_token_comfy_org
        self.api_key_comfy_org = api_key_comfy_org

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        return None

    @classmethod
    def from_dict(cls, given: Mapping[Any, Any] | None) -> HiddenHolder:
        """From values by the names that the executor has, or by those of the attributes."""
        named = {str(getattr(name, "value", name)): value for name, value in (given or {}).items()}
        return cls(**{member.name: named.get(member.value, named.get(member.name)) for member in Hidden})


@dataclass
class Schema:
    """What a node class takes and gives, and what it is called."""

    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    hidden: list[Hidden] = field(default_factory=list)
    description: str = ""
    search_aliases: list[str] = field(default_factory=list)
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    is_dev_only: bool = False
    is_api_node: bool = False
    price_badge: Any = None
    not_idempotent: bool = False
    enable_expand: bool = False
    accept_all_inputs: bool = False
    essentials_category: str | None = None
    has_intermediate_output: bool = False

    def validate(self) -> None:
        """Raise `ValueError` for an id that two inputs, or two outputs, have."""
        for ports, what in ((self.inputs, "input"), (self.outputs, "output")):
            counts = Counter(port.id for port in ports if port.id is not None)
            twice = [name for name, count in counts.items() if count > 1]
            if twice:
                raise ValueError(f"the schema of {self.node_id} has two {what}s called {twice[0]!r}")

    def finalize(self) -> None:
        """Fill in what follows from the rest."""
        self.inputs, self.outputs = list(self.inputs or ()), list(self.outputs or ())
        self.hidden = list(self.hidden or ())
        if self.is_output_node:
            self.hidden += [one for one in (Hidden.prompt, Hidden.extra_pnginfo) if one not in self.hidden]
        for index, output in enumerate(self.outputs):
            if output.id is None:
                output.id = f"_{index}_{output.io_type}_"


class _ClassProperty(Generic[Value]):
    """A property of a class."""

    def __init__(self, get: Callable[[Any], Value]) -> None:
        self._get = get

    def __get__(self, instance: Any, owner: Any) -> Value:
        return self._get(owner)


class ComfyNode(ABC):
    """A node class: `define_schema` says what it is, `execute` what it does."""

    RELATIVE_PYTHON_MODULE: ClassVar[str | None] = None
    SCHEMA: ClassVar[Schema | None] = None
    FUNCTION = "EXECUTE_NORMALIZED"

    # Set on the copy of the class that a node runs on.
    hidden: ClassVar[Any] = HiddenHolder()

    @classmethod
    @abstractmethod
    def define_schema(cls) -> Schema:
        """The schema."""

    @classmethod
    @abstractmethod
    def execute(cls, **kwargs: Any) -> Any:
        """The outputs, as a `NodeOutput` or a tuple."""

    @classmethod
    def validate_inputs(cls, **kwargs: Any) -> bool | str:
        """True, or what is wrong."""
        return True

    @classmethod
    def fingerprint_inputs(cls, **kwargs: Any) -> Any:
        """A new value means that the node must run again."""
        return None

    @classmethod
    def check_lazy_status(cls, **kwargs: Any) -> list[str]:
        """The lazy inputs that are wanted: all that are not there."""
        return [name for name, value in kwargs.items() if value is None]

    @classmethod
    def GET_SCHEMA(cls) -> Schema:
        """The schema, checked; raises what `define_schema` raises."""
        found = cls.define_schema()
        found.finalize()
        found.validate()
        cls.SCHEMA = found
        return found

    @classmethod
    def FINALIZE_SCHEMA(cls) -> Schema:
        return cls.GET_SCHEMA()

    @classmethod
    def GET_BASE_CLASS(cls) -> type[ComfyNode]:
        return ComfyNode

    @classmethod
    def VALIDATE_CLASS(cls) -> None:
        """Raise for a class that defines no `execute`."""
        if getattr(cls.execute, "__isabstractmethod__", False):
            raise TypeError(f"{cls.__name__} defines no execute")

    @classmethod
    def PREPARE_CLASS_CLONE(cls, hidden: Mapping[Any, Any] | None = None) -> type[ComfyNode]:
        """A copy of the class whose `hidden` has these values."""
        own = {"hidden": HiddenHolder.from_dict(hidden), "__module__": cls.__module__}
        return type(cls.__name__, (cls,), own)

    @classmethod
    def EXECUTE_NORMALIZED(cls, *args: Any, **kwargs: Any) -> NodeOutput:
        """What `execute` returns, as a `NodeOutput`."""
        return NodeOutput.of(cls.execute(*args, **kwargs))

    @classmethod
    async def EXECUTE_NORMALIZED_ASYNC(cls, *args: Any, **kwargs: Any) -> NodeOutput:
        returned = cls.execute(*args, **kwargs)
        return NodeOutput.of(await returned if inspect.isawaitable(returned) else returned)

    # The same as a class of the older form has it

    @classmethod
    def INPUT_TYPES(cls, include_hidden: bool = True, *args: Any) -> dict[str, dict[str, Any]]:
        schema = _schema(cls)
        groups = {"required": {}, **grouped(schema.inputs)}
        if schema.hidden and include_hidden:
            groups["hidden"] = {one.name: one.value for one in schema.hidden}
        return groups

    DESCRIPTION = _ClassProperty(lambda cls: _schema(cls).description)
    CATEGORY = _ClassProperty(lambda cls: _schema(cls).category)
    EXPERIMENTAL = _ClassProperty(lambda cls: _schema(cls).is_experimental)
    DEPRECATED = _ClassProperty(lambda cls: _schema(cls).is_deprecated)
    API_NODE = _ClassProperty(lambda cls: _schema(cls).is_api_node)
    OUTPUT_NODE = _ClassProperty(lambda cls: _schema(cls).is_output_node)
    INPUT_IS_LIST = _ClassProperty(lambda cls: _schema(cls).is_input_list)
    NOT_IDEMPOTENT = _ClassProperty(lambda cls: _schema(cls).not_idempotent)
    RETURN_TYPES = _ClassProperty(lambda cls: tuple(one.get_io_type() for one in _schema(cls).outputs))
    RETURN_NAMES = _ClassProperty(
        lambda cls: tuple(one.display_name or one.get_io_type() for one in _schema(cls).outputs)
    )
    OUTPUT_IS_LIST = _ClassProperty(lambda cls: tuple(one.is_output_list for one in _schema(cls).outputs))
    OUTPUT_TOOLTIPS = _ClassProperty(lambda cls: tuple(one.tooltip for one in _schema(cls).outputs))


def _schema(kind: Any) -> Schema:
    found: Schema | None = vars(kind).get("SCHEMA")
    return kind.GET_SCHEMA() if found is None else found


class NodeOutput:
    """What a node returns: the values of its outputs, what to show, a graph in its place, or a block."""

    def __init__(
        self,
        *args: Any,
        ui: Any = None,
        expand: Mapping[str, Any] | None = None,
        block_execution: str | None = None,
    ) -> None:
        self.args = args
        self.ui = ui
        self.expand = expand
        self.block_execution = block_execution

    @property
    def result(self) -> tuple[Any, ...] | None:
        """The values, None without any."""
        return self.args or None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NodeOutput:
        """From what classes of the older form return."""
        result = data.get("result")
        values = () if result is None else tuple(result) if isinstance(result, list | tuple) else (result,)
        return cls(*values, ui=data.get("ui"), expand=data.get("expand"))

    @classmethod
    def of(cls, returned: Any) -> NodeOutput:
        """From anything that `execute` may return."""
        if isinstance(returned, cls):
            return returned
        if isinstance(returned, Mapping):
            return cls.from_dict(returned)
        return cls() if returned is None else cls(*(returned if isinstance(returned, tuple) else (returned,)))

    def __getitem__(self, index: int) -> Any:
        return self.args[index]


class _UIOutput(ABC):
    """Something to show."""

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """As a front end is told of it."""
